import Boot
import Testing

@testable import CLICommands

@Suite struct AgentSessionTests {
    /// A guest that powers off at once after its last word.
    @Test func theExitIsKnownWhenTheGuestHasEnded() {
        for status in 0..<200 as Range<UInt8> {
            let session = AgentSession(AgentProtocol.Start(arguments: ["true"]))
            for byte in [0x84, 2, 0, 0, status] as [UInt8] { session.receive(byte) }
            session.settle()
            #expect(session.exit == .code(status))
        }
    }
}
