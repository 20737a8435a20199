import Logging
import Synchronization
import Transport

/// Logs connections that the port refused. The first few of each address and reason get a line each; the others of a minute
/// are counted, so that nobody fills the log.
final class HandshakeLog: Sendable {
    private struct Kind: Hashable {
        let address: AddressGroup
        /// The reason without its variable parts.
        let reason: String
    }

    private struct Tally {
        var logged = 0
        var unreported = 0
        var words = ""
    }

    private struct State {
        var count = 0
        var begin = ContinuousClock.now
        var logged = 0
        var kinds: [Kind: Tally] = [:]
        /// Refusals of kinds for which there was no room.
        var others = 0
    }

    /// The time for which refusals are counted together.
    static let interval = Duration.seconds(60)
    /// Lines of one kind, and of all kinds, in an interval. Guesses: enough to see the problem.
    private static let linesPerKind = 5
    private static let linesMax = 60
    /// Kinds that are counted separately in an interval, and those that are listed at its end.
    private static let kindsMax = 1024
    private static let summariesMax = 10

    private let logger: Logger
    private let state = Mutex(State())

    init(logger: Logger) {
        self.logger = logger
    }

    /// Refused connections since the node started.
    var count: Int { state.withLock { $0.count } }

    func refused(_ address: PeerAddress, _ reason: CloseReason) {
        // A connection that ends because the node stops is not refused.
        guard reason != .localShutdown else { return }
        tellRest(ifOlderThan: Self.interval)
        let kind = Kind(address: AddressGroup(host: address.host), reason: reason.kind)
        let words = reason.words
        let isReported = state.withLock { state in
            state.count += 1
            guard state.kinds[kind] != nil || state.kinds.count < Self.kindsMax else {
                state.others += 1
                return false
            }
            var tally = state.kinds[kind] ?? Tally()
            defer { state.kinds[kind] = tally }
            tally.words = words
            guard tally.logged < Self.linesPerKind, state.logged < Self.linesMax else {
                tally.unreported += 1
                return false
            }
            tally.logged += 1
            state.logged += 1
            return true
        }
        guard isReported else { return }
        if address.host.isEmpty {
            logger.warning("connections cannot be accepted", metadata: ["reason": "\(words)"])
        } else {
            logger.notice("connection refused", metadata: ["address": "\(address)", "reason": "\(words)"])
        }
    }

    /// Logs the number of refusals without a line of their own, and starts a new interval.
    func tellRest(ifOlderThan age: Duration = .zero) {
        let rest = state.withLock { state -> (kinds: [(Kind, Tally)], others: Int)? in
            guard state.begin.duration(to: .now) >= age else { return nil }
            defer { state = State(count: state.count) }
            return (
                state.kinds.filter { $0.value.unreported > 0 }.sorted { $0.value.unreported > $1.value.unreported },
                state.others
            )
        }
        guard let rest else { return }
        for (kind, tally) in rest.kinds.prefix(Self.summariesMax) {
            logger.notice(
                "more connections refused",
                metadata: ["count": "\(tally.unreported)", "address": "\(kind.address)", "last": "\(tally.words)"]
            )
        }
        let others = rest.others + rest.kinds.dropFirst(Self.summariesMax).reduce(0) { $0 + $1.1.unreported }
        if others > 0 {
            logger.notice("more connections refused", metadata: ["count": "\(others)", "address": "many others"])
        }
    }
}

extension CloseReason {
    /// The case's name.
    fileprivate var kind: String { String("\(self)".prefix { $0 != "(" }) }
}
