extension Row {
    /// Everything that is measured. A new row is a line here, and a program if it needs one.
    public static let all: [Row] =
        [Row("boot", "s", .boot)] + computing + kernel + programs + [
            Row(
                "shell-loop-rate", "MIPS", .instructionRate(of: "shell-loop"),
                processorCounts: 1...1)
        ]

    private static func compute(_ name: String, _ unit: String, _ script: String) -> Row {
        Row(name, unit, .program(script), isCompute: true)
    }

    /// Own programs in user mode.
    private static let computing = [
        compute("integer", "iter/s", "$BENCH/integer"),
        Row(
            "integer-pair", "iter/s", .program("$BENCH/integer pair"), isCompute: true,
            processorCounts: 2...255),
        compute("floating", "us", "$BENCH/floating"),
        compute("matrix-scalar", "MFLOP/s", "$BENCH/matrix scalar"),
        compute("matrix-sse2", "MFLOP/s", "$BENCH/matrix sse2"),
        compute("matrix-x87", "MFLOP/s", "$BENCH/matrix x87"),
        compute("calls-recursive", "Mcall/s", "$BENCH/calls recursive"),
        compute("calls-indirect", "Mcall/s", "$BENCH/calls indirect"),
        compute("memory-copy", "MB/s", "$BENCH/memory copy"),
        compute("memory-chase", "ns", "$BENCH/memory chase"),
    ]

    /// What the kernel does, and code that changes.
    private static let kernel = [
        Row("system-call", "ns", .program("$BENCH/kernel call")),
        Row("page-fault", "ns", .program("$BENCH/kernel fault")),
        Row("tlb-shootdown", "us", .program("$BENCH/kernel shootdown")),
        Row("fork-exec", "us", .program("$BENCH/processes exec")),
        Row("fork-exec-dynamic", "us", .program("$BENCH/processes exec /usr/bin/true")),
        Row("pipe", "us", .program("$BENCH/processes pipe")),
        Row("code-patch", "ns", .program("$BENCH/patch")),
        Row("bpf-filter", "us", .program("$BENCH/kernel filter")),
    ]

    /// The host's own programs, at the same paths in the guest.
    private static let programs = [
        compute(
            "shell-loop", "ms",
            """
            exec $BENCH/timed shell-loop 10000 $BENCH/busybox sh -c '
              i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; echo $i'
            """),
        compute(
            "bash-loop", "ms",
            """
            exec $BENCH/timed bash-loop 10000 /usr/bin/bash -c '
              i=0; while ((i < 10000)); do ((i++)); done; echo $i'
            """),
        Row(
            "python-start", "ms",
            .program("exec $BENCH/timed python-start '' /usr/bin/python3 -I -c pass")),
        compute(
            "python-compute", "ms",
            """
            exec $BENCH/timed python-compute '6765 1720 87092' /usr/bin/python3 -I -c '
            def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
            seen = {}
            for number in range(20000):
                word = "w%d" % (number * 7919 % 1720)
                seen[word] = seen.get(word, 0) + len(word)
            print(fib(20), len(seen), sum(seen.values()))'
            """),
        compute("xz", "ms", packing("xz", suffix: "xz", "/usr/bin/xz -T1 -6")),
        compute("gzip", "ms", packing("gzip", suffix: "gz", "/usr/bin/gzip -6")),
        compute(
            "sha256sum", "ms",
            """
            exec $BENCH/timed sha256sum "$($BENCH/busybox cat long-text.sum)" \
              /usr/bin/sha256sum long-text
            """),
        compute("sqlite", "ms", sqlite),
        Row(
            "gcc", "ms",
            .program("exec $BENCH/timed gcc '' /usr/bin/gcc -O2 -c -o $SCRATCH/calls.o calls.i")),
        compute("openssl-sha256", "MB/s", opensslSpeed("openssl-sha256", "-evp sha256")),
        compute("openssl-aes", "MB/s", opensslSpeed("openssl-aes", "-evp aes-128-gcm")),
        compute(
            "openssl-chacha20", "MB/s",
            opensslSpeed("openssl-chacha20", "-evp chacha20-poly1305")),
        compute("openssl-rsa2048", "sign/s", opensslSpeed("openssl-rsa2048", "rsa2048")),
    ]

    /// Packs the text, and looks afterwards whether it is still the text.
    private static func packing(_ name: String, suffix: String, _ command: String) -> String {
        """
        $BENCH/busybox cp text $SCRATCH/text
        $BENCH/timed \(name) '' \(command) -kf $SCRATCH/text &&
          \(command) -dc $SCRATCH/text.\(suffix) | $BENCH/busybox cmp - text
        """
    }

    /// A table and an index in memory, a range of it and a join.
    private static let sqlite = """
        exec $BENCH/timed sqlite '2000|1000015.0|w02999
        2000' /usr/bin/sqlite3 :memory: "
          CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT, weight REAL);
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
            INSERT INTO word SELECT i, printf('w%05d', i * 7919 % 4001), i * 0.25 FROM n;
          CREATE INDEX byText ON word(text);
          SELECT count(*), sum(weight), max(text) FROM word
            WHERE text BETWEEN 'w01000' AND 'w02999';
          SELECT count(*) FROM word a JOIN word b ON b.text = printf('w%05d', a.id)
            WHERE b.id > a.id;"
        """

    /// A second by the wall clock, in blocks of 8 KiB: megabytes, or signatures, a second.
    private static func opensslSpeed(_ name: String, _ algorithm: String) -> String {
        let value = algorithm.hasPrefix("-evp") ? "$4 / 1e6, \"MB/s\"" : "$4, \"sign/s\""
        return """
            /usr/bin/openssl speed -elapsed -seconds 1 -bytes 8192 -mr \(algorithm) 2>/dev/null |
              $BENCH/busybox awk -F: '/^.F/ { print "\(name)", \(value) }'
            """
    }
}
