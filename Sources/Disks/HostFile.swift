internal import CHost
internal import Glibc
internal import HostIO
internal import Vocabulary

/// Told of a host call that failed: nil if it did not.
typealias IOCompletion = @Sendable (HostErrno?) -> Void

/// Sees, and may refuse, what a file is asked to change: for tests that cut the power. On any thread.
protocol HostFileObserver: Sendable {
    /// A write of these bytes begins. Its number, or why it must fail.
    func writeBegins(_ offset: UInt64, _ bytes: [UInt8]) -> Swift.Result<Int, HostErrno>
    func writeEnds(_ number: Int)
    func syncBegins() -> Swift.Result<Int, HostErrno>
    func syncEnds(_ number: Int)
}

extension HostErrno {
    static let ioError = HostErrno(rawValue: EIO)
    static let invalid = HostErrno(rawValue: EINVAL)
    static let unsupported = HostErrno(rawValue: EOPNOTSUPP)
    static let readOnly = HostErrno(rawValue: EROFS)
    static let tooBig = HostErrno(rawValue: EFBIG)
    static let shutDown = HostErrno(rawValue: ESHUTDOWN)
}

extension HostThread {
    /// A number of the calling thread that no other thread has as long as it lives.
    static var currentNumber: UInt { UInt(pthread_self()) }
}

/// An open, locked file or block device of the host, whose bytes are read and written through a loop.
///
/// Owner: the image made of it. Transfers begin on any thread and complete on the loop's.
final class HostFile: Sendable {
    let path: String
    let descriptor: Descriptor
    let loop: IOLoop
    let isWritable: Bool
    let isBlockDevice: Bool
    /// Transfers must begin and end at multiples of this, on disk and in memory; 1 unless `direct`.
    let alignment: Int
    private let observer: (any HostFileObserver)?
    /// Somebody sees what is written.
    var isObserved: Bool { observer != nil }

    /// What else the file is asked for.
    struct Options {
        var isDirect = false
        /// It must not be there yet.
        var isNew = false
        /// It is only looked at, whoever has it: it is not locked.
        var isGlance = false
        var observer: (any HostFileObserver)?
    }

    /// Opens and locks a file: a writer alone, readers beside each other. One that is new and cannot be
    /// locked is removed.
    init(
        path: String, isWritable: Bool, loop: IOLoop, options: Options = Options()
    ) throws(XError) {
        var flags = isWritable ? O_RDWR : O_RDONLY
        if options.isDirect { flags |= chost_O_DIRECT }
        if options.isNew { flags |= O_CREAT | O_EXCL }
        let number = unsafe open(path, flags | O_CLOEXEC | O_NONBLOCK, 0o644)
        let error = errno
        guard number >= 0 else {
            throw Self.openError(path, HostErrno(rawValue: error), isWritable, options)
        }
        descriptor = Descriptor(owning: number)
        var information = stat()
        guard unsafe fstat(number, &information) == 0 else {
            throw Self.openError(path, HostErrno(rawValue: errno), isWritable, options)
        }
        let kind = information.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFBLK else {
            throw XError(
                .invalidArgument,
                "'\(path)' is neither a file nor a block device: give the path of a disk image")
        }
        self.path = path
        self.loop = loop
        self.isWritable = isWritable
        isBlockDevice = kind == S_IFBLK
        observer = options.observer
        if !options.isGlance {
            do throws(XError) { try Self.lock(number, path, isWritable) } catch {
                if options.isNew { unsafe unlink(path) }
                throw error
            }
        }
        alignment = options.isDirect ? Self.directAlignment(number, isBlockDevice) : 1
    }

    /// The lock is given back here: a ring may keep the open file a little longer than its last transfer.
    deinit { unlock() }

    private static func openError(
        _ path: String, _ error: HostErrno, _ isWritable: Bool, _ options: Options
    ) -> XError {
        var remedy = ""
        switch error.rawValue {
        case ENOENT where options.isNew: remedy = ": make its folder first"
        case ENOENT: remedy = ": make it with 'martlet disk create'"
        case EACCES where options.isNew, EROFS where options.isNew:
            remedy = ": give a path in a folder of yours"
        case EACCES, EROFS:
            remedy =
                isWritable
                ? ": make it writable, or give it to a guest with ',readonly'"
                : ": make it readable"
        case EINVAL where options.isDirect:
            remedy = ": its file system has no direct I/O, leave ',direct' out"
        case EEXIST: remedy = ": remove it first, or give another path"
        default: break
        }
        let code: XError.Code = error.rawValue == ENOENT ? .notFound : .hostCall
        let verb = options.isNew ? "create" : "open"
        return XError(code, "cannot \(verb) the disk '\(path)': \(error)\(remedy)", cause: error)
    }

    /// What direct transfers are multiples of: found by trying 512 bytes.
    private static func directAlignment(_ descriptor: CInt, _ isBlockDevice: Bool) -> Int {
        if isBlockDevice {
            let size = Int(chost_device_sector_size(descriptor))
            return [512, 1024, 2048, 4096].contains(size) ? size : 4096
        }
        let buffer = IOBuffer(byteCount: 8192)
        // SAFETY: 512 bytes in the middle of the buffer, at a multiple of 512 that is none of 4096.
        let count = unsafe pread(
            descriptor, buffer.bytes.baseAddress.map { unsafe $0 + 512 }, 512, 0)
        return count >= 0 ? 512 : 4096
    }

    /// Bytes there are now; throws if the host does not say.
    func byteCount() throws(XError) -> UInt64 {
        if isBlockDevice { return chost_device_byte_count(descriptor.rawValue) }
        var information = stat()
        guard unsafe fstat(descriptor.rawValue, &information) == 0 else {
            throw failure("look at", HostErrno(rawValue: errno))
        }
        return UInt64(max(information.st_size, 0))
    }

    /// Bytes that the file takes on the host.
    var allocatedByteCount: UInt64 {
        var information = stat()
        guard unsafe fstat(descriptor.rawValue, &information) == 0 else { return 0 }
        return UInt64(max(information.st_blocks, 0)) * 512
    }

    /// Makes the file longer or shorter.
    func setByteCount(_ count: UInt64) throws(XError) {
        guard count <= UInt64(Int64.max), ftruncate(descriptor.rawValue, off_t(count)) == 0 else {
            throw failure("resize", HostErrno(rawValue: errno))
        }
    }

    /// The end of the data or hole that begins at a byte, and which it is; nil at the end of the file.
    /// Where the file system does not say, all is data.
    func extent(at offset: UInt64) -> (isData: Bool, end: UInt64)? {
        guard let size = try? byteCount(), offset < size, size <= UInt64(Int64.max) else {
            return nil
        }
        let start = Int64(offset)
        let data = chost_seek(descriptor.rawValue, start, 1)
        if data == -Int64(ENXIO) { return (false, size) }
        if data < 0 { return (true, size) }
        if data > start { return (false, min(UInt64(data), size)) }
        let hole = chost_seek(descriptor.rawValue, start, 0)
        return (true, hole > start ? min(UInt64(hole), size) : size)
    }

    func failure(_ what: String, _ error: HostErrno) -> XError {
        XError(.hostCall, "cannot \(what) the disk '\(path)': \(error)", cause: error)
    }

    // MARK: Transfers

    /// Fills the segments; what lies behind the end of the file is zeros.
    func read(
        _ offset: UInt64, _ segments: Segments, _ completion: @escaping IOCompletion
    ) {
        guard offset <= UInt64(Int64.max) &- UInt64(segments.byteCount) else {
            return fail(.tooBig, completion)
        }
        guard isUnaligned(offset, segments) else {
            return transfer(.read, offset, segments, completion)
        }
        let mask = UInt64(alignment - 1)
        let start = offset & ~mask
        let end = (offset + UInt64(segments.byteCount) + mask) & ~mask
        let bounce = IOBuffer(byteCount: Int(end - start))
        transfer(.read, start, Segments(bounce)) { error in
            if error == nil {
                unsafe segments.fill(
                    from: UnsafeRawBufferPointer(rebasing: bounce.bytes[Int(offset - start)...]))
            }
            completion(error)
        }
    }

    /// Writes the segments. Of a direct file, offset and byte count are multiples of `alignment`.
    func write(
        _ offset: UInt64, _ segments: Segments, _ completion: @escaping IOCompletion
    ) {
        guard isWritable else { return fail(.readOnly, completion) }
        guard offset <= UInt64(Int64.max) &- UInt64(segments.byteCount) else {
            return fail(.tooBig, completion)
        }
        var completion = completion
        if let observer {
            let copy = IOBuffer(byteCount: segments.byteCount)
            unsafe segments.copy(to: copy.bytes)
            switch observer.writeBegins(offset, copy.array(0, segments.byteCount)) {
            case .failure(let error): return fail(error, completion)
            case .success(let number):
                completion = { [completion] error in
                    observer.writeEnds(number)
                    completion(error)
                }
            }
        }
        guard isUnaligned(offset, segments) else {
            return transfer(.write, offset, segments, completion)
        }
        guard (offset | UInt64(segments.byteCount)) & UInt64(alignment - 1) == 0 else {
            return fail(.invalid, completion)
        }
        let bounce = IOBuffer(byteCount: segments.byteCount)
        unsafe segments.copy(to: bounce.bytes)
        transfer(.write, offset, Segments(bounce), completion)
    }

    /// All writes that have completed are on stable storage when this completes.
    func sync(_ completion: @escaping IOCompletion) {
        var completion = completion
        if let observer {
            switch observer.syncBegins() {
            case .failure(let error): return fail(error, completion)
            case .success(let number):
                completion = { [completion] error in
                    if error == nil { observer.syncEnds(number) }
                    completion(error)
                }
            }
        }
        run(.sync, 0, 0, completion)
    }

    /// Has the range read as zeros. Without `mayUnmap` the host keeps the space. Fails with
    /// `unsupported` where the host cannot.
    func zero(
        _ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool,
        _ completion: @escaping IOCompletion
    ) {
        guard isWritable else { return fail(.readOnly, completion) }
        guard byteCount > 0 else { return fail(nil, completion) }
        guard observer == nil else { return fail(.unsupported, completion) }
        let first = mayUnmap ? chost_PUNCH_HOLE : chost_ZERO_RANGE
        let second = mayUnmap ? chost_ZERO_RANGE : chost_PUNCH_HOLE
        run(.allocate(first), offset, byteCount) { [self] error in
            guard error == .unsupported else { return completion(error) }
            run(.allocate(second), offset, byteCount, completion)
        }
    }

    /// Gives the host's space back; a host that cannot does nothing.
    func discard(
        _ offset: UInt64, _ byteCount: UInt64, _ completion: @escaping IOCompletion
    ) {
        guard isWritable else { return fail(.readOnly, completion) }
        guard byteCount > 0 else { return fail(nil, completion) }
        if observer != nil {
            // What a cut of the power makes of it is what it makes of zeros written.
            let zeros = IOBuffer(byteCount: Int(clamping: byteCount))
            return write(offset, Segments(zeros), completion)
        }
        let kind = isBlockDevice ? HostOperation.Kind.deviceDiscard : .allocate(chost_PUNCH_HOLE)
        run(kind, offset, byteCount) { error in completion(error == .unsupported ? nil : error) }
    }

    private func fail(_ error: HostErrno?, _ completion: @escaping IOCompletion) {
        loop.submit { completion(error) }
    }

    private func isUnaligned(_ offset: UInt64, _ segments: Segments) -> Bool {
        alignment > 1
            && (offset & UInt64(alignment - 1) != 0 || !segments.isAligned(alignment))
    }

    private func run(
        _ kind: HostOperation.Kind, _ offset: UInt64, _ byteCount: UInt64,
        _ completion: @escaping IOCompletion
    ) {
        let operation = HostOperation(
            kind, descriptor.rawValue, offset: offset, byteCount: byteCount
        ) { [self] result in
            if Self.isWorthRepeating(result) { return run(kind, offset, byteCount, completion) }
            completion(result < 0 ? HostErrno(rawValue: CInt(clamping: -result)) : nil)
        }
        loop.start(operation)
    }

    /// ECANCELED: the thread that submitted it ended.
    private static func isWorthRepeating(_ result: Int) -> Bool {
        result == -Int(EINTR) || result == -Int(EAGAIN) || result == -Int(ECANCELED)
    }

    /// Transfers all of the segments, however many calls the host wants for it.
    private func transfer(
        _ kind: HostOperation.Kind, _ offset: UInt64, _ segments: Segments,
        _ completion: @escaping IOCompletion
    ) {
        if segments.byteCount == 0 { return fail(nil, completion) }
        let operation = HostOperation(
            kind, descriptor.rawValue, offset: offset, segments: segments
        ) { [self] result in
            if Self.isWorthRepeating(result) {
                return transfer(kind, offset, segments, completion)
            }
            if result < 0 { return completion(HostErrno(rawValue: CInt(clamping: -result))) }
            if result >= segments.byteCount { return completion(nil) }
            var rest = segments.slice(result, segments.byteCount - result)
            if case .read = kind {
                // A direct read that ends within a sector has met the end of the file.
                if result == 0 || (alignment > 1 && result & (alignment - 1) != 0) {
                    rest.zero()
                    return completion(nil)
                }
            } else if result == 0 {
                return completion(.ioError)
            }
            rest = segments.slice(result, segments.byteCount - result)
            transfer(kind, offset + UInt64(result), rest, completion)
        }
        loop.start(operation)
    }
}
