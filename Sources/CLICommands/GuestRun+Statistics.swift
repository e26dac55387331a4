import Foundation
import Machine

extension GuestRun {
    /// Everything that was counted, as a line of JSON on standard error.
    func printStatistics(_ machine: Machine) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        if let data = try? encoder.encode(machine.statistics) {
            StandardError.write(String(decoding: data, as: UTF8.self) + "\n")
        }
    }
}
