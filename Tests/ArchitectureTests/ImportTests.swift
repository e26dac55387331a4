import Foundation
import Testing

/// The import arrows of ARCHITECTURE.md, and what files of the inner rows may not contain.
struct ImportTests {
    static let rows: [String: Int] = [
        "CHost": 0, "CEngine": 0, "CLZMA": 0, "CZlib": 0, "CZstd": 0, "CLZ4": 0, "CSlirp": 0,
        "CUring": 0, "CNBD": 0, "Vocabulary": 1, "HostIO": 2, "GuestMemory": 2, "Trace": 3,
        "VirtualCPU": 3, "X86": 4, "SoftwareCPU": 5, "Interrupts": 4, "Clocks": 4, "Bus": 4,
        "LegacyDevices": 6, "KVMParavirt": 6, "XenStore": 5, "Xen": 6, "Networks": 6, "Disks": 6,
        "Boot": 7, "Scheduler": 7, "XenBackends": 7, "Snapshot": 7,
        "Paging": 6,
        "Machine": 8, "CLICommands": 9, "martlet": 10,
    ]

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The Swift files of the sources with the target each is in.
    static func files() throws -> [(target: String, url: URL)] {
        let sources = root.appendingPathComponent("Sources")
        let manager = FileManager.default
        return try manager.contentsOfDirectory(atPath: sources.path).flatMap { target in
            let folder = sources.appendingPathComponent(target)
            let names = try manager.subpathsOfDirectory(atPath: folder.path)
            return names.filter { $0.hasSuffix(".swift") }
                .map { (target, folder.appendingPathComponent($0)) }
        }
    }

    /// The modules that a source text imports.
    static func imports(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ").map(String.init)
            while let first = words.first,
                ["public", "internal", "package", "@testable", "@preconcurrency"].contains(first)
            {
                words.removeFirst()
            }
            return words.count == 2 && words[0] == "import" ? words[1] : nil
        }
    }

    /// What is wrong with an import, or nil.
    static func fault(_ target: String, _ module: String) -> String? {
        guard let own = rows[target] else { return "\(target) has no row" }
        if module == "Foundation" { return own < 8 ? "\(target) imports Foundation" : nil }
        guard let other = rows[module] else { return nil }
        return other < own ? nil : "\(target) imports \(module), which is not above it"
    }

    @Test func importsPointUpwards() throws {
        let files = try Self.files()
        #expect(files.count > 100)
        for (target, url) in files {
            for module in Self.imports(try String(contentsOf: url, encoding: .utf8)) {
                let fault = Self.fault(target, module)
                #expect(fault == nil, "\(url.lastPathComponent): \(fault ?? "")")
            }
        }
    }

    @Test func wrongArrowsAreFound() {
        #expect(Self.imports("public import Machine\n") == ["Machine"])
        #expect(Self.fault("GuestMemory", "Machine") != nil)
        #expect(Self.fault("X86", "SoftwareCPU") != nil)
        #expect(Self.fault("Boot", "Foundation") != nil)
        #expect(Self.fault("Machine", "Boot") == nil)
    }

    @Test func innerRowsDoNotTrap() throws {
        for (target, url) in try Self.files() where (Self.rows[target] ?? 0) < 8 {
            let text = try String(contentsOf: url, encoding: .utf8)
            for word in ["fatalError(", "try!", "as!"] {
                #expect(!text.contains(word), "\(url.lastPathComponent) has \(word)")
            }
        }
    }

    @Test func filesStaySmall() throws {
        for (_, url) in try Self.files() where !url.path.hasSuffix(".generated.swift") {
            let lines = try String(contentsOf: url, encoding: .utf8).split(
                separator: "\n", omittingEmptySubsequences: false
            ).count
            #expect(lines <= 600, "\(url.lastPathComponent) has \(lines) lines")
        }
    }
}
