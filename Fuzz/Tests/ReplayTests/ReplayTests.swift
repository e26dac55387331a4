import Foundation
import FuzzTargets
import Testing

/// Every case that was ever found, again. A trap ends the whole run; the case is named before.
@Suite(.serialized) struct ReplayTests {
    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("FailCases")

    static var fileNames: [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasSuffix(".case") }.sorted()
    }

    @Test(.timeLimit(.minutes(1)), arguments: fileNames)
    func everyCaseKeepsItsPromises(_ name: String) throws {
        print("replay: \(name)")
        let file = Self.folder.appendingPathComponent(name)
        let text = try String(contentsOf: file, encoding: .utf8)
        let found = try #require(FailCase(fileName: name, text: text))
        let type = try #require(FuzzTargets.named(found.targetName))
        #expect(try type.init().run(found.bytes) == nil)
    }

    @Test func casesAreTheSameEveryTime() throws {
        for type in FuzzTargets.all {
            let target = try type.init()
            for index: UInt64 in 0..<20 {
                var one = FuzzRandom(seed: 7, index: index)
                var two = FuzzRandom(seed: 7, index: index)
                let bytes = target.makeCase(&one)
                #expect(bytes == target.makeCase(&two))
                let file = FailCase(targetName: type.name, bytes: bytes, remarks: ["a remark"])
                #expect(FailCase(fileName: file.fileName, text: file.text) == file)
            }
        }
    }

    @Test func anythingIsACase() throws {
        for type in FuzzTargets.all {
            #expect(try type.init().run([]) == nil)
            #expect(try type.init().run([7]) == nil)
        }
    }
}
