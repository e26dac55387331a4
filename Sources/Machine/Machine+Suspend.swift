internal import Clocks
public import Foundation
internal import GuestMemory
internal import HostIO
internal import Paging
internal import Snapshot
internal import VirtualCPU
internal import Vocabulary
internal import Xen

/// How a guest is suspended.
public struct SuspendOptions: Sendable {
    /// Seconds for the guest to take the request.
    public var acknowledgeSeconds = 10.0
    /// Seconds for its drivers to stop, after that.
    public var seconds = 60.0
    /// The guest goes on where it is; else the machine ends.
    public var goesOn = false
    /// The file is compressed: smaller, and slower to write and to read.
    public var compresses = false

    public init() {}
}

/// What somebody who has a machine written down does and wants to know.
public struct SuspendObserver {
    /// What is kept with the machine; called once the guest stands still.
    public var notes: () -> [String: Data] = { [:] }
    /// The machine is written down, or will not be; called once if `notes` was.
    public var noted: () -> Void = {}
    /// Why the guest has given up, as soon as that is known; asked again and again.
    public var refusal: () -> String? = { nil }
    /// Told what has happened, for a person.
    public var step: (String) -> Void = { _ in }

    public init() {}
}

// A Xen guest that is to stand still says so itself, once its drivers do; any other has no drivers that need to know.
// Any thread, one at a time.
extension Machine {
    /// Has the guest suspend, and writes the machine to a file.
    ///
    /// - Throws: `XError`: the guest does not listen, does not acknowledge, a driver of it refuses, or the
    ///   file cannot be written. The guest then goes on.
    public func suspend(
        to path: String, _ options: SuspendOptions, _ observer: SuspendObserver = SuspendObserver()
    ) throws {
        let caller = try standStill(options, observer)
        var stands = true
        do {
            let staged = try stage(path, try manifest(caller, observer), options)
            // A guest that goes on need not wait for the host's disk.
            if options.goesOn {
                ensemble.unpark()
                stands = false
                observer.step("the guest goes on")
            }
            try staged.commit()
        } catch {
            if stands { ensemble.unpark() }
            throw error
        }
        observer.step("wrote \(path)")
        if stands { ensemble.stop(.suspended) }
    }

    /// Has every vCPU stand still, and everything that the guest has begun be done. Returns the vCPU by which a Xen
    /// guest has suspended itself. They go on by `VCPUEnsemble.unpark`.
    func standStill(_ options: SuspendOptions, _ observer: SuspendObserver) throws -> VCPUIndex? {
        var caller: VCPUIndex?
        if let powerControl {
            caller = try suspended(powerControl, options, observer)
        }
        guard ensemble.park(seconds: 10) else {
            throw XError(.busy, "the guest ended while it was to be suspended")
        }
        if powerControl == nil { devices.settle(milliseconds: 1000) }
        observer.step("the guest stands still")
        return caller
    }

    /// Asks a guest to suspend itself, and waits until it has.
    private func suspended(
        _ powerControl: PowerControl, _ options: SuspendOptions, _ observer: SuspendObserver
    ) throws -> VCPUIndex {
        suspension.begin()
        try powerControl.ask(.suspend)
        observer.step("asked the guest for 'suspend'")
        let deadline =
            HostThread.monotonicNow.nanoseconds &+ UInt64(options.acknowledgeSeconds * 1e9)
        while !powerControl.isAcknowledged {
            if HostThread.monotonicNow.nanoseconds < deadline, lifecycle == .running {
                HostThread.sleep(nanoseconds: 2_000_000)
                continue
            }
            guard powerControl.withdraw() else { break }
            _ = suspension.wait(seconds: 0)
            throw XError(
                .busy,
                "the guest did not acknowledge 'suspend' in \(options.acknowledgeSeconds) seconds; the "
                    + "request was taken back")
        }
        observer.step("the guest has acknowledged it")
        var reason: String?
        let caller = suspension.wait(seconds: options.seconds) {
            reason = observer.refusal()
            return reason != nil || lifecycle != .running
        }
        if let caller { return caller }
        if let reason {
            throw XError(.busy, "the guest goes on, it cannot be suspended now: \(reason)")
        }
        if lifecycle != .running {
            throw XError(.busy, "the guest ended while it was to be suspended")
        }
        throw XError(
            .busy,
            "the guest has not suspended itself after \(options.seconds) seconds: a driver or a "
                + "program of it refuses, its kernel's log says which")
    }

    /// All of a machine that stands still but its memory.
    func manifest(
        _ caller: VCPUIndex?, _ observer: SuspendObserver
    ) throws -> MachineSnapshot.Manifest {
        let notes = observer.notes()
        defer { observer.noted() }
        var vcpus = runners.map { $0.captureState() }
        // Who wakes up in the file wakes up in a new domain.
        if let caller {
            vcpus[Int(caller.rawValue)].engine.generalPurposeRegisters[0] = Suspension.resumed
        }
        return MachineSnapshot.Manifest(
            processorCount: configuration.processorCount,
            memoryByteCount: configuration.memoryByteCount,
            platform: configuration.platform.rawValue,
            processor: configuration.processor.rawValue, engine: configuration.engine.rawValue,
            features: try configuration.processorFeatures, frequency: counter.frequency,
            incarnation: incarnation, vcpus: vcpus, parts: try MachinePartStates(lastingParts),
            notes: notes)
    }

    private func stage(
        _ path: String, _ manifest: MachineSnapshot.Manifest, _ options: SuspendOptions
    ) throws -> StagedSnapshot {
        // No page goes while the memory is looked at.
        paging?.pager.holdPages()
        defer { paging?.pager.letPagesGo() }
        return try SnapshotWriter.stage(
            to: path, memory: SnapshotContents(memory),
            manifest: [UInt8](try JSONEncoder().encode(manifest)),
            compression: options.compresses ? .zstd : .none,
            absent: paging.map { PagedOutPages(memory: memory, pager: $0.pager) })
    }
}
