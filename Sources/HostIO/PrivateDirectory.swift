internal import CHost
internal import Glibc
public import Vocabulary

/// A directory that nobody but this user may write to, and the files in it.
///
/// Everything is found by the open directory, so what its path becomes later changes nothing. Owner: who
/// opened it. Any thread.
public final class PrivateDirectory: Sendable {
    /// As it was given.
    public let path: String
    private let descriptor: Descriptor
    /// What the user gave it by, for the words of errors.
    private let option: String

    /// Opens the directory, and makes it, for this user alone, if its parent is there.
    ///
    /// Throws if that cannot be done, if it is another user's, or if others may write to it.
    public init(path: String, option: String) throws(XError) {
        self.path = path
        self.option = option
        let remedy = "give a folder of your own with \(option)"
        func refusal(_ number: CInt) -> XError {
            XError(
                .hostCall,
                "cannot use the folder '\(path)': \(HostErrno(rawValue: number)); \(remedy)",
                cause: HostErrno(rawValue: number))
        }
        if path.isEmpty { throw XError(.invalidArgument, "\(option) '': \(remedy)") }
        if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw refusal(errno) }
        let number = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw refusal(errno) }
        descriptor = Descriptor(owning: number)
        var information = stat()
        guard unsafe fstat(number, &information) == 0 else { throw refusal(errno) }
        try Self.check(information, "the folder '\(path)'", remedy)
    }

    private static func check(
        _ information: stat, _ what: String, _ remedy: String
    ) throws(XError) {
        if information.st_uid != geteuid() {
            throw XError(
                .invalidArgument,
                "\(what) belongs to another user, who could put code in: \(remedy)")
        }
        if information.st_mode & 0o022 != 0 {
            throw XError(
                .invalidArgument,
                "others may write to \(what) and so put code in: chmod go-w, or \(remedy)")
        }
    }

    /// What there is by a name.
    public enum Content: ~Copyable, Sendable {
        case file(Descriptor)
        /// It cannot be read, or is no file.
        case unreadable
        case nothing
    }

    /// Opens a file for reading. Throws if others may write to it.
    public func openFile(_ name: String) throws(XError) -> Content {
        // A pipe in its place does not hold anybody up.
        let number = unsafe openat(
            descriptor.rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard number >= 0 else { return errno == ENOENT ? .nothing : .unreadable }
        let file = Descriptor(owning: number)
        var information = stat()
        guard unsafe fstat(number, &information) == 0, information.st_mode & S_IFMT == S_IFREG
        else { return .unreadable }
        try Self.check(information, "the file '\(path)/\(name)'", "delete it")
        return .file(file)
    }

    /// Makes a file of this user's alone that is not there yet, held by `flock` as long as it is open.
    public func makeFile(_ name: String) throws(XError) -> Descriptor {
        let number = unsafe openat(
            descriptor.rawValue, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw failure(name, errno) }
        let file = Descriptor(owning: number)
        _ = flock(number, LOCK_EX | LOCK_NB)
        return file
    }

    /// What went wrong with a file.
    public func failure(_ name: String, _ number: CInt) -> XError {
        XError(
            .hostCall, "cannot write '\(path)/\(name)': \(HostErrno(rawValue: number))",
            cause: HostErrno(rawValue: number))
    }

    /// Gives a file another name, in the place of what had it.
    public func rename(_ name: String, to other: String) throws(XError) {
        let number = descriptor.rawValue
        guard unsafe renameat(number, name, number, other) == 0 else {
            throw failure(other, errno)
        }
    }

    /// Removes a file. Who has it open keeps it.
    public func remove(_ name: String) { unsafe unlinkat(descriptor.rawValue, name, 0) }

    /// Removes a file that `makeFile` made, unless whoever made it has it open.
    public func removeLeftover(_ name: String) {
        let number = unsafe openat(
            descriptor.rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard number >= 0 else { return }
        let file = Descriptor(owning: number)
        if flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 { remove(name) }
    }

    /// A file by its name, how many bytes it has and when it was last used or written, in seconds.
    public struct Entry: Sendable {
        public var name: String
        public var byteCount: Int
        public var seconds: Int
    }

    /// What is in it; nothing if that cannot be read.
    public var entries: [Entry] {
        let number = unsafe openat(
            descriptor.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0, let list = unsafe fdopendir(number) else {
            if number >= 0 { close(number) }
            return []
        }
        defer { unsafe closedir(list) }
        var result: [Entry] = []
        while let item = unsafe readdir(list) {
            let name = unsafe withUnsafeBytes(of: item.pointee.d_name) {
                unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            var information = stat()
            guard
                unsafe fstatat(
                    descriptor.rawValue, name, &information, AT_SYMLINK_NOFOLLOW) == 0
            else { continue }
            result.append(
                Entry(
                    name: name, byteCount: Int(information.st_size),
                    seconds: Int(unsafe chost_modification_seconds(&information))))
        }
        return result
    }

    /// Runs `body` while no other process does the same with this directory; not at all if one does.
    public func alone(_ body: () -> Void) {
        let number = unsafe openat(
            descriptor.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { return }
        let own = Descriptor(owning: number)
        if flock(own.rawValue, LOCK_EX | LOCK_NB) == 0 { body() }
    }
}

/// Bytes of an open file; 0 if the host does not say.
public func fileByteCount(_ descriptor: CInt) -> Int {
    var information = stat()
    return unsafe fstat(descriptor, &information) == 0 ? Int(information.st_size) : 0
}

/// Reads up to `buffer.count` bytes at a place in a file. Returns how many: fewer at the end or where
/// they cannot be read.
public func readSome(
    _ descriptor: CInt, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
) -> Int {
    var done = 0
    while done < buffer.count {
        let count = unsafe pread(
            descriptor, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done,
            off_t(offset + done))
        if count < 0, errno == EINTR { continue }
        if count <= 0 { break }
        done += count
    }
    return done
}
