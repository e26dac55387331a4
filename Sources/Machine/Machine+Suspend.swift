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

// A guest that is to stand still says so itself, once its drivers do. Any thread, one at a time.
extension Machine {
    /// Asks the guest to suspend, and writes the machine to a file.
    ///
    /// - Parameters:
    ///   - notes: what is kept with it; called once the guest stands still.
    ///   - refusal: why the guest has given up, as soon as that is known; asked again and again.
    ///   - step: told what has happened, for a person.
    /// - Throws: `XError`: the guest does not listen, does not acknowledge, a driver of it refuses, or the
    ///   file cannot be written. The guest then goes on.
    public func suspend(
        to path: String, _ options: SuspendOptions, notes: () -> [String: Data] = { [:] },
        refusal: () -> String? = { nil }, step: (String) -> Void = { _ in }
    ) throws {
        guard let powerControl else {
            throw XError(
                .unsupported,
                "the platform '\(configuration.platform.rawValue)' has no way to suspend: use "
                    + "--platform xen")
        }
        suspension.begin()
        try powerControl.ask(.suspend)
        step("asked the guest for 'suspend'")
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
        step("the guest has acknowledged it")
        var reason: String?
        let caller = suspension.wait(seconds: options.seconds) {
            reason = refusal()
            return reason != nil || lifecycle != .running
        }
        guard let caller else {
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
        guard ensemble.park(seconds: 10) else {
            throw XError(.busy, "the guest ended while it was to be suspended")
        }
        step("the guest stands still")
        var stands = true
        do {
            let staged = try stage(path, caller, notes(), options)
            // A guest that goes on need not wait for the host's disk.
            if options.goesOn {
                ensemble.unpark()
                stands = false
                step("the guest goes on")
            }
            try staged.commit()
        } catch {
            if stands { ensemble.unpark() }
            throw error
        }
        step("wrote \(path)")
        if stands { ensemble.stop(.suspended) }
    }

    private func stage(
        _ path: String, _ caller: VCPUIndex, _ notes: [String: Data], _ options: SuspendOptions
    ) throws -> StagedSnapshot {
        var vcpus = runners.map { $0.captureState() }
        // Who wakes up in the file wakes up in a new domain.
        vcpus[Int(caller.rawValue)].engine.generalPurposeRegisters[0] = Suspension.resumed
        let manifest = MachineSnapshot.Manifest(
            processorCount: configuration.processorCount,
            memoryByteCount: configuration.memoryByteCount,
            platform: configuration.platform.rawValue,
            processor: configuration.processor.rawValue, engine: configuration.engine.rawValue,
            features: try configuration.processorFeatures, frequency: counter.frequency,
            incarnation: incarnation, vcpus: vcpus, parts: try MachinePartStates(lastingParts),
            notes: notes)
        // No page goes while the memory is looked at.
        paging?.pager.holdPages()
        defer { paging?.pager.letPagesGo() }
        return try SnapshotWriter.stage(
            to: path, memory: memory.descriptor, memoryByteCount: memory.byteCount,
            manifest: [UInt8](try JSONEncoder().encode(manifest)),
            compression: options.compresses ? .zstd : .none,
            absent: paging.map { PagedOutPages(memory: memory, pager: $0.pager) })
    }
}
