internal import HostIO
public import Vocabulary

extension IntervalTimer {
    /// Three counters, in ticks from the moment of the capture.
    public struct State: Codable, Sendable, Equatable {
        var channels: [Channel]
    }

    public func captureState() -> State {
        channels.withLock { state in
            let now = now
            announce(&state, now)
            return State(
                channels: [state.channels.0, state.channels.1, state.channels.2].map { channel in
                    var channel = channel
                    channel.settle(now)
                    channel.rebase(now, to: 0)
                    return channel
                })
        }
    }

    public func restore(_ state: State) throws(XError) {
        guard state.channels.count == 3, state.channels.allSatisfy(\.isSound) else {
            throw XError(.invalidFormat, "the state of \(name) is damaged")
        }
        channels.withLock { own in
            let now = now
            let channels = state.channels.map { channel in
                var channel = channel
                channel.rebase(0, to: now)
                return channel
            }
            own.channels = (channels[0], channels[1], channels[2])
            own.toldUntil = now
            setLine(own.channels.0.output(now))
            setAlarm(own, now)
        }
    }
}
