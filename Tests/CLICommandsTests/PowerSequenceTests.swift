import Machine
import Testing
import Vocabulary

@testable import CLICommands

/// Asking a guest to end, with the guest's side played.
struct PowerSequenceTests {
    /// A guest that acknowledges and ends after so many questions; nil: never.
    private final class Guest {
        var acknowledgesAfter: Int?
        var endsAfter: Int?
        var isDeaf = false
        var asked: [PowerRequest] = []
        var withdrawals = 0
        var isStopped = false
        private var looks = 0

        init(acknowledgesAfter: Int?, endsAfter: Int?) {
            self.acknowledgesAfter = acknowledgesAfter
            self.endsAfter = endsAfter
        }

        private func after(_ limit: Int?) -> Bool {
            looks += 1
            return limit.map { looks > $0 } ?? false
        }

        func sequence(isForced: Bool, seconds: Double = 0.05) -> PowerSequence {
            PowerSequence(
                request: .powerOff, isForced: isForced, acknowledgeSeconds: seconds,
                endSeconds: seconds,
                guest: PowerSequence.Guest(
                    ask: { [self] request in
                        if isDeaf { throw XError(.busy, "it does not listen") }
                        asked.append(request)
                    }, hasAcknowledged: { [self] in after(acknowledgesAfter) },
                    withdraw: { [self] in
                        withdrawals += 1
                        return true
                    }, stop: { [self] in isStopped = true },
                    end: { [self] in
                        isStopped ? "stopped" : after(endsAfter) ? "powered off" : nil
                    }))
        }
    }

    private func run(_ guest: Guest, isForced: Bool) -> (steps: [String], error: String?) {
        var steps: [String] = []
        do {
            try guest.sequence(isForced: isForced).run { steps.append($0) }
            return (steps, nil)
        } catch {
            return (steps, (error as? XError)?.message)
        }
    }

    @Test func everyStepIsTold() {
        let guest = Guest(acknowledgesAfter: 0, endsAfter: 2)
        let (steps, error) = run(guest, isForced: false)
        #expect(error == nil)
        #expect(
            steps == [
                "asked the guest for 'poweroff'", "the guest has acknowledged it",
                "the machine has ended: powered off",
            ])
        #expect(guest.asked == [.powerOff] && !guest.isStopped && guest.withdrawals == 0)
    }

    @Test func aGuestThatDoesNotAcknowledgeIsAnError() {
        let guest = Guest(acknowledgesAfter: nil, endsAfter: nil)
        let (steps, error) = run(guest, isForced: false)
        #expect(steps == ["asked the guest for 'poweroff'"])
        #expect(error?.contains("did not acknowledge 'poweroff' in 0.05 seconds") == true)
        #expect(error?.contains("taken back") == true)
        #expect(guest.withdrawals == 1 && !guest.isStopped)
    }

    @Test func aGuestThatDoesNotEndIsAnError() {
        let guest = Guest(acknowledgesAfter: 0, endsAfter: nil)
        let (_, error) = run(guest, isForced: false)
        #expect(error?.contains("has not ended after 0.05 seconds") == true)
        #expect(!guest.isStopped)
    }

    @Test(arguments: [(nil, nil), (0, nil)] as [(Int?, Int?)])
    func forceEndsIt(acknowledges: Int?, ends: Int?) {
        let guest = Guest(acknowledgesAfter: acknowledges, endsAfter: ends)
        let (steps, error) = run(guest, isForced: true)
        #expect(error == nil && guest.isStopped)
        #expect(steps.suffix(2) == ["ended it by force", "the machine has ended: stopped"])
    }

    @Test func deafGuestsAreForcedOrRefused() {
        let guest = Guest(acknowledgesAfter: 0, endsAfter: 0)
        guest.isDeaf = true
        #expect(run(guest, isForced: false).error == "it does not listen")
        #expect(run(guest, isForced: true).steps.first == "it does not listen")
        #expect(guest.isStopped)
    }

    @Test func messagesSurviveTheWire() throws {
        let request = ControlMessage.Request(
            kind: .power, power: .reboot, acknowledgeSeconds: 1, endSeconds: 2)
        let line = ControlMessage.line(request)
        #expect(line.last == 10 && line.count { $0 == 10 } == 1)
    }

    @Test(arguments: ["", "-x", ".x", "a/b", "a b", "ü", String(repeating: "x", count: 33)])
    func namesThatAreNone(name: String) throws {
        let directory = try ControlDirectory()
        #expect(throws: XError.self) { try directory.path(name) }
        #expect(try directory.path("web-1.test_2").hasSuffix("/web-1.test_2.sock"))
    }
}
