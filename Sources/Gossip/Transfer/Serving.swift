import Catalog
import DeltaLog

/// The requests of one peer to this node: the ranges that it waits for, and the credit that it gave.
///
/// The invariants, which ``violation(settings:)`` checks:
/// - There is one range for each log, none is empty, and there are at most ``EngineSettings/servedWantsMax``.
/// - Credit is at most ``EngineSettings/creditBytes``, even if a peer gives more. It falls below zero by less than one
///   message, since a message holds at least one delta and is sent while there is credit.
/// - A read is under way only for a range that the peer waited for.
struct Serving {
    /// The ranges that the peer waits for, the one being served first.
    private(set) var ranges: [LogRange] = []
    /// The bytes that may be sent to the peer; the mirror of its ``Fetching/creditGiven``.
    private(set) var credit: Int64 = 0
    /// True while a read for the peer is under way.
    private(set) var isReading = false

    /// Adds credit that the peer gives, up to the amount that this node would give itself. That bounds the data that
    /// waits to be sent.
    mutating func add(credit more: UInt64, settings: EngineSettings) {
        let (sum, isOverflow) = credit.addingReportingOverflow(Int64(clamping: more))
        credit = max(credit, min(isOverflow ? Int64.max : sum, Int64(clamping: settings.creditBytes)))
    }

    /// Adds a range behind the others. It replaces one of the same log. A range beyond all sequences is ignored.
    ///
    /// - Returns: False, and nothing added, if the peer already waits for too many.
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

    /// The range to read next; nil if a read is under way, if nothing is waited for, or without credit. Ranges of which
    /// nothing is held are dropped.
    ///
    /// - Parameter held: The highest sequence of a log that may be sent.
    mutating func next(held: (LogID) -> UInt64) -> LogRange? {
        guard !isReading, credit > 0 else { return nil }
        // Usually the first range is held, and the others are not checked.
        ranges.removeFirst(ranges.prefix { $0.from > held($0.log) }.count)
        return ranges.first
    }

    /// Notes that a read is under way.
    mutating func beginReading() {
        assert(!isReading && credit > 0 && !ranges.isEmpty)
        isReading = true
    }

    /// Notes that a read is done: the peer now waits for the rest of the range.
    ///
    /// - Parameter last: The last sequence that was read; nil if nothing was. The range is then dropped.
    mutating func endReading(_ range: LogRange, last: UInt64?) {
        isReading = false
        // A new want of the log may have come meanwhile. If it begins elsewhere, it is read from there.
        guard let position = ranges.firstIndex(where: { $0.log == range.log && $0.from == range.from }) else { return }
        let current = ranges.remove(at: position)
        if let last, last < current.to {
            ranges.insert(LogRange(log: range.log, from: last + 1, to: current.to), at: position)
        }
    }

    /// Subtracts the bytes of a message that is sent.
    mutating func take(byteCount: Int) { credit -= Int64(byteCount) }

    /// A message about the first violated invariant; nil if all hold.
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
