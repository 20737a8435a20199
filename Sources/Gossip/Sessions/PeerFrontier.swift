import Catalog
import DeltaLog

/// The known differences between one peer's frontier and this node's, and the times of comparisons.
///
/// The invariants, which ``violation(settings:)`` checks: logs ahead are counted by author and by organization, within
/// ``EngineSettings/headsMax``, ``EngineSettings/headsPerAuthorMax`` and ``EngineSettings/headsPerOrganizationMax``.
struct PeerFrontier {
    /// True once both frontiers were found equal, or all that differs is in ``ahead`` and ``behind``.
    var isSynced = false
    /// The peer's last state.
    var state: StateSummary?
    /// Logs of which the peer holds more than this node has accepted, with the peer's highest sequences.
    private(set) var ahead: [LogID: UInt64] = [:]
    /// The number of these logs by author, with the organization that they count for.
    private var aheadAuthors: [NodeKey: (count: Int, organization: OrganizationID)] = [:]
    /// The number of these logs by organization.
    private var aheadTotals: [OrganizationID: Int] = [:]
    /// True once the peer announced logs for which ``ahead`` had no room: a comparison brings them again.
    private(set) var hasMoreAhead = false
    /// True once the peer announced logs whose authors this node does not know.
    var hasUnknownAuthors = false
    /// Postponed logs: the peer is asked for them as soon as it is asked for fewer others.
    private(set) var backlog = Backlog()
    /// Logs of which the peer may lack advertised deltas, with the sequences up to which it holds them.
    private(set) var behind: [LogID: UInt64] = [:]
    /// When frontiers were last compared on this node's initiative.
    var comparedAt: Instant?
    /// The pause before the next comparison, which prevents comparisons in a loop.
    private var comparePause: Milliseconds?

    // MARK: - Ahead

    /// Notes the sequence up to which the peer holds a log that it holds further than this node.
    ///
    /// - Parameter organization: The organization of the author.
    /// - Returns: False if there is no room for it.
    mutating func setAhead(
        _ log: LogID,
        _ sequence: UInt64,
        of organization: OrganizationID,
        settings: EngineSettings
    ) -> Bool {
        if let index = ahead.index(forKey: log) {
            ahead.values[index] = max(ahead.values[index], sequence)
            return true
        }
        let author = aheadAuthors[log.author] ?? (0, organization)
        let total = aheadTotals[author.organization] ?? 0
        guard ahead.count < settings.headsMax, author.count < settings.headsPerAuthorMax,
            total < settings.headsPerOrganizationMax
        else {
            hasMoreAhead = true
            return false
        }
        ahead[log] = sequence
        aheadAuthors[log.author] = (author.count + 1, author.organization)
        aheadTotals[author.organization] = total + 1
        return true
    }

    private mutating func removeAhead(_ log: LogID) {
        guard ahead.removeValue(forKey: log) != nil, let (count, organization) = aheadAuthors[log.author],
            let total = aheadTotals[organization]
        else { return }
        aheadAuthors[log.author] = count > 1 ? (count - 1, organization) : nil
        aheadTotals[organization] = total > 1 ? total - 1 : nil
    }

    /// Postpones a log until the peer is asked for fewer others.
    mutating func postpone(_ log: LogID) { backlog.append(log) }

    /// Removes the next postponed log and returns it.
    mutating func takePostponed() -> LogID? { backlog.popFirst() }

    /// True if frontiers should be compared, since logs without room have room again. It resets that.
    mutating func takeMoreAhead() -> Bool {
        guard hasMoreAhead, ahead.isEmpty else { return false }
        hasMoreAhead = false
        return true
    }

    // MARK: - Behind

    /// Notes that the peer holds a log up to a sequence.
    ///
    /// - Parameter own: The sequence that is advertised here.
    mutating func reached(_ log: LogID, _ sequence: UInt64, own: UInt64) {
        guard let position = behind.index(forKey: log) else { return }
        if sequence >= own {
            behind.remove(at: position)
        } else if behind.values[position] < sequence {
            behind.values[position] = sequence
        }
    }

    /// Notes that the peer holds less of a log than is advertised here.
    mutating func setBehind(_ log: LogID, _ sequence: UInt64) { behind[log] = sequence }

    /// Notes that this node advertises more of a log. A peer in step is behind by that, until it says otherwise.
    mutating func advertised(_ log: LogID, from before: UInt64, to sequence: UInt64) {
        if let theirs = ahead[log] {
            guard theirs <= sequence else { return }
            removeAhead(log)
            if theirs < sequence { behind[log] = theirs }
        } else if isSynced {
            behind.keep(before, for: log)
        }
    }

    // MARK: - Comparing

    /// Notes that both frontiers are equal.
    mutating func becameEqual() {
        isSynced = true
        ahead = [:]
        aheadAuthors = [:]
        aheadTotals = [:]
        backlog = Backlog()
        hasMoreAhead = false
        behind = [:]
        comparePause = nil
    }

    /// True if frontiers that differ should be compared now. The pauses grow while comparisons do not make them equal.
    ///
    /// - Parameter isBusy: True while deltas are under way. Frontiers then differ in any case, so the pause is longer;
    ///   but a node that is always busy compares too.
    mutating func mayCompare(isBusy: Bool, now: Instant, settings: EngineSettings) -> Bool {
        let pause = max(comparePause ?? settings.comparePauseMin, isBusy ? settings.antiEntropy : 0)
        if let comparedAt, now.milliseconds(since: comparedAt) < pause.count { return false }
        comparePause = min(Milliseconds(max(pause.count, 1) * 2), settings.comparePauseMax)
        return true
    }

    /// A message about the first violated invariant; nil if all hold.
    func violation(settings: EngineSettings) -> String? {
        var authors: [NodeKey: Int] = [:]
        for log in ahead.keys { authors[log.author, default: 0] += 1 }
        if authors != aheadAuthors.mapValues(\.count) { return "logs ahead are not those counted by author" }
        var totals: [OrganizationID: Int] = [:]
        for author in aheadAuthors.values { totals[author.organization, default: 0] += author.count }
        if totals != aheadTotals { return "logs ahead are not those counted by organization" }
        if ahead.count > settings.headsMax { return "\(ahead.count) logs ahead" }
        if let most = authors.values.max(), most > settings.headsPerAuthorMax {
            return "\(most) logs ahead of one author"
        }
        if let most = totals.values.max(), most > settings.headsPerOrganizationMax {
            return "\(most) logs ahead of one organization"
        }
        return backlog.violation
    }
}

/// Logs in the order in which they were postponed, each once.
struct Backlog {
    private var logs: [LogID] = []
    private var start = 0
    private var members: Set<LogID> = []

    var isEmpty: Bool { start == logs.count }

    /// The number of waiting logs.
    var count: Int { logs.count - start }

    mutating func append(_ log: LogID) {
        guard members.insert(log).inserted else { return }
        logs.append(log)
    }

    /// Constant time, on average.
    mutating func popFirst() -> LogID? {
        guard start < logs.count else { return nil }
        let log = logs[start]
        start += 1
        members.remove(log)
        if start > 64, start * 2 > logs.count {
            logs.removeFirst(start)
            start = 0
        }
        return log
    }

    /// A message about a violated invariant; nil if each log waits once.
    var violation: String? { Set(logs[start...]) == members && count == members.count ? nil : "a log waits twice" }
}

extension Dictionary {
    /// Sets the value of a key that has none.
    fileprivate mutating func keep(_ value: Value, for key: Key) {
        func touch(_: inout Value) {}
        touch(&self[key, default: value])
    }
}
