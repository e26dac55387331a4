/// The last interrupt commands of one vCPU: when it spins, it may be for their answer.
///
/// Owner: the vCPU's surroundings; its worker only.
struct SentInterrupts<Command> {
    /// A guest that interrupts many in several clusters sends one command for each cluster.
    private static var capacity: Int { 4 }

    private var commands: [Command] = []
    private var next = 0

    init() { commands.reserveCapacity(Self.capacity) }

    mutating func insert(_ command: Command) {
        if commands.count < Self.capacity {
            commands.append(command)
        } else {
            commands[next] = command
        }
        next = (next + 1) % Self.capacity
    }

    func contains(where isMeant: (Command) -> Bool) -> Bool { commands.contains(where: isMeant) }
}
