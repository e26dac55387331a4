import GuestMemory
import Testing
import Vocabulary

@testable import KVMParavirt

/// What Linux 6.1 does on one processor with the interface of asynchronous page faults
/// (arch/x86/kernel/kvm.c, told in our words): tasks that wait by token, the two words of the area,
/// and the interrupt.
struct AsyncFaultGuest {
    static let enable: UInt32 = 0x4b56_4d02
    static let interrupt: UInt32 = 0x4b56_4d06
    static let acknowledge: UInt32 = 0x4b56_4d07
    static let vector: UInt8 = 0xf3
    static let wakeAll: UInt32 = 0xffff_ffff

    static let takes = AsyncFaultConditions(
        privilegeLevel: 3, interruptsEnabled: true, pagingEnabled: true, eventPending: false)

    let face: KVMFace
    let memory: GuestMemory
    let processor: VCPUIndex
    let area: UInt64
    /// What the guest keeps beside the area.
    var isEnabled = false
    /// Tokens that tasks wait on.
    var sleeping: Set<UInt32> = []
    /// Tokens that came before their task slept, or that nobody waits for.
    var early: Set<UInt32> = []
    /// Tokens given by interrupt, in order, with `wakeAll`.
    var woken: [UInt32] = []

    init(_ bench: KVMFaceTests.Bench, _ processor: UInt32 = 0, area: UInt64 = 0x5000) {
        face = bench.face
        memory = bench.memory
        self.processor = VCPUIndex(processor)
        self.area = area
    }

    private func word(_ offset: UInt64) -> UInt32 {
        memory.read(GuestPhysicalAddress(area + offset), as: UInt32.self) ?? .max
    }

    private func clear(_ offset: UInt64) {
        memory.write(GuestPhysicalAddress(area + offset), integer: UInt32(0))
    }

    var flags: UInt32 { word(0) }
    var slot: UInt32 { word(4) }

    /// kvm_guest_cpu_init.
    mutating func turnOn() {
        #expect(face.write(Self.interrupt, UInt64(Self.vector), processor))
        #expect(face.write(Self.enable, area | 1 | 8, processor))
        isEnabled = true
    }

    /// As `turnOn`, and the interrupt that wakes all is over.
    mutating func turnOnAndSettle() {
        turnOn()
        #expect(face.readyPageVector(processor, localAPICIsEnabled: true) == Self.vector)
        takeInterrupt()
        #expect(woken == [Self.wakeAll])
        woken = []
    }

    /// kvm_guest_cpu_offline: it wakes its tasks itself.
    mutating func turnOff() {
        #expect(face.write(Self.enable, 0, processor))
        isEnabled = false
        sleeping = []
    }

    func fault(_ page: UInt64, _ conditions: AsyncFaultConditions = takes) -> AsyncFaultAnswer {
        face.pageNotPresent(processor, page: page, conditions)
    }

    /// The #PF of a fault that was answered with a token; false: it is a fault of the guest's own.
    mutating func takePageFault(_ token: UInt32) -> Bool {
        guard isEnabled, flags == 1 else { return false }
        clear(0)
        if early.remove(token) == nil { sleeping.insert(token) }
        return true
    }

    /// A fault on `page` from its access to the task asleep.
    mutating func sleep(on page: UInt64) throws -> UInt32 {
        guard case .notPresent(let token) = fault(page) else {
            throw GuestError.halted
        }
        let isOurs = takePageFault(token)
        #expect(isOurs)
        return token
    }

    enum GuestError: Error { case halted }

    /// sysvec_kvm_asyncpf_interrupt. False: it came when the interface was off, and changes nothing.
    @discardableResult
    mutating func takeInterrupt() -> Bool {
        guard isEnabled else { return false }
        let token = slot
        woken.append(token)
        if token == Self.wakeAll {
            sleeping = []
        } else if sleeping.remove(token) == nil {
            early.insert(token)
        }
        clear(4)
        #expect(face.write(Self.acknowledge, 1, processor))
        return true
    }

    /// Takes every interrupt that there is.
    mutating func drain() {
        while let vector = face.readyPageVector(processor, localAPICIsEnabled: true) {
            #expect(vector == Self.vector)
            takeInterrupt()
        }
    }
}
