import Glibc
import HostIO
import Synchronization
import Testing
import Vocabulary

@Suite struct DescriptorTests {
    @Test func failuresSayWhatAndWhy() {
        let error = #expect(throws: XError.self) {
            _ = try Descriptor(path: "/nowhere/at/all", flags: O_RDONLY)
        }
        #expect(error?.message == "cannot open /nowhere/at/all: No such file or directory")
        #expect(error?.hostErrno == HostErrno(rawValue: ENOENT))
    }

    @Test func writeAllWaitsForTheReader() throws {
        let pipe = try Pipe()
        // More than a pipe holds.
        let sent = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let received = Mutex<[UInt8]>([])
        let readEnd = pipe.read.rawValue
        let reader = try HostThread.spawn(name: "reader") {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while received.withLock({ $0.count }) < sent.count {
                let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                    (try? unsafe readSome(readEnd, into: bytes)) ?? nil
                }
                if let count { received.withLock { $0.append(contentsOf: buffer.prefix(count)) } }
            }
        }
        try writeAll(pipe.write.rawValue, sent)
        reader.join()
        #expect(received.withLock { $0 } == sent)
    }

    @Test func anEmptyPipeWouldBlock() throws {
        let pipe = try Pipe()
        var byte: UInt8 = 0
        let first = try unsafe withUnsafeMutableBytes(of: &byte) {
            try unsafe readSome(pipe.read.rawValue, into: $0)
        }
        #expect(first == nil)
    }

    @Test func deinitCloses() throws {
        let number: CInt
        do {
            let descriptor = try Descriptor(path: "/dev/null", flags: O_RDONLY)
            number = descriptor.rawValue
            #expect(fcntl(number, F_GETFD) == FD_CLOEXEC)
        }
        // Another test may open the number again at once, so only a kept one is looked at here.
        let kept = try Descriptor(path: "/dev/null", flags: O_RDONLY).release()
        #expect(fcntl(kept, F_GETFD) >= 0)
        close(kept)
    }
}

@Suite struct MappingTests {
    @Test func anonymousPagesAreZeroAndWritable() throws {
        let mapping = try MemoryMapping(anonymous: 5000)
        #expect(mapping.byteCount == 8192)
        unsafe mapping.base.storeBytes(of: 7, toByteOffset: 8191, as: UInt8.self)
        #expect(unsafe mapping.base.load(fromByteOffset: 8191, as: UInt8.self) == 7)
        #expect(unsafe mapping.base.load(fromByteOffset: 8190, as: UInt8.self) == 0)
        try mapping.protect([.read])
    }

    @Test func impossibleSizesThrow() {
        #expect(throws: XError.self) { _ = try MemoryMapping(anonymous: 0) }
        #expect(throws: XError.self) { _ = try MemoryMapping(anonymous: 1 << 60) }
        #expect(throws: XError.self) { _ = try MemoryMapping(anonymous: Int.max) }
    }

    /// What is written at one address is read at the other, and what is given back is mapped no more.
    @Test func sharedPagesHaveTwoAddresses() throws {
        let first = try MemoryMapping(shared: 8192)
        let second = try first.again(access: .read)
        unsafe first.base.storeBytes(of: 0x1234_5678, toByteOffset: 4096, as: UInt32.self)
        let seen = unsafe second.base.load(fromByteOffset: 4096, as: UInt32.self)
        #expect(seen == 0x1234_5678)
        let (one, other) = unsafe (UInt(bitPattern: first.base), UInt(bitPattern: second.base))
        #expect(one != other)
        second.retireAddresses()
        var later: [UInt] = []
        for _ in 0..<20 {
            let pages = try MemoryMapping(anonymous: 8192)
            later.append(unsafe UInt(bitPattern: pages.base))
        }
        #expect(!later.contains(other))
    }
}

@Suite struct ThreadTests {
    @Test(arguments: [
        ("short", "short"), ("irq/vif1.0-q0-rx-and-more", "irq/vif1.0-q0-r"),
        ("ééééééééé", "ééééééé"),
    ])
    func namesFitTheKernel(_ given: String, _ kept: String) throws {
        let seen = Mutex("")
        let thread = try HostThread.spawn(name: given, priority: .nice(5)) {
            seen.withLock { $0 = HostThread.currentName }
        }
        thread.join()
        #expect(seen.withLock { $0 } == kept)
        #expect(thread.name == kept)
    }
}

@Suite struct EventLoopTests {
    @Test(.timeLimit(.minutes(1))) func descriptorsTimersAndWork() throws {
        let loop = try EventLoop()
        let order = Mutex<[String]>([])
        let counter = try EventCounter()
        let timer = try HostTimer()
        let registration = try loop.add(counter.descriptor, .read) { readiness in
            #expect(readiness.contains(.read))
            let count = counter.take()
            order.withLock { $0.append("counter \(count)") }
            timer.set(Instant(nanoseconds: 1))
        }
        _ = try loop.add(timer.descriptor, .read) { _ in
            #expect(timer.take() == 1)
            order.withLock { $0.append("timer") }
            loop.stop()
        }
        loop.submit {
            order.withLock { $0.append("work") }
            counter.signal()
            counter.signal()
        }
        try loop.run()
        #expect(order.withLock { $0 } == ["work", "counter 2", "timer"])

        // Removed: a signal is not seen any more, and the loop can run again.
        loop.remove(registration)
        counter.signal()
        loop.submit { loop.stop() }
        try loop.run()
        #expect(order.withLock { $0.count } == 3)
        #expect(counter.take() == 1)
    }

    @Test(.timeLimit(.minutes(1))) func anotherThreadWakesTheLoop() throws {
        let loop = try EventLoop()
        let failure = Mutex<String?>(nil)
        let thread = try HostThread.spawn(name: "loop") {
            do { try loop.run() } catch { failure.withLock { $0 = "\(error)" } }
        }
        let done = Atomic<Bool>(false)
        loop.submit { done.store(true, ordering: .releasing) }
        loop.stop()
        thread.join()
        let seen = done.load(ordering: .acquiring)
        #expect(seen)
        #expect(failure.withLock { $0 } == nil)
    }

    @Test func watchingAClosedDescriptorThrows() throws {
        let loop = try EventLoop()
        #expect(throws: XError.self) { _ = try loop.add(-1, .read) { _ in } }
    }
}
