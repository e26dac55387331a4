#!/bin/bash
# `make bench-devices`: what a guest's network and disk carry, on Martlet with Xen's backends and on QEMU's
# emulation with virtio, in turn.
#
# Set by the environment: ROUNDS, CPUS, SECONDS_EACH (of a row), SIDES (martlet qemu), ROWS (net disk),
# FOLDER (where the disk's file is), DISK_OPTIONS (of --disk), NET (user or tap), MARTLET (the program). Each round boots each side
# once; the medians are compared. Both have user networking to an iperf3 on the loopback interface, or a TAP
# in a network namespace that is made for it (as root); and a raw file through the host's page cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
martlet=${MARTLET:-martlet}
if [ "${NET:-user}" = tap ] && [ -z "${MARTLET_IN_NAMESPACE:-}" ]; then
  # Before the modules are fetched, which a namespace cannot.
  "$martlet" run --quiet --module virtio_net -- true
  MARTLET_IN_NAMESPACE=1 exec unshare --net "$0"
fi
rounds=${ROUNDS:-3} processors=${CPUS:-2} sides=${SIDES:-martlet qemu} rows=${ROWS:-net disk}
work=$(mktemp -d "${FOLDER:-/tmp}/martlet-devices.XXXXXX")
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; } 2>/dev/null; rm -rf "$work"' EXIT

# The same kernel, initramfs and programs for both sides.
kernel=$("$martlet" pull debian)
"$martlet" run --quiet --module virtio_net -- true
modules=$(dirname "$kernel")/modules/kernel/drivers
[ -d "$modules" ] || modules=$(dirname "$(dirname "$kernel")")/modules/kernel/drivers
tree=$work/tree
mkdir -p "$tree"/{bin,proc,sys,dev,tmp,modules}
cp "$(command -v busybox)" "$tree/bin/busybox"
for name in sh mount insmod ifconfig sleep grep cut poweroff seq; do
  ln -s busybox "$tree/bin/$name"
done
for program in iperf3 fio; do cp "$(command -v $program)" "$tree/bin/$program"; done
for library in $(ldd "$(command -v busybox)" "$(command -v iperf3)" "$(command -v fio)" 2>/dev/null |
  grep -o '/[^ )]*' | grep -v ':$' | sort -u); do
  mkdir -p "$tree$(dirname "$library")"
  cp -L "$library" "$tree$library"
done
for module in virtio/virtio_ring virtio/virtio virtio/virtio_pci_legacy_dev virtio/virtio_pci_modern_dev \
  virtio/virtio_pci ../net/core/failover net/net_failover net/virtio_net block/virtio_blk net/xen-netfront \
  block/xen-blkfront; do
  [ -f "$modules/$module.ko" ] || continue
  cp "$modules/$module.ko" "$tree/modules/"
  echo "/modules/$(basename "$module").ko" >>"$tree/modules/order"
done
install -m 755 "$here/init" "$tree/init"
printf 'EACH=%s\nROWS="%s"\n' "${SECONDS_EACH:-5}" "$rows" >"$tree/devices.conf"
ip link set lo up 2>/dev/null || true
theirs="-netdev user,id=n" ours=user listens=127.0.0.1
if [ "${NET:-user}" = tap ]; then
  ip tuntap add martlet0 mode tap
  ip addr add 10.0.2.2/24 dev martlet0
  ip link set martlet0 up
  theirs="-netdev tap,id=n,ifname=martlet0,script=no,downscript=no" ours=tap:martlet0 listens=10.0.2.2
fi
iperf3 -s -B "$listens" -p 5320 >/dev/null 2>&1 &
server=$!
echo 'PORT=5320' >>"$tree/devices.conf"
(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs"

run() {
  local side=$1 output=$2 command
  truncate -s 0 "$work/disk"
  truncate -s 1G "$work/disk"
  case $side in
    martlet)
      command=("$martlet" run --quiet --platform xen --kernel "$kernel" --initrd "$work/initramfs"
        --cpus "$processors" --memory 512M --append quiet --disk "$work/disk${DISK_OPTIONS:-}" --net "$ours"
        --console file:/dev/stdout) ;;
    qemu)
      command=(qemu-system-x86_64 -accel tcg,thread=multi -smp "$processors" -m 512 -display none
        -nodefaults -no-reboot -kernel "$kernel" -initrd "$work/initramfs" -append
        "console=ttyS0 panic=-1 quiet" -serial stdio
        $theirs -device virtio-net-pci,netdev=n
        -drive "file=$work/disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d) ;;
  esac
  timeout 600 "${command[@]}" </dev/null >"$output" 2>"$output.errors" || true
  if ! grep -aq "^DEVICES END" "$output"; then
    echo "devices: $side ended before its work; its last words:" >&2
    tail -c 2000 "$output" "$output.errors" >&2
    exit 1
  fi
}

for round in $(seq "$rounds"); do
  for side in $sides; do
    echo "round $round of $rounds: $side" >&2
    began=$SECONDS
    run "$side" "$work/$side.$round"
    echo "  took $((SECONDS - began)) s" >&2
  done
done

# The median of a row over the rounds of a side.
median() {
  { cat "$work/$1".[0-9] 2>/dev/null || true; } | tr -d '\r' | awk -v row="$2" '$1 == "RESULT" && $2 == row { print $3 }' |
    sort -g | awk '{ value[NR] = $1 } END { if (NR) print value[int((NR + 1) / 2)] }'
}

echo "${NET:-user} networking and a raw disk, $processors vCPUs, medians of $rounds"
printf '%-22s %12s %12s %10s\n' row martlet qemu ratio
for row in $(cat "$work"/*.[0-9] | tr -d '\r' | awk '$1 == "RESULT" && !seen[$2]++ { print $2 }'); do
  ours=$(median martlet "$row") theirs=$(median qemu "$row")
  printf '%-22s %12s %12s %10s\n' "$row" "${ours:--}" "${theirs:--}" \
    "$(awk -v a="${ours:-0}" -v b="${theirs:-0}" 'BEGIN { if (b > 0) printf "%.2f", a / b; else print "-" }')"
done
