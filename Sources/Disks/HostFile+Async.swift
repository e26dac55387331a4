internal import HostIO

/// The transfers of a file as the tasks of image formats make them. The caller is on the file's loop and
/// stays there.
extension HostFile {
    nonisolated(nonsending) func read(
        _ offset: UInt64, _ segments: Segments
    ) async throws(HostErrno) {
        try await Self.wait { done in self.read(offset, segments, done) }
    }

    nonisolated(nonsending) func write(
        _ offset: UInt64, _ segments: Segments
    ) async throws(HostErrno) {
        try await Self.wait { done in self.write(offset, segments, done) }
    }

    nonisolated(nonsending) func sync() async throws(HostErrno) {
        try await Self.wait { done in self.sync(done) }
    }

    nonisolated(nonsending) func discard(
        _ offset: UInt64, _ byteCount: UInt64
    ) async throws(HostErrno) {
        try await Self.wait { done in self.discard(offset, byteCount, done) }
    }

    nonisolated(nonsending) func zero(
        _ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool
    ) async throws(HostErrno) {
        try await Self.wait { done in
            self.zero(offset, byteCount, mayUnmap: mayUnmap, done)
        }
    }

    /// `count` bytes in memory of our own.
    nonisolated(nonsending) func load(
        _ offset: UInt64, _ count: Int
    ) async throws(HostErrno) -> IOBuffer {
        let buffer = IOBuffer(byteCount: count)
        try await read(offset, Segments(buffer))
        return buffer
    }

    nonisolated(nonsending) static func wait(
        _ begin: (@escaping IOCompletion) -> Void
    ) async throws(HostErrno) {
        let error = await withCheckedContinuation {
            (done: CheckedContinuation<HostErrno?, Never>) in
            begin { done.resume(returning: $0) }
        }
        if let error { throw error }
    }
}
