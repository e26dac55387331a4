import Machine
import Vocabulary

/// One run of a guest for `martlet run`.
struct GuestRun {
    var options: RunCommand

    init(_ options: RunCommand) { self.options = options }

    func run() throws -> Int32 {
        _ = try options.baseConfiguration()
        throw XError(.unsupported, "no guest runs yet in this version")
    }
}
