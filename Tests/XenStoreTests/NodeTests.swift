import Testing
import Vocabulary
import XenStore

/// Requests about single nodes: paths, values, children, permissions.
@Suite struct NodeTests {
    @Test(arguments: [
        "", "a/", "/a/", "//", "/a//b", "a//b", "/a b", "/a.b", "/a\u{E9}", "/a:b",
        "@releaseDomain",
    ])
    func pathsThatAreRefused(path: String) throws {
        var bench = Bench()
        for kind in [StoreMessageKind.read, .directory, .makeDirectory, .remove] {
            #expect(bench.ask(kind, path + "|") == "EINVAL|")
        }
        #expect(bench.ask(.write, path + "|x") == "EINVAL|")
    }

    @Test func charactersAndLengths() throws {
        #expect(StorePath("/AZaz09-_@/x") != nil)
        #expect(StorePath("relative") == nil)
        #expect(StorePath("@special/5")?.isSpecial == true)
        #expect(StorePath("/" + String(repeating: "a", count: 3071)) != nil)
        #expect(StorePath("/" + String(repeating: "a", count: 3072)) == nil)
        #expect(StorePath("/a/b/c")?.parent == StorePath("/a/b"))
        #expect(StorePath("/a")?.parent == .root)
        #expect(StorePath.root.parent == nil)
        var bench = Bench()
        let longest = String(repeating: "a", count: 2048)
        #expect(bench.ask(.read, longest + "|") == "ENOENT|")
        #expect(bench.ask(.read, longest + "a|") == "EINVAL|")
    }

    @Test func payloadsOfTheWrongForm() throws {
        var bench = Bench()
        for kind in [StoreMessageKind.read, .directory, .getPermissions, .makeDirectory, .remove] {
            for payload in ["", "/tool", "/tool|x", "/tool|x|", "|", "||"] {
                #expect(bench.ask(kind, payload) == "EINVAL|")
            }
        }
        #expect(bench.ask(.write, "/tool") == "EINVAL|")
        #expect(bench.ask(.setPermissions, "/tool|") == "EINVAL|")
        #expect(
            bench.ask(.transactionEnd, "X|", transaction: bench.start(as: bench.tool)) == "EINVAL|")
        #expect(bench.ask(.unwatch, "/tool|") == "EINVAL|")
        #expect(bench.ask(.watch, "/tool|") == "EINVAL|")
    }

    @Test(arguments: [15, 16, 20, 27, 0xFFFF, UInt32.max])
    func requestsThatAreNone(kind: UInt32) throws {
        var bench = Bench()
        #expect(bench.ask(StoreMessageKind(rawValue: kind), "/tool|") == "ENOSYS|")
    }

    @Test func valuesAreBytes() throws {
        var bench = Bench()
        #expect(bench.ask(.write, "/a/b/c|v|w|") == "OK|")
        #expect(bench.ask(.read, "/a/b/c|") == "v|w|")
        #expect(bench.ask(.read, "/a/b|") == "")
        #expect(bench.ask(.write, "/a/b/c|") == "OK|")
        #expect(bench.ask(.read, "/a/b/c|") == "")
        #expect(bench.ask(.read, "/a/x|") == "ENOENT|")
        #expect(bench.ask(.write, "/|root") == "OK|")
        #expect(bench.ask(.read, "/|") == "root")
    }

    @Test func directories() throws {
        var bench = Bench()
        #expect(bench.ask(.directory, "/|") == "tool|")
        #expect(bench.ask(.makeDirectory, "/a/b|") == "OK|")
        #expect(bench.ask(.write, "/a/b|value") == "OK|")
        #expect(bench.ask(.makeDirectory, "/a/b|") == "OK|")
        #expect(bench.ask(.read, "/a/b|") == "value")
        for name in ["z", "c", "a", "m"] { bench.ask(.write, "/a/\(name)|") }
        #expect(bench.ask(.directory, "/a|") == "a|b|c|m|z|")
        #expect(bench.ask(.directory, "/a/b|") == "")
        #expect(bench.ask(.directory, "/none|") == "ENOENT|")
    }

    @Test func longDirectoriesComeInParts() throws {
        var bench = Bench()
        let names = (1000..<1900).map { "name\($0)" }
        for name in names { try bench.service.write("/d/\(name)", "", as: bench.tool) }
        #expect(bench.ask(.directory, "/d|") == "E2BIG|")
        var list = ""
        var generations: Set<String> = []
        for _ in 0..<10 {
            let answer = bench.ask(.directoryPart, "/d|\(list.utf8.count)|")
            let end = try #require(answer.firstIndex(of: "|"))
            generations.insert(String(answer[..<end]))
            list += answer[answer.index(after: end)...]
            #expect(answer.utf8.count <= 4096)
            if list.hasSuffix("||") { break }
        }
        #expect(list == names.map { $0 + "|" }.joined() + "|")
        #expect(generations.count == 1)
        bench.ask(.remove, "/d/name1500|")
        let after = bench.ask(.directoryPart, "/d|0|")
        #expect(!generations.contains(String(after.prefix { $0 != "|" })))
        #expect(bench.ask(.directoryPart, "/d|99999|").hasSuffix("||"))
        #expect(bench.ask(.directoryPart, "/d|-1|") == "EINVAL|")
        #expect(bench.ask(.directoryPart, "/d|99999999999999999999|") == "EINVAL|")
        #expect(bench.ask(.directoryPart, "/d|") == "EINVAL|")
    }

    @Test func removal() throws {
        var bench = Bench()
        for path in ["/a/b/c", "/a/b/d/e", "/a/x"] { bench.ask(.write, path + "|1") }
        #expect(bench.ask(.remove, "/a/b|") == "OK|")
        #expect(bench.ask(.read, "/a/b/d/e|") == "ENOENT|")
        #expect(bench.ask(.directory, "/a|") == "x|")
        // Not there, but its parent is.
        #expect(bench.ask(.remove, "/a/b|") == "OK|")
        #expect(bench.ask(.remove, "/a/b/c|") == "ENOENT|")
        #expect(bench.ask(.remove, "/|") == "EINVAL|")
        #expect(bench.service.isConsistent)
    }

    @Test func relativePathsBeginAtHome() throws {
        var bench = Bench()
        let guest = try bench.guest(3)
        #expect(bench.ask(.write, "data/x|1", as: guest) == "OK|")
        #expect(bench.ask(.read, "/local/domain/3/data/x|", as: guest) == "1")
        #expect(bench.ask(.getDomainPath, "3|", as: guest) == "/local/domain/3|")
        #expect(bench.ask(.getDomainPath, "65536|", as: guest) == "EINVAL|")
        #expect(bench.ask(.getDomainPath, "x|", as: guest) == "EINVAL|")
        // A client on the host's side is at home with domain 0.
        bench.ask(.write, "name|host")
        #expect(bench.ask(.read, "/local/domain/0/name|") == "host")
    }

    @Test func whoCreatesANodeOwnsIt() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        bench.ask(.setPermissions, "/local/domain/1|n1|r0|")
        bench.ask(.write, "a/b|", as: guest)
        #expect(bench.ask(.getPermissions, "a/b|", as: guest) == "n1|r0|")
        // The host's side leaves the owner as above.
        bench.ask(.write, "/local/domain/1/c|")
        #expect(bench.ask(.getPermissions, "c|", as: guest) == "n1|r0|")
        #expect(bench.ask(.getPermissions, "/|") == "n0|")
        // A guest that may write elsewhere owns what it makes there.
        _ = try bench.guest(2)
        bench.ask(.setPermissions, "/local/domain/2|n2|b1|")
        bench.ask(.write, "/local/domain/2/d|", as: guest)
        #expect(bench.ask(.getPermissions, "/local/domain/2/d|") == "n1|b1|")
        #expect(bench.service.nodeCount(of: DomainID(1)) == 5)
    }

    @Test func rightsOfOthers() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let other = try bench.guest(2)
        bench.ask(.write, "x|1", as: guest)
        let path = "/local/domain/1/x"
        let expected: [(String, read: String, write: String)] = [
            ("n1|", "EACCES|", "EACCES|"), ("r1|", "1", "EACCES|"), ("w1|", "EACCES|", "OK|"),
            ("b1|", "1", "OK|"), ("n1|r2|", "1", "EACCES|"), ("n1|w2|", "EACCES|", "OK|"),
            ("b1|n2|", "EACCES|", "EACCES|"), ("b1|r0|", "1", "OK|"), ("n1|b32757|", "1", "OK|"),
        ]
        for (permissions, read, write) in expected {
            #expect(bench.ask(.setPermissions, "x|" + permissions, as: guest) == "OK|")
            #expect(bench.ask(.getPermissions, "x|", as: guest) == permissions)
            #expect(bench.ask(.read, path + "|", as: other) == read)
            #expect(bench.ask(.write, path + "|1", as: other) == write)
            #expect(bench.ask(.read, "x|", as: guest) == "1")
            #expect(bench.ask(.setPermissions, path + "|b2|", as: other) == "EACCES|")
        }
    }

    @Test func whatIsNotThereIsToldOnlyToWhoMayKnow() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        #expect(bench.ask(.read, "/local/domain/2/x|", as: guest) == "EACCES|")
        #expect(bench.ask(.read, "none|", as: guest) == "ENOENT|")
        #expect(bench.ask(.read, "none/of/these|", as: guest) == "ENOENT|")
        #expect(bench.ask(.remove, "none/of/these|", as: guest) == "ENOENT|")
        bench.ask(.write, "/r|")
        bench.ask(.setPermissions, "/r|r0|")
        #expect(bench.ask(.read, "/r/none|", as: guest) == "ENOENT|")
        #expect(bench.ask(.write, "/r/none|", as: guest) == "EACCES|")
        #expect(bench.ask(.remove, "/r/none|", as: guest) == "EACCES|")
    }

    @Test(arguments: [
        "x1", "r", "1", "", "rr1", "r-1", "r65536", "r 1", "r1x", "r0x1", "r99999999999",
    ])
    func permissionsOfTheWrongForm(text: String) throws {
        var bench = Bench()
        #expect(bench.ask(.setPermissions, "/tool|\(text)|") == "EINVAL|")
    }

    @Test func theOwnerHasToExistAndToBeOne() throws {
        var bench = Bench()
        #expect(bench.ask(.setPermissions, "/tool|n5|") == "ENOENT|")
        #expect(bench.ask(.setPermissions, "/tool|n32757|") == "EINVAL|")
        _ = try bench.guest(5)
        #expect(bench.ask(.setPermissions, "/tool|n5|") == "OK|")
        #expect(bench.service.nodeCount(of: DomainID(5)) == 2)
        #expect(bench.ask(.setPermissions, "/tool|n0|") == "OK|")
        #expect(bench.service.nodeCount(of: DomainID(5)) == 1)
        #expect(bench.ask(.setPermissions, "/none|n0|") == "ENOENT|")
    }
}
