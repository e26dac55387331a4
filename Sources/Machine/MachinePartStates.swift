import Foundation
import Vocabulary

/// The states of all parts of a machine but its memory and its vCPUs.
///
/// The order is the order of capture: who sends interrupts before who keeps them, so that none is
/// on its way between two states.
struct MachinePartStates: Codable, Sendable {
    struct Entry: Codable, Sendable {
        /// `MachinePart.name`.
        var name: String
        /// The part's `State` as JSON.
        var state: Data
    }

    private(set) var entries: [Entry]

    /// Captures `parts`. No vCPU runs.
    init(_ parts: [any MachinePart]) throws {
        func entry(_ part: some MachinePart) throws -> Entry {
            Entry(name: part.name, state: try JSONEncoder().encode(part.captureState()))
        }
        entries = try parts.map { try entry($0) }
    }

    /// Restores `parts`, in reverse: who keeps interrupts before who sends them. No vCPU runs.
    func restore(_ parts: [any MachinePart]) throws {
        func restore(_ part: some MachinePart) throws {
            guard let entry = entries.first(where: { $0.name == part.name }) else {
                throw XError(.invalidFormat, "there is no state of \(part.name)")
            }
            try take(part, entry.state)
        }
        for part in parts.reversed() { try restore(part) }
    }

    private func take<Part: MachinePart>(_ part: Part, _ data: Data) throws {
        let state: Part.State
        do {
            state = try JSONDecoder().decode(Part.State.self, from: data)
        } catch {
            throw XError(
                .invalidFormat, "the state of \(part.name) is damaged: \(error)", cause: error)
        }
        try part.restore(state)
    }
}
