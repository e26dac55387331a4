#!/bin/bash
# `make bench-yield`: what many vCPUs on few cores get done with directed yield and without, where they
# contend in the kernel and where they do not.
#
# Set by the environment: ROUNDS, CPUS, DURATION (seconds of each load), LOADS (names below), LOCKS
# (spinning: the guest boots with nopvspin; paravirtual), MARTLET (the program), PROGRAMS (where ours
# are), OPTIONS (more of `martlet run`'s). Each round boots the guest once for each kind of locks, with
# and without.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
martlet=${MARTLET:-martlet}
rounds=${ROUNDS:-3} processors=${CPUS:-16} duration=${DURATION:-8}
loads=${LOADS:-hackbench futex fork mutex cpu matrix pipe}
read -ra options <<<"${OPTIONS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/tree/bin"
programs=("$(command -v hackbench)" "$(command -v stress-ng)")
cp "$PROGRAMS/contention" "$work/tree/bin"
cp "${programs[@]}" "$work/tree/bin"
for library in $(ldd "${programs[@]}" | grep -o '/[^ )]*' | grep -v ':$' | sort -u); do
  mkdir -p "$work/tree$(dirname "$library")"
  cp -L "$library" "$work/tree$library"
done
cp "$here/loads" "$work/tree/loads"

# Writes "LOAD operations-a-second" of each load to the file named last.
run() {
  local locks=$1 yield=$2 output=$3 append=()
  [ "$locks" = spinning ] && append=(--append nopvspin)
  "$martlet" run --quiet --cpus "$processors" --memory 1G --directed-yield "$yield" --timeout 900 \
    "${append[@]}" "${options[@]}" --file "$work/tree:/" -- \
    sh /loads "$processors" "$duration" $loads >"$output" 2>"$work/errors" || {
    echo "contention: $locks, directed yield $yield: the guest ended; its last words:" >&2
    tail -c 1000 "$output" "$work/errors" >&2
    exit 1
  }
}

# Of what one load did in each round, a file each: the median, a tab, and all of it.
summary() {
  local load=$1
  shift
  awk -v load="$load" '$1 == load { print $2 }' "$@" | sort -n |
    awk '{ v[NR] = $1 } END {
      m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
      printf "%.1f\t", m; for (i = 1; i <= NR; i++) printf "%s%.0f", (i > 1 ? " " : ""), v[i] }'
}

kinds=${LOCKS:-spinning paravirtual}
for round in $(seq "$rounds"); do
  for locks in $kinds; do
    for yield in off on; do
      echo "round $round of $rounds: $locks locks, directed yield $yield" >&2
      began=$SECONDS
      run "$locks" "$yield" "$work/$locks.$yield.round$round"
      echo "  took $((SECONDS - began)) s:" $(<"$work/$locks.$yield.round$round") >&2
    done
  done
done
echo "$processors vCPUs on $(nproc) processors, operations a second, medians of $rounds, and all of them"
printf '%-12s %-10s %10s %10s %7s  %s\n' locks load off on on/off "off; on"
for locks in $kinds; do
  for load in $loads; do
    IFS=$'\t' read -r off offs <<<"$(summary "$load" "$work/$locks".off.round*)"
    IFS=$'\t' read -r on ons <<<"$(summary "$load" "$work/$locks".on.round*)"
    printf '%-12s %-10s %10s %10s %7s  %s\n' "$locks" "$load" "$off" "$on" \
      "$(awk -v a="$on" -v b="$off" 'BEGIN { if (b > 0) printf "%.2f", a / b; else print "-" }')" "$offs; $ons"
  done
done
