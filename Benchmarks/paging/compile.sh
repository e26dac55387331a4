#!/bin/bash
# `make bench-compile`: a real load with half of its memory at hand. A KVM guest compiles C programs with the host's GCC,
# four at a time, each several times; what is told is the elapsed time by what a vCPU does without its page (async, halt, block), and
# with all of the memory there (all).
#
# Set by the environment: SIDES, ROUNDS, CPUS, MEMORY, RESIDENT, TIMES (of each file), MARTLET (the program).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
martlet=${MARTLET:-martlet} sides=${SIDES:-all async halt block} rounds=${ROUNDS:-3}
processors=${CPUS:-4} memory=${MEMORY:-320M} resident=${RESIDENT:-160M} times=${TIMES:-4}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Preprocessed here: a guest needs no headers.
mkdir "$work/source"
for file in "$here"/../programs/*.c; do
  gcc -O2 -E -o "$work/source/$(basename "$file" .c).i" "$file"
done
files=(--file "$work/source:/source")
cc1=$(gcc -print-prog-name=cc1)
for program in /usr/bin/gcc /usr/bin/as "$cc1"; do
  for file in "$program" $(ldd "$program" | grep -o '/[^ ]*'); do
    case " ${files[*]} " in *" $file:$file "*) ;; *) files+=(--file "$file:$file") ;; esac
  done
done
cat >"$work/guest.sh" <<'S'
cd /source; mkdir /tmp/out
one() { for n in $(seq $TIMES); do for f in *.i; do echo "$f /tmp/out/$f.$n.o"; done; done; }
begin=$(cut -d' ' -f1 /proc/uptime)
one | xargs -n 2 -P 4 sh -c 'gcc -O2 -c -o $1 $0' || exit 1
end=$(cut -d' ' -f1 /proc/uptime)
# Each file is the same however often it was made.
for f in *.i; do md5sum /tmp/out/$f.*.o | cut -d' ' -f1 | sort -u | wc -l; done | sort -u | tr -d '\n'
echo " $begin $end" | awk '{ printf " %.2f\n", $2 - $1 }'
S

printf '%-8s %10s %10s %12s %12s\n' side 'elapsed s' 'vCPUs s' 'pages in' 'worker waits'
for round in $(seq "$rounds"); do
  for side in $sides; do
    options=(--page-faults block)
    case $side in
    all) options=() ;;
    async) options=(--resident "$resident") ;;
    *) options=(--resident "$resident" --page-faults "$side") ;;
    esac
    "$martlet" run --quiet --stats --platform kvm --cpus "$processors" --memory "$memory" "${options[@]}" "${files[@]}" \
      --file "$work/guest.sh:/guest.sh" -- env TIMES="$times" sh /guest.sh >"$work/out" 2>"$work/errors" || {
      cat "$work/out" "$work/errors" >&2
      exit 1
    }
    read -r same elapsed <"$work/out"
    [ "$same" = 1 ] || { echo "compile: the same file was compiled to different objects" >&2; exit 1; }
    python3 - "$side" "$elapsed" "$work/errors" <<'P'
import json, sys
side, elapsed, file = sys.argv[1:]
statistics = json.loads([line for line in open(file) if line.startswith("{")][-1])
pager = statistics["parts"].get("pager", {})
print(f"{side:8} {float(elapsed):10.2f} {statistics['processorSeconds']:10.2f} {pager.get('swappedIn', 0):12} {pager.get('workerWaits', 0):12}")
P
  done
done
