internal import Glibc
internal import HostIO
public import Vocabulary

extension Disk {
    /// Goes on in a new qcow2 image over what the disk has been so far, which stays as it is at this moment and
    /// may be the base of others. Requests wait meanwhile, and longer if the disk is paused. Blocks; not on the
    /// disk's thread.
    ///
    /// - Parameter path: where nothing is yet.
    /// - Returns: what the disk was.
    /// - Throws: `XError`: there can be no such image; the disk is as it was.
    public func layOver(_ path: String) throws(XError) -> DiskSpecification {
        var old = specification
        // The image over it may lie elsewhere.
        if !old.path.hasPrefix("/"), let folder = unsafe getcwd(nil, 0) {
            old.path = unsafe String(cString: folder) + "/" + old.path
            unsafe free(folder)
        }
        guard !old.isReadOnly, old.format != .nbd else {
            throw XError(
                .unsupported,
                "the disk '\(old.path)' cannot have an image laid over it: it is read-only or on a server"
            )
        }
        let isPaused = state.withLock { $0.held != nil }
        if !isPaused { try pause() }
        defer { if !isPaused { goOn() } }
        let driver = state.withLock { $0.driver }
        // The file's lock is given back: whoever lies over it has one to read.
        try close(driver, old.path)
        var new = old
        new.path = path
        new.format = .qcow2
        do throws(XError) {
            var options = DiskImage.CreationOptions()
            options.backingPath = old.path
            options.backingFormat = old.format
            try DiskImage.create(
                path: path, format: .qcow2, byteCount: nil, options: options)
            let opened = try open(new)
            state.withLock { state in
                state.driver = opened
                state.specification = new
            }
        } catch {
            // What was closed a moment ago opens again, or the disk has no more to give.
            let again = (try? open(old)) ?? LostImage(of: driver, loop)
            state.withLock { $0.driver = again }
            throw error
        }
        return old
    }

    /// Waits until nothing is in flight; what comes from now on waits until `goOn`. One thread at a time; not the
    /// disk's.
    ///
    /// - Throws: `XError`: the disk is being closed, or is paused already.
    public func pause() throws(XError) {
        let idle = Answer<HostErrno?>()
        let verdict = state.withLock { state -> Bool? in
            guard !state.isClosing, state.held == nil, state.closer == nil else { return nil }
            state.held = []
            guard state.metrics.inFlight > 0 else { return true }
            state.closer = { idle.give(nil) }
            return false
        }
        guard let isIdle = verdict else {
            throw XError(.busy, "the disk '\(name)' is being closed")
        }
        if !isIdle { _ = idle.wait() }
    }

    /// Requests that wait are begun. Whoever paused the disk.
    public func goOn() {
        let held = state.withLock { state in
            defer { state.held = nil }
            return state.held ?? []
        }
        for each in held { submit(each.request, completion: each.completion) }
    }

    private func close(_ driver: any DiskDriver, _ path: String) throws(XError) {
        let answer = Answer<HostErrno?>()
        loop.submit { driver.close { answer.give($0) } }
        if let error = answer.wait() {
            throw XError(
                .hostCall, "the disk '\(path)' could not be written (\(error))", cause: error)
        }
    }
}

/// What is left of an image that did not open again: every request fails.
private struct LostImage: DiskDriver {
    let byteCount: UInt64
    let sectorSize: Int
    let features: DiskFeatures
    private let loop: IOLoop

    init(of driver: any DiskDriver, _ loop: IOLoop) {
        byteCount = driver.byteCount
        sectorSize = driver.sectorSize
        features = driver.features
        self.loop = loop
    }

    func submit(_ request: DiskRequest, _ completion: @escaping IOCompletion) {
        loop.submit { completion(HostErrno(rawValue: EIO)) }
    }

    func refreshSize() -> UInt64 { byteCount }

    func grow(to byteCount: UInt64) throws(XError) {
        throw XError(.hostCall, "the disk is lost: it did not open again")
    }

    func close(_ completion: @escaping IOCompletion) { completion(nil) }
}
