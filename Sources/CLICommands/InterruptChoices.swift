import ArgumentParser

/// `--interrupts`: where devices complete their work.
enum InterruptChoice: String, ExpressibleByArgument, CaseIterable {
    case threaded, inline
}

/// `--interrupt-priority uart0=50,timer=80`.
struct InterruptPriorities: ExpressibleByArgument, Equatable {
    var values: [String: Int] = [:]

    init?(argument: String) {
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", omittingEmptySubsequences: false)
            guard words.count == 2, !words[0].isEmpty, let priority = Int(words[1]) else {
                return nil
            }
            values[String(words[0])] = priority
        }
    }
}
