import Foundation
package import Logging
import Synchronization

/// Writes the node's log: a line for each event. It escapes and cuts values of peers and authors like all other text (see
/// ``ShownText``). It quotes values with blanks, so that none looks like another field.
package struct LogLines: LogHandler {
    package var logLevel = Logger.Level.info
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let log: NodeLog

    /// - Parameter log: Receives and counts the lines; one for all handlers of a process.
    package init(label: String, log: NodeLog) {
        self.label = label
        self.log = log
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        all.merge(metadataProvider?.get() ?? [:]) { $1 }
        all.merge(event.metadata ?? [:]) { $1 }
        if let error = event.error { all["error"] = "\(error)" }
        log.write(
            NodeLog.Event(
                level: event.level,
                label: label,
                source: event.source,
                message: "\(event.message)",
                data: all.sorted { $0.key < $1.key }.map { (key: $0.key, value: "\($0.value)") }
            )
        )
    }
}

/// The log of a process. It writes a repeated event of one peer a few times and then counts it, so that no peer and no
/// outsider fills a disk with lines.
///
/// A kind is a message's constant text. Within a minute after the first line of a kind, each peer has
/// ``Limits/linesPerPeer`` lines of it and all peers together have ``Limits/linesPerKind``. A line at the end of the minute
/// says how many more there were. Lines of level critical are always written.
///
/// Isolation: any thread may call any method. The limits bound the memory.
package final class NodeLog: Sendable {
    /// The lines that are written before the log only counts.
    package struct Limits: Sendable {
        /// Lines of one kind about one peer in a minute. 10, a guess: enough to see what happens.
        package var linesPerPeer = 10
        /// Lines of one kind about all peers in a minute. 60, a guess: one a second.
        package var linesPerKind = 60
        /// Kinds that are counted separately. This program has some thirty; further messages count as one kind.
        package var kinds = 256
        /// The time for which lines of a kind are counted together.
        package var window = Duration.seconds(60)

        package init() {}
    }

    /// A moment, by both clocks.
    package struct Moment: Sendable {
        /// Seconds since 1970, for people.
        package var wall: Int
        /// The time since an arbitrary start; never set back.
        package var steady: Duration

        package init(wall: Int, steady: Duration) {
            self.wall = wall
            self.steady = steady
        }

        private static let start = ContinuousClock.now

        /// Now, by the system's clocks.
        package static var now: Moment {
            Moment(wall: Int(Date().timeIntervalSince1970), steady: start.duration(to: .now))
        }
    }

    struct Event: Sendable {
        let level: Logger.Level
        let label: String
        let source: String
        let message: String
        let data: [(key: String, value: String)]

        /// The source of the event: a peer, or the machine at an address; empty for none.
        var peer: String {
            for (key, value) in data where ["peer", "from"].contains(key) { return value }
            guard let address = data.first(where: { $0.key == "address" })?.value else { return "" }
            return address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
        }
    }

    /// Lines of one kind within its window.
    private struct Kind {
        /// The first event, for the line with the count.
        let first: Event
        let until: Duration
        var written = 0
        /// Lines beyond the limit of their peer, with the first event of that peer.
        var peers: [String: (first: Event, written: Int, hidden: Int)] = [:]
        /// Lines beyond the limit of the kind.
        var hidden = 0
    }

    private let limits: Limits
    private let now: @Sendable () -> Moment
    private let output: @Sendable (ShownText) -> Void
    private let kinds = Mutex<[String: Kind]>([:])

    /// - Parameters:
    ///   - now: Both clocks; tests have their own.
    ///   - write: Called with one line at a time.
    package init(
        limits: Limits = Limits(),
        now: @escaping @Sendable () -> Moment = { .now },
        write: @escaping @Sendable (ShownText) -> Void
    ) {
        self.limits = limits
        self.now = now
        output = write
    }

    /// Logs the counts of the minutes that have ended. Call it from time to time.
    package func count() { count { $0.until <= $1 } }

    /// Logs all counts. Call it at the end of the process.
    package func countAll() { count { _, _ in true } }

    private func count(_ isDue: (Kind, Duration) -> Bool) {
        let moment = now()
        kinds.withLock { kinds in
            for (name, kind) in kinds.filter({ isDue($0.value, moment.steady) }).sorted(by: { $0.key < $1.key }) {
                kinds[name] = nil
                tell(kind, moment)
            }
        }
    }

    func write(_ event: Event) {
        let moment = now()
        kinds.withLock { kinds in
            let isKnown = kinds[event.message] != nil || kinds.count < limits.kinds
            let name = isKnown ? event.message : ""
            if let kind = kinds[name], kind.until <= moment.steady {
                kinds[name] = nil
                tell(kind, moment)
            }
            let isVisible =
                event.level == .critical
                || take(event, from: &kinds[name, default: Kind(first: event, until: moment.steady + limits.window)])
            if isVisible { output(line(event, moment)) }
        }
    }

    /// Returns true if an event gets its line; counts it otherwise.
    private func take(_ event: Event, from kind: inout Kind) -> Bool {
        let peer = event.peer
        if let entry = kind.peers[peer] {
            guard entry.written < limits.linesPerPeer, kind.written < limits.linesPerKind else {
                kind.peers[peer]?.hidden += 1
                return false
            }
            kind.peers[peer]?.written += 1
        } else {
            guard kind.written < limits.linesPerKind else {
                kind.hidden += 1
                return false
            }
            kind.peers[peer] = (first: event, written: 1, hidden: 0)
        }
        kind.written += 1
        return true
    }

    private func tell(_ kind: Kind, _ moment: Moment) {
        for (_, entry) in kind.peers.sorted(by: { $0.key < $1.key }) where entry.hidden > 0 {
            let who = entry.first.data.filter { ["peer", "from"].contains($0.key) }
            let host = who.isEmpty && !entry.first.peer.isEmpty ? [(key: "host", value: entry.first.peer)] : who
            output(line(entry.first, moment, data: host, hidden: entry.hidden))
        }
        if kind.hidden > 0 { output(line(kind.first, moment, data: [], hidden: kind.hidden)) }
    }

    // MARK: - Text

    private func line(
        _ event: Event,
        _ moment: Moment,
        data: [(key: String, value: String)]? = nil,
        hidden: Int = 0
    ) -> ShownText {
        var text: ShownText = "\(Self.timeText(moment.wall)) \(event.level.rawValue) \(event.label):"
        for (key, value) in data ?? event.data { text += " \(key)=\(Self.value(value))" }
        text += " [\(event.source)] \(event.message)"
        if hidden > 0 { text += " … \(hidden) more of this kind in the last minute" }
        return text
    }

    /// A value as it follows its name: in quotes unless it is one word.
    private static func value(_ value: String) -> ShownText {
        let special = "\"=[".unicodeScalars
        let isWord = value.unicodeScalars.allSatisfy { !$0.properties.isWhitespace && !special.contains($0) }
        if isWord, !value.isEmpty { return "\(value)" }
        // By scalars, since a quotation mark with a combining mark is another character.
        var inside = String.UnicodeScalarView()
        for scalar in value.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { inside.append("\\") }
            inside.append(scalar)
        }
        return "\"\(String(inside))\""
    }

    /// Local time with its offset.
    private static func timeText(_ seconds: Int) -> String {
        var seconds = time_t(seconds)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S%z", &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
