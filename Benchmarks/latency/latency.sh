#!/bin/bash
# `make bench-latency`: how late a timer of the guest comes while every device is busy, on Martlet
# with threaded and with inline interrupts and on QEMU's emulation, in turn.
#
# Set by the environment: ROUNDS, CPUS, DURATION (seconds a round), INTERVAL (microseconds), LOAD
# (busy or idle), SIDES (threaded inline qemu), MARTLET (the program). Each round boots each side once;
# their samples are taken together. The guest's kernel is fully preemptible: with voluntary preemption,
# Debian's default, the 99th percentile is how long its own work goes on without a look at the scheduler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
martlet=${MARTLET:-martlet}
rounds=${ROUNDS:-3} processors=${CPUS:-2} load=${LOAD:-busy}
sides=${SIDES:-threaded inline qemu}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The same kernel, initramfs and programs for every side.
kernel=$("$martlet" pull debian)
tree=$work/tree
mkdir -p "$tree"/{bin,proc,sys,dev}
cp "$(command -v busybox)" "$tree/bin/busybox"
for name in sh mount stty nproc head cat sleep kill awk poweroff; do
  busybox --list | grep -qx "$name" || { echo "latency: this busybox has no $name" >&2; exit 1; }
  ln -s busybox "$tree/bin/$name"
done
cp "$(command -v cyclictest)" "$tree/bin/cyclictest"
for library in $(ldd "$(command -v busybox)" "$(command -v cyclictest)" 2>/dev/null |
  grep -o '/[^ )]*' | grep -v ':$' | sort -u); do
  mkdir -p "$tree$(dirname "$library")"
  cp -L "$library" "$tree$library"
done
install -m 755 "$here/init" "$tree/init"
printf 'DURATION=%s\nINTERVAL=%s\nLOAD=%s\n' \
  "${DURATION:-20}" "${INTERVAL:-1000}" "$load" >"$tree/latency.conf"
(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs"

# A person types 64 bytes every 5 ms; a terminal shows 4 KiB every 20 ms.
typist='$SIG{PIPE} = sub { exit }; $| = 1;
  while (1) { print "x" x 63, "\n"; select undef, undef, undef, 0.005 }'
terminal='while (sysread(STDIN, $b, 4096)) {
    syswrite STDOUT, $b; select undef, undef, undef, 0.02 unless $b =~ /LATENCY|SAMPLE/ }'

run() {
  local side=$1 output=$2 command
  case $side in
    threaded | inline)
      command=("$martlet" run --quiet --kernel "$kernel" --initrd "$work/initramfs" --cpus
        "$processors" --memory 512M --interrupts "$side" --append "quiet preempt=full" --stats
        --console file:/dev/stdout) ;;
    qemu)
      command=(qemu-system-x86_64 -accel tcg,thread=multi -smp "$processors" -m 512 -display none
        -nodefaults -no-reboot -kernel "$kernel" -initrd "$work/initramfs" -append
        "console=ttyS0 8250.nr_uarts=4 panic=-1 quiet preempt=full" -serial stdio -serial null -serial null
        -serial null) ;;
  esac
  perl -e "$typist" | timeout 300 "${command[@]}" 2>"$output.errors" | perl -e "$terminal" \
    >"$output" || true
  if ! grep -aq "LATENCY END" "$output" || ! grep -aq "^SAMPLE" "$output"; then
    echo "latency: $side ended before its work; its last words:" >&2
    grep -av "^SAMPLE" "$output" | grep -aA 20 "^LATENCY" | head -c 3000 >&2
    tail -c 1000 "$output" "$output.errors" >&2
    exit 1
  fi
}

percentiles() {
  cat "$@" | tr -d '\r' | awk '
    /^SAMPLE/ { count[$2] += $3; total += $3 }
    /^MAX/ && $2 > max { max = $2 }
    /^OVER/ { total += $2 }
    END {
      split("50 99 99.9", wanted, " ")
      for (value = 0; value <= 500000 && shown < 3; value++) {
        seen += count[value]
        while (shown < 3 && seen >= total * wanted[shown + 1] / 100) result[++shown] = value
      }
      printf "%10d %10s %10s %10s %10d\n", total, result[1], result[2], result[3], max
    }'
}

for round in $(seq "$rounds"); do
  for side in $sides; do
    echo "round $round of $rounds: $side" >&2
    began=$SECONDS
    run "$side" "$work/$side.$round"
    echo "  took $((SECONDS - began)) s" >&2
    if [ "$side" != qemu ] && [ -n "${STATS:-}" ]; then
      tail -n 1 "$work/$side.$round.errors" >"$STATS.$side.$round"
    fi
  done
done
echo "cyclictest in the guest, $processors vCPUs, $load, microseconds"
printf '%-10s %10s %10s %10s %10s %10s\n' side samples p50 p99 p99.9 max
for side in $sides; do printf '%-10s %s\n' "$side" "$(percentiles "$work/$side".[0-9])"; done
