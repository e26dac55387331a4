import Bus
import Clocks
import GuestMemory
import Interrupts
import KVMParavirt
import Testing
import VirtualCPU
import Vocabulary

@testable import Machine

/// What the machine does with the KVM face's registers and hypercalls, without a CPU.
@Suite struct KVMGlueTests {
    struct Bench {
        let memory: GuestMemory
        let pending: [PendingEvents]
        let controller: InterruptController
        let vcpus: [MachineSurroundings]

        init(processors: Int = 3, isKVM: Bool = true) throws {
            let memory = try GuestMemory(regions: [
                MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 1 << 20)
            ])
            self.memory = memory
            let pending = (0..<processors).map { _ in PendingEvents() }
            self.pending = pending
            let clock = HostClock()
            let apics = pending.indices.map { index in
                LocalAPIC(
                    index: VCPUIndex(UInt32(index)), pending: pending[index],
                    timing: LocalAPIC.Timing(
                        now: { clock.now }, nanosecondsUntilCounter: { _, _ in 0 },
                        setDeadline: { _ in }), memory: memory, wake: {})
            }
            for apic in apics { _ = apic.write(0x0f0, 0x1ff) }
            let controller = InterruptController(localAPICs: apics)
            self.controller = controller
            let face = KVMFace(
                memory: memory, processorCount: processors, frequency: 1_000_000_000,
                counter: { clock.now.nanoseconds }, monotonic: { clock.now.nanoseconds },
                wallClock: { 0 })
            vcpus = apics.indices.map { index in
                MachineSurroundings(
                    index: VCPUIndex(UInt32(index)), bus: Bus(), apic: apics[index],
                    controller: controller, face: isKVM ? .kvm(face) : .none, paging: nil)
            }
        }

        func call(
            _ number: UInt64, _ a0: UInt64 = 0, _ a1: UInt64 = 0, _ a2: UInt64 = 0,
            _ a3: UInt64 = 0, from vcpu: Int = 0
        ) -> UInt64 {
            var frame = HypercallFrame()
            frame.rax = number
            (frame.rbx, frame.rcx, frame.rdx, frame.rsi) = (a0, a1, a2, a3)
            return vcpus[vcpu].hypercall(frame, in: ScriptedEngine([]))
        }
    }

    @Test func aKickReachesItsVCPU() throws {
        let bench = try Bench()
        #expect(bench.call(5, 0, 2) == 0)
        #expect(bench.pending[2].current == .kick)
        #expect(bench.vcpus[2].takeKick())
        #expect(!bench.vcpus[1].takeKick())
        #expect(bench.call(5, 0, 3) == 0)
        #expect(bench.call(11, 1) == 0)
        #expect(bench.pending[0].current.isEmpty && bench.pending[1].current.isEmpty)
    }

    @Test func interruptsReachTheirVCPUsAndAreCounted() throws {
        let bench = try Bench()
        #expect(bench.call(10, 0b110, 0, 0, 0xfd) == 2)
        #expect(bench.vcpus.map { $0.acknowledgeInterrupt() } == [nil, 0xfd, 0xfd])
        #expect(bench.call(10, 0b1, 0, 2, 0x400) == 1)
        #expect(bench.pending[2].current.contains(.nonMaskableInterrupt))
        #expect(bench.call(10, .max, .max, 3, 0xfd) == 0)
        #expect(bench.call(10, 1, 0, 0, 0xfd | 1 << 18) == UInt64(bitPattern: -22))
    }

    @Test func registersOfAVCPUAreItsOwn() throws {
        let bench = try Bench()
        #expect(bench.vcpus[1].writeMSR(0x4b56_4d04, value: 0x1001))
        #expect(bench.vcpus[1].readMSR(0x4b56_4d04) == 0x1001)
        #expect(bench.vcpus[0].readMSR(0x4b56_4d04) == 0)
        #expect(!bench.vcpus[1].writeMSR(0x4b56_4d04, value: 0x1003))
        #expect(bench.vcpus[1].writeMSR(0x4b56_4d03, value: 0x2001))
        bench.vcpus[1].scheduledOut(preempted: true)
        #expect(bench.memory.read(GuestPhysicalAddress(0x2010), as: UInt8.self) == 1)
        bench.memory.write(GuestPhysicalAddress(0x2010), integer: UInt8(3))
        #expect(bench.vcpus[1].scheduledIn(stolenNanoseconds: 5))
        #expect(bench.memory.read(GuestPhysicalAddress(0x2000), as: UInt64.self) == 5)
        #expect(!bench.vcpus[0].scheduledIn(stolenNanoseconds: 5))
        _ = bench.call(5, 0, 1)
        bench.controller.localAPICs[1].request(.initialize)
        #expect(bench.vcpus[1].takeStartUpRequests() == [.initialize])
        #expect(bench.vcpus[1].readMSR(0x4b56_4d03) == 0)
        #expect(bench.vcpus[1].readMSR(0x4b56_4d04) == 0)
        #expect(!bench.vcpus[1].takeKick())
    }

    @Test func withoutTheFaceThereIsNothing() throws {
        let bench = try Bench(isKVM: false)
        for index in 0x4b56_4d00...0x4b56_4d08 as ClosedRange<UInt32> {
            #expect(bench.vcpus[0].readMSR(index) == nil)
            #expect(!bench.vcpus[0].writeMSR(index, value: 0))
        }
        #expect(bench.call(5, 0, 1) == UInt64(bitPattern: -1000))
        #expect(bench.pending[1].current.isEmpty)
        #expect(!bench.vcpus[0].scheduledIn(stolenNanoseconds: 5))
    }
}
