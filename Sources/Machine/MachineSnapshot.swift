internal import Clocks
public import Foundation
internal import GuestMemory
internal import HostIO
internal import Snapshot
internal import VirtualCPU
internal import Vocabulary

/// A machine that stands still in a file, as `Machine.suspend` and `Machine.checkpoint` write it.
///
/// Owner: whoever opened it, until the machine is made of it. One thread at a time.
public final class MachineSnapshot {
    struct Manifest: Codable, Sendable {
        var processorCount: Int
        var memoryByteCount: UInt64
        var platform: String
        /// Which processor the guest has found, with which engine, and what it can.
        var processor: String
        var engine: String
        var features: [UInt32]
        /// Of the time-stamp counter, in hertz.
        var frequency: UInt64
        /// How often the machine had gone on in another process; nil: not counted then.
        var incarnation: UInt32?
        var vcpus: [VCPURunner.State]
        var parts: MachinePartStates
        /// What others keep with it, by name.
        var notes: [String: Data]
    }

    /// Where its memory is.
    enum Memory {
        case file(SnapshotReader)
        /// Of a machine that was forked.
        case image(MemoryImage)
    }

    let manifest: Manifest
    let memory: Memory
    /// Begun as soon as it is known that the host's clock matters.
    private let measurement = FrequencyMeasurement()
    /// For a person.
    private let name: String

    /// A machine that was forked.
    ///
    /// - Throws: `XError`: it makes no sense.
    public init(_ fork: ForkedMachine) throws {
        memory = .image(fork.image)
        name = "of a fork"
        manifest = try Self.manifest(fork.manifest, name)
    }

    /// - Throws: `XError`: it cannot be read, or is damaged, or none of this version.
    public init(path: String) throws {
        let reader = try SnapshotReader(path: path)
        memory = .file(reader)
        name = path
        manifest = try Self.manifest(reader.manifest, path)
    }

    private static func manifest(_ bytes: [UInt8], _ name: String) throws -> Manifest {
        let manifest: Manifest
        do {
            manifest = try JSONDecoder().decode(Manifest.self, from: Data(bytes))
        } catch {
            throw XError(
                .invalidFormat,
                "cannot use the snapshot '\(name)': its manifest is of another Martlet: \(error)",
                cause: error)
        }
        guard manifest.vcpus.count == manifest.processorCount else {
            throw XError(
                .invalidFormat, "cannot use the snapshot '\(name)': it has not all of its vCPUs")
        }
        return manifest
    }

    /// What the machine is, for a person.
    public struct Summary: Codable, Sendable, Equatable {
        /// `xen`, `kvm` or `none`.
        public var platform: String
        public var processorCount: Int
        /// Which processor the guest has found, and which engine.
        public var processor: String
        public var engine: String
        /// Of the time-stamp counter, in hertz.
        public var frequency: UInt64
        /// Devices, controllers and clocks whose states are in it.
        public var parts: [String]
    }

    public var summary: Summary {
        Summary(
            platform: manifest.platform, processorCount: manifest.processorCount,
            processor: manifest.processor, engine: manifest.engine, frequency: manifest.frequency,
            parts: manifest.parts.entries.map(\.name))
    }

    /// The paravirtual interface that the guest has found.
    ///
    /// - Throws: `XError`: it is not known here.
    public var platform: MachineConfiguration.Platform {
        get throws {
            guard let platform = MachineConfiguration.Platform(rawValue: manifest.platform) else {
                throw unknown
            }
            return platform
        }
    }

    private var unknown: XError {
        XError(
            .invalidFormat,
            "the snapshot '\(name)' is of a platform or processor that is not known here")
    }

    /// What was kept with it.
    public func note(_ name: String) -> Data? { manifest.notes[name] }

    /// Has a configuration as the guest must find it again: processors, memory, platform.
    public func apply(to configuration: inout MachineConfiguration) throws {
        configuration.processorCount = manifest.processorCount
        configuration.memoryByteCount = manifest.memoryByteCount
        guard let processor = ProcessorChoice(rawValue: manifest.processor),
            let engine = MachineConfiguration.Engine(rawValue: manifest.engine)
        else { throw unknown }
        configuration.platform = try platform
        configuration.processor = processor
        configuration.engine = engine
        guard try configuration.processorFeatures == manifest.features else {
            throw XError(
                .unsupported,
                "the snapshot '\(name)' is of a processor with other features than this host's "
                    + "has: resume it on a host like the one it was made on")
        }
    }

    /// The guest has measured its counter, which is the host's: another rate would be a wrong clock.
    func frequency() throws(XError) -> UInt64 {
        func isNear(_ frequency: UInt64) -> Bool {
            abs(Double(frequency) / Double(manifest.frequency) - 1) < 0.001
        }
        if isNear(measurement.finish(after: FrequencyMeasurement.rough)) {
            return manifest.frequency
        }
        // Somebody may have been in the way.
        let frequency = measurement.finish()
        guard isNear(frequency) else {
            throw XError(
                .unsupported,
                "the snapshot '\(name)' is of a host whose counter has "
                    + "\(manifest.frequency / 1_000_000) MHz, this one's has \(frequency / 1_000_000): "
                    + "resume it on a host like the one it was made on")
        }
        return manifest.frequency
    }

    /// The memory of a machine that goes on with it.
    ///
    /// - Parameter isPaged: its pages come when they are needed; of a fork's, none does.
    func makeMemory(_ regions: [MemoryRegion], isPaged: Bool) throws -> GuestMemory {
        switch memory {
        case .image(let image): return try GuestMemory(regions: regions, image: image)
        case .file(let reader):
            let memory = try GuestMemory(regions: regions, isPaged: isPaged)
            guard memory.byteCount == reader.memoryByteCount else {
                throw XError(
                    .invalidFormat,
                    "the snapshot '\(name)' has \(reader.memoryByteCount) bytes of memory and the "
                        + "machine \(memory.byteCount)")
            }
            if !isPaged { try reader.restore(into: memory.descriptor) }
            return memory
        }
    }

    /// Where pages come from that are needed; nil: all are there.
    var pages: SnapshotPages? {
        if case .file(let reader) = memory { return SnapshotPages(reader) }
        return nil
    }
}

extension MachineConfiguration {
    /// What the guest's processor says it can: leaves 1, 7, 13 and 0x80000001 of CPUID.
    var processorFeatures: [UInt32] {
        get throws {
            let processor = ProcessorModel(
                index: 0, count: 1, frequency: 1_000_000_000, platform: .none,
                model: try processor.model(for: engine))
            return [UInt32(1), 7, 13, 0x8000_0001].flatMap { leaf in
                let answer = processor.answer(leaf, 0)
                return [answer.ecx, answer.edx] + (leaf == 7 ? [answer.ebx] : [])
            }
        }
    }
}
