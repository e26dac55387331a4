import Foundation
import GuestMemory
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// What tools are told of translated code.
struct ObservationTests {
    // mov ecx, 50; top: sgdt [rsp]; mov rax, [rsi]; dec ecx; jnz top; hlt
    private static let loop: [UInt8] = [
        0xb9, 50, 0, 0, 0, 0x0f, 0x01, 0x04, 0x24, 0x48, 0x8b, 0x06, 0xff, 0xc9, 0x75, 0xf5, 0xf4,
    ]

    private static func run(_ observation: CodeObservation) throws -> TranslationMachine {
        let machine = try TranslationMachine(
            loop, at: 0x1000, .afterRuns(1), observation: observation)
        machine.setRegisters([6: 0x9000])
        #expect(machine.engine.run(budget: 10000) == .halt)
        return machine
    }

    @Test func formsThatLeaveAreCounted() throws {
        var observation = CodeObservation()
        observation.countsForms = true
        let exits = try Self.run(observation).cache.exitsByForm
        let store = try #require(exits.first { $0.form.contains(" sgdt ") }, "\(exits)")
        #expect(store.handler == 50)
        #expect(store.slowPath == 0)
        // Between handlers a translated load finds its page: few slow paths, if any.
        let load = exits.first { $0.form == "8b mov Gv,Ev" }
        #expect((load?.handler ?? 0) == 0 && (load?.slowPath ?? 0) < 5)
        #expect(try Self.run(.none).cache.exitsByForm.isEmpty)
    }

    /// Each round loads from another page: the TLB has none of them.
    @Test func slowPathsAreCountedByForm() throws {
        // mov ecx, 40; top: mov rax, [rsi]; add rsi, 0x1000; dec ecx; jnz top; hlt
        let code: [UInt8] = [
            0xb9, 40, 0, 0, 0, 0x48, 0x8b, 0x06, 0x48, 0x81, 0xc6, 0, 0x10, 0, 0, 0xff, 0xc9, 0x75,
            0xf2, 0xf4,
        ]
        var observation = CodeObservation()
        observation.countsForms = true
        let machine = try TranslationMachine(
            code, at: 0x1000, .afterRuns(1), observation: observation)
        machine.setRegisters([6: 0x10_0000])
        #expect(machine.engine.run(budget: 10000) == .halt)
        let load = machine.cache.exitsByForm.first { $0.form == "8b mov Gv,Ev" }
        #expect((load?.slowPath ?? 0) >= 30, "\(machine.cache.exitsByForm)")
        #expect(load?.handler == 0)
    }

    /// Statistics say what was made and what of it is there.
    @Test func translationsAreTimed() throws {
        let statistics = try Self.run(.none).cache.statistics
        #expect(statistics.translations > 0)
        #expect(
            statistics.translationNanoseconds > 0
                && statistics.translationNanoseconds < 10_000_000_000)
        // The routines that all share are not made for a block.
        #expect(statistics.codeByteCountInUse > statistics.codeByteCount)
    }

    /// Of each byte of a translation it is known whose it is; what all share is nobody's.
    @Test func hostAddressesLeadBackToTheGuest() throws {
        let list = SharedList()
        var observation = CodeObservation()
        observation.keepsPlaces = true
        observation.translated = { host, byteCount, guest in list.add(host, byteCount, guest) }
        let machine = try Self.run(observation)
        let pieces = list.pieces
        #expect(pieces.count >= 2)
        let shared = try #require(pieces.first)
        #expect(shared.guest == nil)
        #expect(machine.cache.pageOffset(of: shared.host) == nil)
        let starts: Set<UInt16> = [0, 5, 9, 12, 14, 16]
        var seen: Set<UInt16> = []
        for piece in pieces.dropFirst() {
            #expect([0x1000, 0x1005, 0x1010].contains(piece.guest))
            for address in piece.host..<(piece.host + UInt64(piece.byteCount)) {
                let offset = try #require(machine.cache.pageOffset(of: address))
                #expect(starts.contains(offset))
                seen.insert(offset)
            }
            #expect(
                machine.cache.pageOffset(of: piece.host) == UInt16((piece.guest ?? 0) & 0xfff))
        }
        #expect(seen.isSuperset(of: [5, 9, 12, 14]))
        let end = try #require(pieces.last)
        #expect(machine.cache.pageOffset(of: end.host + UInt64(end.byteCount)) == nil)
        #expect(machine.cache.pageOffset(of: 0) == nil)
    }

    /// A name in a map of addresses holds for the life of the process.
    @Test func namedCodeNeverLiesWhereOtherCodeWas() throws {
        var seen: Set<UInt64> = []
        for _ in 0..<20 {
            seen.insert(try CodeMemory(byteCount: 1 << 20, isNamed: true).executable)
        }
        #expect(seen.count == 20)
    }

    /// Named code is executed as the other is.
    @Test func namedCodeRuns() throws {
        var observation = CodeObservation()
        observation.translated = { _, _, _ in }
        let machine = try Self.run(observation)
        #expect(machine.cache.statistics.translations > 0)
        #expect(machine.engine.state.generalPurposeRegisters[1] == 0)
    }
}

/// Pieces of code that were made.
private final class SharedList: Sendable {
    struct Piece {
        var host: UInt64
        var byteCount: Int
        var guest: UInt64?
    }

    private let list = Mutex<[Piece]>([])

    func add(_ host: UInt64, _ byteCount: Int, _ guest: UInt64?) {
        list.withLock { $0.append(Piece(host: host, byteCount: byteCount, guest: guest)) }
    }

    var pieces: [Piece] { list.withLock { $0 } }
}

/// Looks at a vCPU that runs. One process has one SIGPROF.
@Suite(.serialized) struct SamplingTests {
    /// An engine on a thread of its own until it is told to stop.
    private final class Running: @unchecked Sendable {
        let machine: TranslationMachine
        let sampler: GuestSampler
        let stops = Atomic<Bool>(false)
        let ended = DispatchSemaphore(value: 0)

        init(_ code: [UInt8], _ policy: TranslationPolicy) throws {
            var observation = CodeObservation()
            observation.keepsPlaces = true
            machine = try TranslationMachine(code, at: 0x1000, policy, observation: observation)
            sampler = machine.engine.makeSampler()
        }

        func start() {
            Thread { [self] in
                sampler.comesOntoThread()
                while !stops.load(ordering: .acquiring) {
                    _ = machine.engine.run(budget: 1_000_000)
                }
                sampler.leavesThread()
                ended.signal()
            }.start()
        }

        func stop() {
            stops.store(true, ordering: .releasing)
            ended.wait()
        }
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func samplesAreWhereTheGuestIs(policy: TranslationPolicy) throws {
        #expect(GuestSampler.install() && GuestSampler.install())
        // 0x1000: nop; top: inc rax; imul rdx, rax; jmp top
        let running = try Running(
            [0x90, 0x48, 0xff, 0xc0, 0x48, 0x0f, 0xaf, 0xd0, 0xeb, 0xf7], policy)
        running.sampler.strike()
        #expect(running.sampler.take() == nil, "it is on no thread")
        running.start()
        var samples: [GuestSampler.Sample] = []
        // Enough that the loop has become host code.
        for _ in 0..<100_000 where samples.count < 400 {
            running.sampler.strike()
            Thread.sleep(forTimeInterval: 0.0002)
            while let sample = running.sampler.take() { samples.append(sample) }
        }
        running.stop()
        #expect(samples.count >= 400)
        for sample in samples {
            #expect(sample.privilegeLevel == 0 && sample.pageTable == 0x10000)
            #expect((0x1000...0x1008).contains(sample.address), "\(sample)")
        }
        let translated = samples.filter { $0.activity == .translated }
        if policy == .off {
            #expect(translated.isEmpty)
        } else {
            #expect(translated.count > 100)
            #expect(translated.allSatisfy { [0x1001, 0x1004, 0x1008].contains($0.address) })
        }
        running.sampler.strike()
        #expect(running.sampler.take() == nil, "it has left its thread")
    }

    /// Nobody takes them: they are counted, and the vCPU runs on.
    @Test func samplesWithoutRoomAreLost() throws {
        #expect(GuestSampler.install())
        let running = try Running([0xeb, 0xfe], .off)
        running.start()
        for _ in 0..<100_000 where running.sampler.lostCount < 10 {
            running.sampler.strike()
            Thread.sleep(forTimeInterval: 0.0002)
        }
        running.stop()
        #expect(running.sampler.lostCount >= 10)
        var count = 0
        while running.sampler.take() != nil { count += 1 }
        #expect(count == 64)
    }
}
