import Catalog
import DeltaLog

/// The requests of this node to one peer: the wanted ranges, the credit given for them, and the logs for which it backs
/// off.
///
/// The invariants, which ``violation(storing:settings:)`` checks:
/// - A want's range is not empty, and every want has a number of its own, below the next one.
/// - Apart from grafts, whose number the ``Broadcast`` bounds by their rate, there are at most
///   ``EngineSettings/wantsPerLinkMax`` wants.
/// - ``checkAt`` is no later than the first moment at which a want becomes late or overdue.
/// - The sum of the credit given and the bytes of requested deltas that are being stored is at most
///   ``EngineSettings/creditBytes``. The credit given may be negative: the peer then sent more than it was given.
/// - ``bytesPending`` is the sum of the peer's batches that are being stored.
struct Fetching {
    /// The ranges that the peer was asked for, one for each log.
    private(set) var wants: [LogID: Want] = [:]
    /// When a requested delta last came.
    private(set) var movedAt: Instant?
    /// A lower bound of the moments at which a want becomes late or overdue.
    private(set) var checkAt: Instant?
    /// The number of the next want.
    private var nextOrder: UInt64 = 0
    /// The bytes that the peer may still send, as far as this node has told it. Every Deltas message counts by the
    /// bytes of its frame, so both sides reckon alike even if messages cross.
    private(set) var creditGiven: Int64 = 0
    /// Bytes received from the peer that are not durable yet.
    private(set) var bytesPending: UInt64 = 0
    /// The number of announcements that the peer did not keep, less the number that it kept; 0 to 100.
    private(set) var brokenPromises = 0
    /// Logs for which the peer is not asked before the given moment: it sent a refused delta, or nothing.
    private(set) var backingOff: [LogID: Instant] = [:]
    /// When the ends of back-offs are checked next.
    private(set) var backOffCheckAt: Instant?
    /// The refused deltas that are the peer's own fault: no honest node passes them on.
    private(set) var faults = 0

    /// True if the peer may be asked for one more log.
    func isFree(_ settings: EngineSettings) -> Bool { wants.count < settings.wantsPerLinkMax }

    /// True if a graft may add a want. The peer ends the session beyond ``EngineSettings/servedWantsMax``. Half of it leaves
    /// room for wants that the peer has not served yet and this node no longer counts.
    func mayGraft(_ settings: EngineSettings) -> Bool { wants.count < settings.servedWantsMax / 2 }

    /// The next check of a want or a back-off; nil if there is neither.
    var deadline: Instant? {
        guard let checkAt, let backOffCheckAt else { return checkAt ?? backOffCheckAt }
        return min(checkAt, backOffCheckAt)
    }

    // MARK: - Wants

    /// Notes that the peer is asked for a range. It replaces a range of the same log.
    ///
    /// - Parameter isGraft: True if the broadcast missed the range.
    /// - Returns: The moment of the next check of the wants.
    mutating func begin(
        _ range: LogRange,
        isGraft: Bool,
        patience: Milliseconds,
        now: Instant,
        settings: EngineSettings
    ) -> Instant {
        let deadline = now + patience
        wants[range.log] = Want(
            from: range.from,
            to: range.to,
            isGraft: isGraft,
            begunAt: now,
            movedAt: now,
            deadline: deadline,
            patience: patience,
            order: nextOrder
        )
        nextOrder += 1
        let check = min(checkAt ?? deadline, deadline, now + settings.wantLateAfter)
        checkAt = check
        return check
    }

    /// Takes back a want.
    @discardableResult
    mutating func drop(_ log: LogID) -> Want? { wants.removeValue(forKey: log) }

    /// Takes back all wants.
    mutating func dropAll() {
        wants = [:]
        checkAt = nil
    }

    /// The progress of a want.
    struct Progress {
        /// True if the whole range has come. The want is then removed.
        let isComplete: Bool
        /// The moment of the next check of the wants, if it is earlier than before.
        let due: Instant?
    }

    /// Notes that a requested log has come up to a sequence.
    ///
    /// - Returns: Nil if the sequence was not requested.
    /// - Complexity: Linear in the wants.
    mutating func progress(_ log: LogID, _ sequence: UInt64, now: Instant, settings: EngineSettings) -> Progress? {
        guard let position = wants.index(forKey: log) else { return nil }
        let want = wants.values[position]
        guard want.from <= sequence, sequence <= want.to else { return nil }
        wants.values[position].from = sequence + 1
        wants.values[position].hasMoved = true
        wants.values[position].movedAt = now
        var due: Instant?
        if want.isLate {
            wants.values[position].isLate = false
            let check = now + settings.wantLateAfter
            checkAt = min(checkAt ?? check, check)
            due = check
        }
        movedAt = now
        brokenPromises = max(0, brokenPromises - 1)
        var other = wants.startIndex
        while other < wants.endIndex {
            let later = wants.values[other]
            if later.order >= want.order { wants.values[other].deadline = max(later.deadline, now + later.patience) }
            wants.formIndex(after: &other)
        }
        let isComplete = sequence == want.to
        if isComplete { wants.remove(at: position) }
        return Progress(isComplete: isComplete, due: due)
    }

    /// Checks the wants if a check is due. A want of which nothing came for a while becomes late; a want without
    /// progress within its patience is dropped. If the peer has no credit, this node's own disk is the cause of the
    /// delay, and the wants get more time.
    ///
    /// - Returns: The logs that became late, and the wants that were dropped.
    mutating func expire(now: Instant, settings: EngineSettings) -> (late: [LogID], overdue: [(log: LogID, want: Want)])
    {
        guard let checkAt, checkAt <= now else { return ([], []) }
        let isPeersTurn = creditGiven > 0
        var late: [LogID] = []
        var overdue: [(log: LogID, want: Want)] = []
        var position = wants.startIndex
        while position < wants.endIndex {
            let (log, want) = wants[position]
            if !want.isLate, want.movedAt + settings.wantLateAfter <= now {
                if isPeersTurn {
                    wants.values[position].isLate = true
                    late.append(log)
                } else {
                    wants.values[position].movedAt = now
                }
            }
            if want.deadline <= now {
                if isPeersTurn {
                    overdue.append((log, want))
                } else {
                    wants.values[position].deadline = now + want.patience
                }
            }
            wants.formIndex(after: &position)
        }
        for (log, _) in overdue { wants[log] = nil }
        self.checkAt =
            wants.values.map { want in
                want.isLate ? want.deadline : min(want.deadline, want.movedAt + settings.wantLateAfter)
            }.min()
        return (late, overdue)
    }

    /// Notes that the peer announced deltas and sent none of them.
    mutating func notePromiseBroken() { brokenPromises = min(brokenPromises + 1, 100) }

    // MARK: - Credit

    /// Notes a frame of `byteCount` bytes with deltas from the peer.
    mutating func noteFrame(byteCount: UInt64) { creditGiven -= Int64(clamping: byteCount) }

    /// Gives the peer all free credit.
    ///
    /// - Returns: The credit to tell the peer; 0 if none is free.
    mutating func takeCredit(_ settings: EngineSettings) -> UInt64 {
        let free = Int64(clamping: settings.creditBytes) - creditGiven - Int64(clamping: bytesPending)
        guard free > 0 else { return 0 }
        creditGiven += free
        return UInt64(free)
    }

    /// True if a peer's Deltas message is worth a check: the peer has credit, or was asked for deltas.
    var expectsDeltas: Bool { creditGiven > 0 || !wants.isEmpty }

    /// True if deltas of `size` bytes may be stored. A peer may send as much as its credit, and the rest of a delta.
    func hasRoom(for size: UInt64, isPushed: Bool, settings: EngineSettings) -> Bool {
        isPushed
            ? bytesPending + size <= settings.creditBytes
            : bytesPending + size <= 2 * settings.creditBytes + UInt64(FormatLimits.deltaBytesMax)
    }

    /// Notes that `byteCount` bytes of the peer's deltas are being stored.
    mutating func beginStoring(byteCount: UInt64) { bytesPending += byteCount }

    /// Notes that a batch of `byteCount` bytes is stored or refused.
    mutating func endStoring(byteCount: UInt64) {
        assert(byteCount <= bytesPending)
        bytesPending -= min(bytesPending, byteCount)
    }

    // MARK: - Backing off

    /// True while this node does not ask the peer for a log.
    func isBackingOff(_ log: LogID) -> Bool { backingOff[log] != nil }

    /// Stops asking the peer for a log until the given moment.
    ///
    /// - Returns: The moment of the next check of back-offs, if none was set.
    mutating func backOff(_ log: LogID, until: Instant, now: Instant, settings: EngineSettings) -> Instant? {
        backingOff[log] = until
        guard backOffCheckAt == nil else { return nil }
        let check = now + settings.backOffCheck
        backOffCheckAt = check
        return check
    }

    /// Ends the back-offs whose time is over, if a check is due.
    ///
    /// - Returns: Their logs.
    mutating func endBackOffs(now: Instant, settings: EngineSettings) -> [LogID] {
        guard let check = backOffCheckAt, check <= now else { return [] }
        let over = backingOff.filter { $0.value <= now }.map(\.key)
        for log in over { backingOff[log] = nil }
        backOffCheckAt = backingOff.isEmpty ? nil : now + settings.backOffCheck
        return over
    }

    /// Ends the back-off of one log.
    mutating func endBackOff(_ log: LogID) { backingOff[log] = nil }

    /// Notes a refused delta that is the peer's own fault.
    mutating func noteFault() { faults += 1 }

    // MARK: - Invariants

    /// A message about the first violated invariant; nil if all hold.
    ///
    /// - Parameter storing: The bytes of the peer's batches that are being stored: the requested ones, and all.
    func violation(storing: (asked: UInt64, all: UInt64), settings: EngineSettings) -> String? {
        let orders = Set(wants.values.map(\.order))
        if orders.count != wants.count { return "two wants of a peer have one number" }
        if let last = orders.max(), last >= nextOrder { return "a want has a number that was not given" }
        for (log, want) in wants {
            if want.from == 0 || want.from > want.to { return "a want of \(log) from \(want.from) to \(want.to)" }
            let check = want.isLate ? want.deadline : min(want.deadline, want.movedAt + settings.wantLateAfter)
            if checkAt.map({ $0 > check }) ?? true { return "a want of \(log) is not looked at in time" }
        }
        if wants.count > settings.servedWantsMax { return "\(wants.count) wants of a peer" }
        let planned = wants.values.count { !$0.isGraft }
        if planned > settings.wantsPerLinkMax { return "\(planned) wants of a peer beside grafts" }
        if creditGiven + Int64(clamping: storing.asked) > Int64(clamping: settings.creditBytes) {
            return "\(creditGiven) bytes of credit beside \(storing.asked) that are being stored"
        }
        if bytesPending != storing.all { return "\(bytesPending) bytes pending, and \(storing.all) being stored" }
        if bytesPending > 2 * settings.creditBytes + UInt64(FormatLimits.deltaBytesMax) {
            return "\(bytesPending) bytes of a peer are being stored"
        }
        if !(0...100).contains(brokenPromises) { return "\(brokenPromises) broken promises" }
        if !backingOff.isEmpty, backOffCheckAt == nil { return "back-offs that nothing ends" }
        return nil
    }
}

/// A requested range of a log.
struct Want {
    /// The lowest sequence that has not come.
    fileprivate(set) var from: UInt64
    let to: UInt64
    /// True if the broadcast missed the range.
    let isGraft: Bool
    let begunAt: Instant
    /// True once a part of it has come.
    fileprivate(set) var hasMoved = false
    /// When a part of it last came, or when it was requested.
    fileprivate(set) var movedAt: Instant
    /// True once nothing has come of it for so long that another peer may be asked too.
    fileprivate(set) var isLate = false
    /// When the next part must have come.
    fileprivate(set) var deadline: Instant
    /// The time allowed for each further part.
    let patience: Milliseconds
    /// The number of the want on its link. Peers serve requests in order, so progress of a want extends the deadlines
    /// of the wants after it.
    let order: UInt64
}
