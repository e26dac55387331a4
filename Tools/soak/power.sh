#!/bin/bash
# `make soak-power`: CHECKPOINTS of one guest in a row under a load on disk and network, with a connection
# that is never to break; then CYCLES of suspending a guest and going on in a new process, with a program
# whose state is checked.
#
# Set by the environment: CHECKPOINTS, CYCLES, CPUS, MARTLET (the program).
set -euo pipefail
trap 'echo "soak: line $LINENO failed" >&2' ERR
martlet=${MARTLET:-martlet} checkpoints=${CHECKPOINTS:-1000} cycles=${CYCLES:-100}
processors=${CPUS:-2} name=soak$$
work=$(mktemp -d /tmp/martlet-power.XXXXXX)
children=()
trap 'for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done; rm -rf "$work"' EXIT

fail() {
  echo "$1; what it said is in $work" >&2
  "$martlet" stop "$name" --end 1 >/dev/null 2>&1 || true
  trap - EXIT
  exit 1
}

# Waits for the guest's end, but not for ever; its status in `status`.
wait_for_end() {
  for _ in $(seq 1200); do
    kill -0 "$guest" 2>/dev/null || break
    sleep 0.1
  done
  ! kill -0 "$guest" 2>/dev/null || fail "the guest does not end"
  status=0
  wait "$guest" || status=$?
}

# What no log is to have.
troubles='WARNING|BUG|Oops|Call Trace|blocked for more|hung|I/O error|stalls on CPU|EXT4-fs error'

# The numbers that come over the connection, one behind the other, go to a file until it closes.
python3 - "$work" <<'P' &
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1] + "/port.new", "w").write(str(listener.getsockname()[1]))
import os
os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
connection, _ = listener.accept()
listener.close()
expected = 0
for line in connection.makefile():
    if int(line) != expected:
        sys.exit(f"after {expected - 1} came {line}")
    expected += 1
    open(sys.argv[1] + "/count", "w").write(str(expected))
P
server=$!
children+=("$server")
until [ -f "$work/port" ]; do sleep 0.05; done
truncate -s 256M "$work/disk"
mkfs.ext4 -q "$work/disk"
cat >"$work/guest.sh" <<'S'
mkdir -p /mnt; mount -t ext4 /dev/xvda /mnt || exit 9
(i=0; while :; do i=$((i + 1)); dd if=/dev/urandom of=/mnt/a bs=64k count=16 conv=fsync 2>/dev/null
  cp /mnt/a /mnt/b; sync; cmp /mnt/a /mnt/b || echo "DIFFER $i"; done) &
(n=0; while [ ! -e /tmp/stop ]; do echo $n; n=$((n + 1)); sleep 0.05; done) | nc 10.0.2.2 $1 &
echo up
i=0; while [ "$(cat /sys/block/xvdb/size)" = 2048 ]; do i=$((i + 1)); echo "tick $i"; sleep 0.5; done
touch /tmp/stop; sleep 1; dmesg; exit 7
S
# Its size tells the guest to end.
truncate -s 1M "$work/signal"
"$martlet" run --quiet --name "$name" --cpus "$processors" --memory 128M --module ext4 \
  --console "file:$work/console" \
  --disk "$work/disk" --disk "$work/signal" --file "$work/guest.sh:/guest.sh" \
  -- sh /guest.sh "$(cat "$work/port")" >"$work/said" 2>"$work/errors" </dev/null &
children+=($!)
guest=$!
until grep -q '^tick 2$' "$work/said"; do
  kill -0 "$guest" 2>/dev/null || fail "the guest ended: $(cat "$work/errors")"
  sleep 0.1
done
began=$SECONDS
for round in $(seq "$checkpoints"); do
  "$martlet" checkpoint "$name" "$work/checkpoint" >"$work/steps" 2>&1 ||
    fail "checkpoint $round: $(cat "$work/steps")"
  kill -0 "$server" 2>/dev/null || fail "checkpoint $round: the connection broke"
  [ $((round % 100)) -ne 0 ] ||
    echo "$round of $checkpoints checkpoints, $((SECONDS - began)) s, $(cat "$work/count") lines came"
done
"$martlet" resize "$name" xvdb 2M >/dev/null
wait_for_end
[ "$status" -eq 7 ] || fail "the guest ended with $status: $(cat "$work/errors")"
wait "$server" || fail "the connection broke"
! grep -aE "$troubles|DIFFER" "$work/said" || fail "the guest's log is not clean"
e2fsck -p "$work/disk" >/dev/null || [ $? -eq 1 ] || fail "its file system is damaged"
echo "$checkpoints checkpoints in $((SECONDS - began)) s: $(cat "$work/count") lines in order, clean log"
children=()

cat >"$work/guest.sh" <<'S'
# A sum that each step depends on, in memory, on the disk, and said.
mkdir -p /mnt; mount -t ext4 /dev/xvda /mnt || exit 9
echo up
s=1 n=0
while [ "$(cat /sys/block/xvdb/size)" = 4096 ]; do
  n=$((n + 1)); s=$(((s * 69069 + n) & 0x7fffffff)); echo $s >/mnt/state; echo "$n $s"
  [ $((n % 20)) -ne 0 ] || { read t </mnt/state; [ "$t" = $s ] || echo LOST; }
  sleep 0.02
done
dmesg; exit 7
S
began=$SECONDS
: >"$work/said"
# Linux' xen-netfront keeps the pages of its receive queues each time it resumes, 1 MiB for each queue: it
# never lets go of their page pool (xdp_rxq_info_unreg is not called).
"$martlet" run --quiet --name "$name" --cpus "$processors" \
  --memory $((192 + cycles * processors))M --module ext4 \
  --console "file:$work/console" \
  --disk "$work/disk" --disk "$work/signal" --file "$work/guest.sh:/guest.sh" \
  -- sh /guest.sh >"$work/said" 2>"$work/errors" </dev/null &
guest=$!
children=("$guest")
until grep -q '^9 ' "$work/said"; do
  kill -0 "$guest" 2>/dev/null || fail "the guest ended: $(cat "$work/errors")"
  sleep 0.1
done
for round in $(seq "$cycles"); do
  before=$(wc -l <"$work/said")
  "$martlet" suspend "$name" "$work/snapshot" >"$work/steps" 2>&1 ||
    fail "cycle $round: $(cat "$work/steps")"
  wait "$guest" || fail "cycle $round: the process ended with $?"
  "$martlet" resume --quiet --name "$name" "$work/snapshot" >>"$work/said" 2>>"$work/errors" \
    </dev/null &
  guest=$!
  children=("$guest")
  for _ in $(seq 600); do
    [ "$(wc -l <"$work/said")" -le $((before + 10)) ] || break
    kill -0 "$guest" 2>/dev/null || fail "cycle $round: the guest ended: $(tail -c 500 "$work/errors")"
    sleep 0.05
  done
  [ "$(wc -l <"$work/said")" -gt $((before + 10)) ] || fail "cycle $round: the guest does not go on"
  [ $((round % 20)) -ne 0 ] || echo "$round of $cycles cycles, $((SECONDS - began)) s"
done
"$martlet" resize "$name" xvdb 3M >/dev/null
wait_for_end
[ "$status" -eq 7 ] || fail "the guest ended with $status: $(cat "$work/errors")"
python3 - "$work/said" <<'P' || fail "the program's state is not what it was"
import sys
s, n = 1, 0
for line in open(sys.argv[1], errors="replace"):
    parts = line.split()
    if len(parts) == 2 and all(p.isdigit() for p in parts):
        n += 1
        s = (s * 69069 + n) & 0x7fffffff
        if parts != [str(n), str(s)]:
            sys.exit(f"step {n} should be {s}, and is {line}")
print(f"{n} steps, each as it should be")
P
# Linux warns of each further console when it resumes, on Xen too (xencons_resume, evtchn_put).
awk '/cut here/ { block = ""; inside = 1 } inside { block = block $0 "\n" }
  /end trace/ { if (block !~ /xencons_resume/) printf "%s", block; inside = 0; next } !inside' \
  "$work/said" >"$work/log"
! grep -aE "$troubles|LOST" "$work/log" || fail "the guest's log is not clean"
echo "$cycles suspensions in $((SECONDS - began)) s, each gone on with in a new process: clean log"
