import Foundation
import HostIO

@testable import SoftwareCPU

/// A folder for stores, gone when the test is.
final class StoreFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/martlet-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open(mostBytes: Int = CodeStore.mostBytes) throws -> CodeStore {
        try CodeStore(directory: path, mostBytes: mostBytes)
    }

    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// The only file.
    var file: String { path + "/" + (names.first ?? "none") }

    func read() throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: file))) }

    /// In the place of what is there.
    func write(_ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    }

    /// Every translation in the files.
    var translations: [StoredTranslation] {
        get throws {
            let directory = try PrivateDirectory(path: path, option: "--code-cache")
            var all: [StoredTranslation] = []
            for name in names {
                guard case .file(let opened) = try directory.openFile(name),
                    let file = CodeStoreFile(opened, name: name)
                else { continue }
                all += file.index.compactMap {
                    StoredTranslation(file.entry(at: Int($0 >> 32) * 16))
                }
            }
            return all
        }
    }
}

extension StoredTranslation {
    /// Of one block of three bytes of guest code, with code that `number` makes different from other.
    static func sample(_ number: Int, codeByteCount: Int = 200) throws -> StoredTranslation {
        var page = [UInt8](repeating: 0x90, count: 4096)
        page[0x123] = UInt8(truncatingIfNeeded: number)
        page[0x124] = UInt8(truncatingIfNeeded: number >> 8)
        let code = (0..<codeByteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
        let stored = unsafe code.withUnsafeBufferPointer { code in
            unsafe page.withUnsafeBytes { page in
                unsafe StoredTranslation(
                    Key(
                        features: 0xff, mode: 2, pageOffset: 0x123, isUpper: number & 1 != 0,
                        usesGroups: true),
                    blocks: [Block(start: 0x123, end: 0x126, instructionCount: 2)],
                    entries: .init(handler: 32, polled: 48, unpolled: 72),
                    links: [.init(patch: 100, target: 0x456, isPolled: true)],
                    relocations: [
                        .init(place: 2, target: .instruction(3, block: 0)),
                        .init(place: 110, target: .routine(64)),
                    ], routines: [0, 64], code: code, page: page)
            }
        }
        guard let stored else { throw CocoaError(.coderInvalidValue) }
        return stored
    }
}
