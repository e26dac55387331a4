/// What the shells run, in the guest and on the host.
public enum Scripts {
    /// `/init` of the guest: says that it is there before anything else.
    public static let initial = """
        #!/bin/sh
        echo "\(Observation.mark)up"
        busybox mount -t proc proc /proc
        busybox mount -t devtmpfs dev /dev
        busybox mount -t tmpfs tmp /tmp
        echo 1 >/proc/sys/kernel/printk
        for word in $(busybox cat /proc/cmdline); do
          case $word in bench.rows=*) rows=${word#*=} ;; esac
        done
        export BENCH=/bench SCRATCH=/tmp
        busybox sh /bench/rows.sh $(echo "$rows" | busybox tr , ' ')
        busybox poweroff -f

        """

    /// Runs the rows named by its arguments; the same script on every side.
    public static let rows = """
        export PATH=/usr/bin:/bin LC_ALL=C TMPDIR="$SCRATCH" OPENSSL_CONF=/dev/null
        cd "$BENCH"
        for row; do
          echo "\(Observation.mark)begin $row $($BENCH/timed now)"
          "$BENCH/timed" limit \(Row.largestSeconds) "$BENCH/busybox" sh "$BENCH/rows/$row" 2>&1
          status=$?
          echo "\(Observation.mark)end $row $($BENCH/timed now) $status"
        done
        echo "\(Observation.mark)done"

        """
}
