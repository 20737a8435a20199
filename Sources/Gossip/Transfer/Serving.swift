import Catalog
import DeltaLog

/// What one peer asks of this node: the ranges that it waits for, and the credit that it gave.
///
/// The invariants, which ``violation(settings:)`` checks:
/// - There is one range for each log, none is empty, and there are at most ``EngineSettings/servedWantsMax``.
/// - Credit is at most ``EngineSettings/creditBytes``, whatever a peer says. It falls below zero by less than one message,
///   since a message holds at least one delta, and is sent while there is credit.
/// - A read is under way only for a range that was waited for.
struct Serving {
    /// The ranges that the peer waits for, the one being served first.
    private(set) var ranges: [LogRange] = []
    /// Bytes that may be sent to the peer; the mirror of its ``Fetching/creditGiven``.
    private(set) var credit: Int64 = 0
    /// True while a read for the peer is under way.
    private(set) var isReading = false

    /// Adds credit that the peer gives: never more than this node would give itself. That bounds what waits to be sent.
    mutating func add(credit more: UInt64, settings: EngineSettings) {
        let (sum, isOverflow) = credit.addingReportingOverflow(Int64(clamping: more))
        credit = max(credit, min(isOverflow ? Int64.max : sum, Int64(clamping: settings.creditBytes)))
    }

    /// Adds a range behind the others. One of the same log is replaced. A range beyond all sequences is left out.
    ///
    /// - Returns: False, and nothing added, where the peer waits for too many.
    mutating func add(_ range: LogRange, settings: EngineSettings) -> Bool {
        let position = ranges.firstIndex { $0.log == range.log }
        guard ranges.count - (position == nil ? 0 : 1) < settings.servedWantsMax else { return false }
        if let position { ranges.remove(at: position) }
        let to = min(range.to, Header.sequenceMax)
        if range.from <= to { ranges.append(LogRange(log: range.log, from: range.from, to: to)) }
        return true
    }

    /// True if the peer waits for a range of a log.
    func isWaiting(for log: LogID) -> Bool { ranges.contains { $0.log == log } }

    /// The range to be read next; nil where a read is under way, nothing is waited for, or there is no credit. Ranges of
    /// which nothing is held are dropped on the way.
    ///
    /// - Parameter held: The highest sequence that may be given of a log.
    mutating func next(held: (LogID) -> UInt64) -> LogRange? {
        guard !isReading, credit > 0 else { return nil }
        // Most of the time the first one is there, and the others are not looked at.
        ranges.removeFirst(ranges.prefix { $0.from > held($0.log) }.count)
        return ranges.first
    }

    /// Notes that a read is under way.
    mutating func beginReading() {
        assert(!isReading && credit > 0 && !ranges.isEmpty)
        isReading = true
    }

    /// Notes that a read is done: the peer waits for what comes behind it.
    ///
    /// - Parameter last: The last sequence that was read; nil where nothing was. Then the range is dropped.
    mutating func endReading(_ range: LogRange, last: UInt64?) {
        isReading = false
        // A new want of the log may have come meanwhile. Where it begins elsewhere, it is read from there.
        guard let position = ranges.firstIndex(where: { $0.log == range.log && $0.from == range.from }) else { return }
        let current = ranges.remove(at: position)
        if let last, last < current.to {
            ranges.insert(LogRange(log: range.log, from: last + 1, to: current.to), at: position)
        }
    }

    /// Takes the bytes of a message that is sent.
    mutating func take(byteCount: Int) { credit -= Int64(byteCount) }

    /// The first invariant that does not hold, in words; nil where all hold.
    func violation(settings: EngineSettings) -> String? {
        if Set(ranges.map(\.log)).count != ranges.count { return "a peer waits twice for one log" }
        if let range = ranges.first(where: { $0.from == 0 || $0.from > $0.to }) {
            return "a peer waits for \(range.log) from \(range.from) to \(range.to)"
        }
        if ranges.count > settings.servedWantsMax { return "a peer waits for \(ranges.count) ranges" }
        let creditMin = -Int64(clamping: settings.messageBytes) - 2 * Int64(FormatLimits.deltaBytesMax)
        if !(creditMin...Int64(clamping: settings.creditBytes)).contains(credit) {
            return "a peer has \(credit) bytes of credit"
        }
        return nil
    }
}
