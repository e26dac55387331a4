import Foundation
import Testing

extension ProgramBoot {
    /// Records an issue for each difference between the host's and the guest's outcome of a case.
    func expectSame(
        _ one: ProgramCase, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let (host, guest) = outcomes(one.name)
        let wanted = try #require(
            host, "\(one.name) did not end on the host", sourceLocation: sourceLocation)
        let hostErrors = String(decoding: wanted.files["stderr"] ?? Data(), as: UTF8.self)
        #expect(
            wanted.files["status"] == Data("0\n".utf8),
            "\(one.name) fails on the host itself: \(hostErrors.suffix(800))",
            sourceLocation: sourceLocation)
        let said = wanted.files["stdout"] ?? Data()
        #expect(!said.isEmpty, "\(one.name) says nothing", sourceLocation: sourceLocation)
        let found = try #require(
            guest, "\(one.name) did not end in the guest: \(guestErrors.suffix(2000))",
            sourceLocation: sourceLocation)
        let errors = String(decoding: found.files["stderr"] ?? Data(), as: UTF8.self)
        for name in Set(wanted.files.keys).union(found.files.keys).sorted() where name != "stderr" {
            let difference = Self.difference(wanted.files[name], found.files[name])
            #expect(
                difference == nil,
                "\(one.name), \(name): \(difference ?? ""); stderr: \(errors.suffix(800))",
                sourceLocation: sourceLocation)
        }
    }

    /// Nil if equal; else the first line, or byte, that differs.
    static func difference(_ host: Data?, _ guest: Data?) -> String? {
        if host == guest { return nil }
        guard let host else { return "only the guest has it" }
        guard let guest else { return "only the host has it" }
        func lines(_ data: Data) -> [Substring]? {
            String(data: data, encoding: .utf8)?.split(
                separator: "\n", omittingEmptySubsequences: false)
        }
        if let wanted = lines(host), let found = lines(guest) {
            for index in 0..<max(wanted.count, found.count) {
                let left = index < wanted.count ? wanted[index] : "(end)"
                let right = index < found.count ? found[index] : "(end)"
                if left != right {
                    return "line \(index + 1) is '\(left)' on the host, '\(right)' in the guest"
                }
            }
        }
        let offset = zip(host, guest).enumerated().first { $1.0 != $1.1 }?.offset
        return "\(host.count) bytes on the host, \(guest.count) in the guest, different from byte "
            + "\(offset ?? min(host.count, guest.count))"
    }
}
