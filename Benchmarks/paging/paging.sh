#!/bin/bash
# `make bench-paging`: what computing threads of a guest get done beside threads that touch memory which
# the host does not have at hand, by what the vCPU does meanwhile. The method is that of the benchmark
# with which asynchronous page faults were proposed for KVM (`programs/apf.c`): 4 vCPUs, 2 GiB, of which
# the host keeps 512 MiB, 4 faulting and 4 working threads on an array of 1 GiB, 60 seconds, 10 rounds.
#
# Set by the environment: SIDES (async: the guest is told and runs something else; halt: it boots with
# no-kvmapf, and the vCPU halts but takes interrupts; block: the worker that runs it waits, as hosts did),
# ROUNDS, DURATION, CPUS, MEMORY, RESIDENT (or off: the host keeps it all, and the sides differ in nothing
# but no-kvmapf), ARRAY (MiB), FAULTERS, WORKERS, PADDED (1: each worker counts in a cache line of its own),
# MARTLET (the program), PROGRAMS (where ours are), OPTIONS (more of `martlet run`'s), JSON (where the
# numbers go). Each round boots the guest once for each side, every second round backwards.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
martlet=${MARTLET:-martlet}
sides=${SIDES:-async halt block}
rounds=${ROUNDS:-3} duration=${DURATION:-60} processors=${CPUS:-4} memory=${MEMORY:-2G}
resident=${RESIDENT:-512M} array=${ARRAY:-1024} faulters=${FAULTERS:-4} workers=${WORKERS:-4}
json=${JSON:-}
padded=()
[ -n "${PADDED:-}" ] && padded=(-p)
read -ra options <<<"${OPTIONS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$resident" != off ] && ! "$martlet" run --help | grep -- --page-faults >/dev/null; then
  echo "paging: $martlet has no --page-faults; RESIDENT=off runs without" >&2
  exit 1
fi
mkdir -p "$work/tree/bin"
cp "$PROGRAMS/apf" "$work/tree/bin"
cp "$here/guest" "$work/tree/guest"

# Boots the guest; what it printed goes to the file named last, Martlet's statistics to FILE.statistics.
run() {
  local side=$1 output=$2 arguments=()
  [ "$side" = halt ] && arguments+=(--append no-kvmapf)
  if [ "$resident" != off ]; then
    arguments+=(--resident "$resident" --page-faults)
    if [ "$side" = block ]; then arguments+=(block); else arguments+=(async); fi
  fi
  "$martlet" run --quiet --platform kvm --cpus "$processors" --memory "$memory" --stats \
    --timeout $((duration * 5 + 300)) "${arguments[@]}" "${options[@]}" --file "$work/tree:/" -- \
    sh /guest "$faulters" "$workers" "$duration" "$array" "${padded[@]}" \
    >"$output" 2>"$output.errors" || {
    echo "paging: $side: the guest ended; its last words:" >&2
    tail -c 1000 "$output" "$output.errors" >&2
    exit 1
  }
  grep -q '^total: ' "$output" || { echo "paging: $side: no total" >&2; exit 1; }
  { grep '^{' "$output.errors" || echo null; } | tail -n 1 >"$output.statistics"
}

# The number that each round of a side printed after a word and a colon, a line each.
numbers() { awk -v word="$2:" '$1 == word { print $2 }' "$work/$1".round*[0-9]; }

# Mean, its standard error, median, of numbers a line each.
moments() {
  sort -n | awk '{ v[NR] = $1; sum += $1 } END {
    if (NR == 0) { print "0 0 0"; exit }
    mean = sum / NR
    for (i = 1; i <= NR; i++) squares += (v[i] - mean) ^ 2
    error = NR > 1 ? sqrt(squares / (NR - 1) / NR) : 0
    m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
    printf "%.0f %.0f %.0f\n", mean, error, m }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.3f", a / b; else print "-" }'; }

for round in $(seq "$rounds"); do
  order=$sides
  [ $((round % 2)) = 0 ] && order=$(printf '%s\n' $sides | tac | tr '\n' ' ')
  for side in $order; do
    echo "round $round of $rounds: $side" >&2
    began=$SECONDS
    run "$side" "$work/$side.round$round"
    echo "  took $((SECONDS - began)) s:" \
      $(grep '^faults\|^total\|^callbacks' "$work/$side.round$round") >&2
  done
done

# Everything is compared with the last side: as published, with a host that waits.
base=$(printf '%s\n' $sides | tail -n 1)
read -r baseMean _ baseMedian <<<"$(numbers "$base" total | moments)"
echo "$processors vCPUs on $(nproc) processors, $memory, resident $resident, array of $array MiB," \
  "$faulters faulting and $workers working threads, $duration s, $rounds rounds"
printf '%-8s %16s %14s %9s %9s %14s %12s  %s\n' side "work, mean" "std error" "/$base" "medians" \
  "writes/s" "callbacks" "work of each round"
for side in $sides; do
  read -r mean error median <<<"$(numbers "$side" total | moments)"
  read -r faults _ _ <<<"$(numbers "$side" faults | moments)"
  read -r callbacks _ _ <<<"$(numbers "$side" callbacks | moments)"
  printf '%-8s %16s %14s %9s %9s %14s %12s  %s\n' "$side" "$mean" "$error" \
    "$(ratio "$mean" "$baseMean")" "$(ratio "$median" "$baseMedian")" \
    "$((faults / duration))" "$callbacks" "$(echo $(numbers "$side" total))"
done
echo "published in 2010: async 1.909, halt 1.128 (https://lkml.org/lkml/2010/10/14/115)"

[ -z "$json" ] && exit 0
mkdir -p "$(dirname "$json")"
list() { numbers "$1" "$2" | paste -sd ,; }
{
  printf '{"cpus":%d,"hostProcessors":%d,"memory":"%s","resident":"%s","arrayMebibytes":%d,' \
    "$processors" "$(nproc)" "$memory" "$resident" "$array"
  printf '"faulters":%d,"workers":%d,"padded":%s,"seconds":%d,"sides":{' \
    "$faulters" "$workers" "$([ ${#padded[@]} -gt 0 ] && echo true || echo false)" "$duration"
  comma=
  for side in $sides; do
    printf '%s"%s":{"total":[%s],"faults":[%s],"callbacks":[%s],"statistics":[%s]}' "$comma" "$side" \
      "$(list "$side" total)" "$(list "$side" faults)" "$(list "$side" callbacks)" \
      "$(cat "$work/$side".round*.statistics | paste -sd ,)"
    comma=,
  done
  printf '}}\n'
} >"$json"
echo "$json has the numbers and Martlet's statistics" >&2
