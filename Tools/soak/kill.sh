#!/bin/bash
# `make soak-kill`: no acknowledged write is lost. A guest writes records to a raw disk with ext4 and to a
# qcow2 disk, flushes each, and says so; Martlet is killed at a random moment, again and again. Then every
# record it has said is flushed must be there, and the checkers must find nothing wrong.
#
# Set by the environment: KILLS, CPUS, MARTLET (the program).
set -euo pipefail
trap 'echo "soak: line $LINENO failed" >&2' ERR
martlet=${MARTLET:-martlet} kills=${KILLS:-500} processors=${CPUS:-1}
work=$(mktemp -d /tmp/martlet-kill.XXXXXX)
guest=
trap '[ -z "$guest" ] || kill -9 "$guest" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
  echo "kill $round: $1; the disks are kept in $work" >&2
  [ -z "$guest" ] || kill -9 "$guest" 2>/dev/null || true
  trap - EXIT
  exit 1
}

# Records go on where the disks end.
cat >"$work/guest.sh" <<'S'
mkdir -p /mnt; mount -t ext4 /dev/xvda /mnt || exit 9
i=$1
while :; do
  i=$((i + 1))
  printf '%-511s\n' "record $i" >/tmp/record
  dd if=/tmp/record of=/mnt/$((i % 500)) bs=512 conv=fsync 2>/dev/null || exit 8
  echo "a $i"
  dd if=/tmp/record of=/dev/xvdb bs=512 seek=$((i * 7 % 100000)) conv=fsync,notrunc 2>/dev/null || exit 7
  echo "b $i"
done
S

truncate -s 64M "$work/raw"
mkfs.ext4 -q "$work/raw"
"$martlet" disk create --format qcow2 "$work/qcow2" 64M >/dev/null
last=0 first=1
for round in $(seq "$kills"); do
  # Not by the background job, which may be late: what the last one said would be taken for this one's.
  : >"$work/said"
  "$martlet" run --quiet --cpus "$processors" --memory 128M --net none --module ext4 --timeout 300 \
    --console "file:$work/console" \
    --disk "$work/raw" --disk "$work/qcow2,format=qcow2" --file "$work/guest.sh:/guest.sh" \
    -- sh /guest.sh "$last" >"$work/said" 2>"$work/errors" </dev/null &
  guest=$!
  for _ in $(seq 2400); do
    grep -q '^b' "$work/said" && break
    kill -0 "$guest" 2>/dev/null || fail "the guest ended: $(tail -c 500 "$work/errors")"
    sleep 0.05
  done
  grep -q '^b' "$work/said" || fail "the guest says nothing: $(tail -n 5 "$work/console" "$work/errors")"
  sleep "0.$((RANDOM % 6))$((RANDOM % 10))"
  kill -9 "$guest"
  wait "$guest" 2>/dev/null || true
  guest=
  a=$(grep -a '^a [0-9]*$' "$work/said" | tail -n 1 | cut -d' ' -f2)
  b=$(grep -a '^b [0-9]*$' "$work/said" | tail -n 1 | cut -d' ' -f2)
  [ -n "$a" ] && [ -n "$b" ] || fail "nothing was said"

  # ext4 replays its journal, and nothing else is to be mended.
  status=0
  e2fsck -p "$work/raw" >"$work/fsck" 2>&1 || status=$?
  [ "$status" -le 1 ] || fail "e2fsck -p: $(cat "$work/fsck")"
  e2fsck -fn "$work/raw" >"$work/fsck" 2>&1 || fail "e2fsck -fn: $(cat "$work/fsck")"
  qemu-img check -q -f qcow2 "$work/qcow2" >"$work/check" 2>&1 || status=$?
  [ "$status" -le 1 ] || [ "$status" -eq 3 ] || fail "qemu-img check: $(cat "$work/check")"
  "$martlet" disk check --format qcow2 "$work/qcow2" >"$work/check" 2>&1 ||
    grep -q leak "$work/check" || fail "martlet disk check: $(cat "$work/check")"

  # The last 400 of each: what is on the disk may be newer, never older.
  qemu-img convert -f qcow2 -O raw "$work/qcow2" "$work/flat"
  for i in $(seq $((a > 400 ? a - 400 : 1)) "$a"); do echo "cat /$((i % 500))"; done >"$work/commands"
  debugfs -f "$work/commands" "$work/raw" 2>/dev/null | grep -a '^record' | sed 's/ *$//' >"$work/found"
  python3 - "$work" "$a" "$b" <<'P' || fail "records are missing"
import sys
work, a, b = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
found = [int(line.split()[1]) for line in open(work + "/found")]
wanted = list(range(max(1, a - 400), a + 1))
# The next record may be there already, in the place of the one 500 before it.
bad = [w for w, f in zip(wanted, found) if f < w]
if len(found) != len(wanted) or bad:
    sys.exit(f"ext4: {len(found)} of {len(wanted)} records, too old: {bad[:5]}")
flat = open(work + "/flat", "rb").read()
for i in range(max(1, b - 400), b + 1):
    place = i * 7 % 100000 * 512
    text = flat[place:place + 512]
    if text != b"%-511s\n" % (b"record %d" % i):
        sys.exit(f"qcow2: record {i} is not there: {text[:40]!r}")
P
  # What one of them lacks is written again.
  last=$((a < b ? a : b))
  [ $((round % 25)) -ne 0 ] || echo "$round of $kills kills: $last records, none lost"
done
echo "$kills kills, $last records, none lost; ext4 and qcow2 are clean"
