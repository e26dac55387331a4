internal import Foundation
public import Vocabulary

/// Gives `to` the state of `from`, by way of the bytes a snapshot would hold.
public func handOver<Part: MachinePart>(from: Part, to: Part) throws {
    let bytes = try JSONEncoder().encode(from.captureState())
    try to.restore(try JSONDecoder().decode(Part.State.self, from: bytes))
}
