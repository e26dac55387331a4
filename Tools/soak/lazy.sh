#!/bin/bash
# `make soak-lazy`: guests are suspended and gone on with again and again, their memory read as it is touched, while
# stress-ng writes memory in them and checks each word. Half of the ROUNDS with a Xen guest, half with a KVM guest of
# which the host keeps a part.
#
# Set by the environment: ROUNDS, CPUS, MARTLET (the program).
set -euo pipefail
trap 'echo "soak: line $LINENO failed" >&2' ERR
martlet=${MARTLET:-martlet} rounds=${ROUNDS:-200} processors=${CPUS:-2} name=lazy$$
work=$(mktemp -d /tmp/martlet-lazy.XXXXXX)
guest=
trap '[ -z "$guest" ] || kill "$guest" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
  echo "$1; what it said is in $work" >&2
  tail -n 20 "$work/out" "$work/errors" "$work/log" >&2 || true
  "$martlet" stop "$name" --end 1 >/dev/null 2>&1 || true
  trap - EXIT
  exit 1
}

files=()
for file in /usr/bin/stress-ng $(ldd /usr/bin/stress-ng | grep -o '/[^ ]*'); do
  files+=(--file "$file:$file")
done
# Each line is a second of checked memory; the log of the kernel goes on from one process to the next.
cat >"$work/guest.sh" <<'S'
mkdir -p /tmp/work; pass=0
while stress-ng --vm 2 --vm-bytes 48M --vm-keep --verify --timeout 1 --temp-path /tmp/work >/tmp/said 2>&1; do
  pass=$((pass + 1)); echo "pass $pass"
done
cat /tmp/said; echo "WRONG: stress-ng ended with a failure"
S
troubles='WARNING|BUG|Oops|Call Trace|blocked for more|hung|stalls on CPU|segfault|WRONG|fail:'

# Linux warns of each further console when it resumes, on Xen too (xencons_resume, evtchn_put).
log() {
  awk '/cut here/ { block = ""; inside = 1 } inside { block = block $0 "\n" }
    /end trace/ { if (block !~ /xencons_resume/) printf "%s", block; inside = 0; next } !inside' "$work/log"
}

# Waits for another line of the guest's.
wait_for_pass() {
  local count
  for _ in $(seq 600); do
    count=$(grep -c '^pass' "$work/out" || true)
    [ "$count" -le "$1" ] || return 0
    kill -0 "$guest" 2>/dev/null || fail "the guest has ended in round $round"
    sleep 0.1
  done
  fail "the guest does nothing in round $round"
}

begin=$(date +%s)
for platform in xen kvm; do
  # Without a network: at each resumption netfront loses a megabyte of the guest for each queue.
  options=(--memory 256M --net none)
  [ $platform = xen ] || options+=(--resident 128M)
  : >"$work/log"
  "$martlet" run --quiet --platform $platform --cpus "$processors" --name "$name" "${options[@]}" --console "file:$work/log" \
    "${files[@]}" --file "$work/guest.sh:/guest.sh" -- sh /guest.sh >"$work/out" 2>"$work/errors" </dev/null &
  guest=$! round=0
  wait_for_pass 0
  for round in $(seq $((rounds / 2))); do
    # At any moment of a pass.
    sleep "0.$((RANDOM % 10))"
    "$martlet" suspend "$name" "$work/snapshot" >"$work/said" 2>&1 || fail "round $round: $(tail -n 1 "$work/said")"
    wait "$guest" || fail "the suspended guest's process ended with $?"
    before=$(grep -c '^pass' "$work/out" || true)
    mv "$work/snapshot" "$work/now"
    "$martlet" restore --quiet --lazy "$work/now" >>"$work/out" 2>"$work/errors" </dev/null &
    guest=$!
    wait_for_pass "$before"
    ! { log; cat "$work/out"; } | grep -E "$troubles" || fail "trouble in round $round"
  done
  "$martlet" stop "$name" --end 1 >/dev/null 2>&1 || true
  wait "$guest" 2>/dev/null || true
  guest=
  echo "$platform: $((rounds / 2)) rounds, $(grep -c '^pass' "$work/out") passes of stress-ng, none wrong"
done
echo "$((rounds / 2 * 2)) rounds in $(($(date +%s) - begin)) s"
