import Foundation
import Testing

/// Real programs give the same bytes in the guest as on the host, from the same files.
@Suite(.serialized, .enabled(if: Martlet.path != nil && BareGuest.folder != nil))
struct ProgramTests {
    private static let folder = BareGuest.folder ?? ""
    private static let has32 = FileManager.default.fileExists(atPath: folder + "/numbers-32")
    private static let cases: [ProgramCase] =
        [
            ProgramCases.i386, ProgramCases.i386VDSO, ProgramCases.numbers("numbers"),
            ProgramCases.numbers("numbers-static"), ProgramCases.digests, ProgramCases.xz,
            ProgramCases.gzip, ProgramCases.opensslDigests, ProgramCases.opensslCiphers,
            ProgramCases.opensslKeys, ProgramCases.opensslSpeed, ProgramCases.sqlite,
            ProgramCases.bc, ProgramCases.perl, ProgramCases.coreutils,
            ProgramCases.busybox("busybox"), ProgramCases.busybox("busybox-host"), ProgramCases.gcc,
        ] + (has32 ? [ProgramCases.numbers("numbers-32")] : [])

    /// One boot for all of them.
    private static let boot = Result { try makeBoot(["--cpu", "v2"]) }

    /// The same with the processor of x86-64-v3, where libraries choose AVX2 and FMA.
    private static let version3 = Result { try makeBoot(["--cpu", "v3"]) }

    private static func makeBoot(_ options: [String]) throws -> ProgramBoot {
        let compiler = try Compiler()
        return try ProgramBoot(
            cases,
            programs: ProgramCases.tools + compiler.programs
                + ["/bin/busybox", folder + "/numbers"].filter {
                    FileManager.default.isExecutableFile(atPath: $0)
                },
            trees: compiler.trees, options: ["--memory", "2G", "--timeout", "1500"] + options,
            inputs: inputs)
    }

    @Test(arguments: cases) func sameBytesAsOnTheHost(_ one: ProgramCase) throws {
        try Self.boot.get().expectSame(one)
    }

    @Test(.enabled(if: ProcessorTests.isVersion3), arguments: cases)
    func sameBytesOnVersion3(_ one: ProgramCase) throws {
        try Self.version3.get().expectSame(one)
    }

    /// The kernel offers 32-bit programs no vDSO: the program says so, and `int 0x80` is enough.
    @Test func thirtyTwoBitProgramWithoutVDSO() throws {
        let file = ["--file", Self.folder + "/i386:/i386"]
        let native = try Martlet.run(tool: Self.folder + "/i386", [])
        #expect(native.status == 0)
        let guest = try Martlet.run(
            ["run", "--timeout", "300", "--append", "vdso32=0"] + file + [
                "--", "sh", "-c", "/i386; /i386 vdso; echo $?",
            ])
        #expect(guest.status == 0)
        let text = String(decoding: guest.output, as: UTF8.self)
        #expect(text == String(decoding: native.output, as: UTF8.self) + "3\n")
    }

    /// Texts and programs of this host to work on, and keys, which are random.
    private static func inputs(_ path: String) throws {
        let url = URL(fileURLWithPath: path)
        func write(_ name: String, _ data: Data) throws {
            try data.write(to: url.appendingPathComponent(name))
        }
        let licences = try Data(
            contentsOf: URL(fileURLWithPath: "/usr/share/common-licenses/GPL-3"))
        try write("text", licences + licences.reversed() + licences.prefix(20_000))
        try write("binary", Data(contentsOf: URL(fileURLWithPath: "/usr/bin/env")).prefix(300_000))
        try write("small", Data("one\ntwo\nthree\n".utf8))
        try write("other", Data("one\n2\nthree\nfour\n".utf8))
        try write("freestanding.c", Data(Compiler.sample.utf8))
        for name in ["i386", "numbers", "numbers-static", "numbers-32"]
        where FileManager.default.fileExists(atPath: "\(folder)/\(name)") {
            try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(path)/\(name)")
        }
        try FileManager.default.copyItem(
            atPath: URL(fileURLWithPath: "/bin/busybox").resolvingSymlinksInPath().path,
            toPath: path + "/busybox-host")
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Guests/programs/numbers.c")
        try write("numbers.c", Data(contentsOf: source))
        let keys = """
            cd \(path) && exec 2>/dev/null
            openssl genrsa -out rsa.pem 2048 && openssl rsa -in rsa.pem -pubout -out rsa.pub \
            && openssl genpkey -algorithm ed25519 -out ed25519.pem \
            && openssl ecparam -name prime256v1 -genkey -noout -out ec.pem \
            && openssl ec -in ec.pem -pubout -out ec.pub \
            && openssl dgst -sha256 -sign ec.pem -out ec.signature text
            """
        let made = try Martlet.run(tool: "/bin/sh", ["-c", keys])
        try #require(made.status == 0, "openssl makes no keys on the host")
    }
}

/// Python's own tests of what computes.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct PythonTests {
    private static let boot = Result {
        let script = "import sysconfig; print(sysconfig.get_path('stdlib'))"
        let answer = try Martlet.run(tool: "/usr/bin/python3", ["-c", script])
        let library = String(decoding: answer.output, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        try #require(
            FileManager.default.fileExists(atPath: library + "/test/test_math.py"),
            "'\(library)' has no tests: install libpython3.x-testsuite")
        let extensions = try FileManager.default.contentsOfDirectory(
            atPath: library + "/lib-dynload"
        ).map { "\(library)/lib-dynload/\($0)" }
        return try ProgramBoot(
            ProgramCases.pythonTests.map(ProgramCases.python),
            programs: ["/usr/bin/python3"] + extensions, trees: [library],
            options: ["--memory", "2G", "--timeout", "1500"])
    }

    @Test(arguments: ProgramCases.pythonTests) func ownTestsPassAsOnTheHost(_ name: String) throws {
        try Self.boot.get().expectSame(ProgramCases.python(name))
    }
}

/// The host's C compiler, as far as compiling without linking needs it.
private struct Compiler {
    var programs: [String]
    var trees: [String]

    init() throws {
        func ask(_ option: String) throws -> String {
            let answer = try Martlet.run(tool: "/usr/bin/gcc", [option])
            return String(decoding: answer.output, as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
        func resolved(_ name: String) -> String {
            URL(fileURLWithPath: name).resolvingSymlinksInPath().path
        }
        let assembler = try ask("-print-prog-name=as")
        programs = [
            "/usr/bin/gcc", try ask("-print-prog-name=cc1"),
            assembler.hasPrefix("/") ? assembler : "/usr/bin/\(assembler)",
        ]
        let headers = "/usr/include/\(try ask("-print-multiarch"))"
        trees =
            [try ask("-print-file-name=include"), "/usr/include/linux", "/usr/include/asm-generic"]
            + ["asm", "bits", "gnu", "sys"].map { "\(headers)/\($0)" }
        // Of the other headers only the C library's.
        let files = try Martlet.run(tool: "/usr/bin/dpkg-query", ["-L", "libc6-dev"])
        trees += String(decoding: files.output, as: UTF8.self).split(separator: "\n").map(
            String.init
        ).filter {
            $0.hasPrefix("/usr/include/") && $0.hasSuffix(".h")
                && $0.split(separator: "/").count == 3
        }
    }

    /// Loops, recursion, vectors, switches, floating point, constants folded by the compiler.
    static let sample = """
        typedef unsigned long long u64; typedef float v4 __attribute__((vector_size(16)));
        static const unsigned table[256] = { [0 ... 255] = 0x12345678u / 3 };
        static inline u64 mix(u64 x) { x ^= x >> 33; x *= 0xff51afd7ed558ccdull; return x ^ x >> 29; }
        double folded(void) { return __builtin_sin(1.0) * __builtin_exp(2.5) / 3.0; }
        long double wide(long double x) { return x * 3.14159265358979323846264338327950288L + 1; }
        unsigned crc(const unsigned char *p, unsigned long n) {
          unsigned c = ~0u; while (n--) c = table[(c ^ *p++) & 255] ^ c >> 8; return ~c; }
        void saxpy(float *restrict y, const float *restrict x, float a, int n) {
          for (int i = 0; i < n; i++) y[i] += a * x[i]; }
        v4 blend(v4 a, v4 b) { return a * b + a / b; }
        int kind(int c) { switch (c) { case 1: return 7; case 2: return 9; case 5: return 11;
          case 6: return 2; case 9: return 1; case 12: return 5; default: return c / 7; } }
        u64 ackermann(u64 m, u64 n) {
          return !m ? n + 1 : !n ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }
        struct node { struct node *left, *right; u64 key; };
        u64 walk(struct node *n, u64 s) {
          return n ? walk(n->right, mix(walk(n->left, s) + n->key)) : s; }
        int sum(int n, ...) { __builtin_va_list l; __builtin_va_start(l, n); int s = 0;
          while (n--) s += __builtin_va_arg(l, int); __builtin_va_end(l); return s; }

        """
}
