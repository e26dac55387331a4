internal import CEngine
internal import GuestMemory
internal import Synchronization
internal import VirtualCPU

// Pages that go: an engine gives up its translations of them between two blocks, where it holds no pointer
// into guest memory. Decoded instructions stay: the page comes back as it was.

/// Word that pages have become absent: one engine's.
///
/// Owner: `EngineContext`. Anyone leaves; the vCPU's worker takes.
final class AbsenceMail: Sendable {
    private let left = Atomic<UInt64>(0)
    private let dealtWith = Atomic<UInt64>(0)
    private let events: PendingEvents

    init(_ events: PendingEvents) { self.events = events }

    func leave() {
        left.wrappingAdd(1, ordering: .sequentiallyConsistent)
        events.raise(.codeChanged)
    }

    /// Nothing has been left that is not dealt with. Any thread.
    var isDone: Bool {
        dealtWith.load(ordering: .sequentiallyConsistent)
            == left.load(ordering: .sequentiallyConsistent)
    }

    /// Runs `body`, which deals with all that was left before. The worker.
    func deal(_ body: () -> Void) {
        let number = left.load(ordering: .sequentiallyConsistent)
        body()
        dealtWith.store(number, ordering: .sequentiallyConsistent)
    }
}

/// Drops translations of pages that are absent, and of those that nobody has accessed since they were looked
/// at: their next access makes a new one and says so. Between two blocks.
func dropAbsentTranslations(_ cpu: CPU, _ engine: EngineContext) {
    guard let residency = engine.memory.residency else { return }
    engine.absences.deal {
        unsafe beforeWriteEntriesGo(cpu, engine)
        let entries = unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self)
        for index in 0..<Int(TLB_ENTRY_COUNT &+ TLB_VICTIM_COUNT) {
            if unsafe entries[index].readTag == .max, unsafe entries[index].writeTag == .max {
                continue
            }
            if unsafe isInUse(entries[index].physical & ~0xfff, engine.memory, residency) {
                continue
            }
            unsafe entries[index].readTag = .max
            unsafe entries[index].writeTag = .max
        }
        let fetches = unsafe fetchEntry(cpu, 0)
        for index in 0..<Int(FETCH_ENTRY_COUNT) where unsafe fetches[index].tag != .max {
            if unsafe !isInUse(fetches[index].physical & ~0xfff, engine.memory, residency) {
                unsafe fetches[index].tag = .max
            }
        }
    }
}

private func isInUse(
    _ address: UInt64, _ memory: GuestMemory, _ residency: PageResidency
) -> Bool {
    !memory.isAbsent(address) && residency.use(of: address &>> 12).contains(.accessed)
}

/// Before the entry is made: whether it may be one to write to the page by, which counts as written then. One
/// that is made for a read may be only if the page counts as that already: a kernel reads everything through a
/// map that it can write to, and all of it would have to be written to the swap file again.
///
/// The mark stays while the page is present, so what is seen here holds until the entry is made: the vCPU is
/// within an instruction, and whoever takes the page away waits for that.
func noteUse(_ residency: PageResidency, _ translation: Translation, _ access: Access) -> Bool {
    let page = translation.physical &>> 12
    let mayWrite = access == .write || residency.use(of: page).contains(.written)
    residency.note(access == .write ? [.accessed, .written] : .accessed, page)
    return mayWrite
}

extension EngineContext {
    /// Runs `body`, which looks at guest memory between two runs, as if it were guest code: no page that it
    /// has found present goes meanwhile. It must not wait for one.
    func lookAtMemory<Result>(_ cpu: CPU, _ body: () -> Result) -> Result {
        if memory.residency == nil { return body() }
        memory.busLock.sitDown(seat)
        defer { memory.busLock.getUp(seat) }
        if !absences.isDone { unsafe dropAbsentTranslations(cpu, self) }
        return body()
    }
}
