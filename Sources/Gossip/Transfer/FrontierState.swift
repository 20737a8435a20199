import Catalog
import DeltaLog

/// This node's own frontier: the deltas on disk, those on their way there, and the part that is advertised to peers.
///
/// The invariants, which ``violation`` checks: the advertised part is on disk, and heads in flight are beyond
/// the disk.
struct FrontierState {
    /// The heads on disk.
    private(set) var durable: Frontier
    /// Heads on their way to the disk, beyond ``durable``.
    private(set) var inFlight: [LogID: Head] = [:]
    /// The heads announced to peers: the logs of ``durable`` with enrolled authors, and forked logs only up to the
    /// fork.
    private(set) var advertised: FrontierTree
    /// The fingerprint of ``advertised``.
    private(set) var fingerprint: Hash256 = .zero
    /// The directory after storing.
    var summary: StoredSummary
    /// The last delta before the fork of logs that are held beyond it, as read from the disk.
    private var cutHeads: [LogID: Head] = [:]
    /// The forks whose heads are being read.
    private var cutReads: [LogID: UInt64] = [:]
    /// Forked logs for which it is still unknown whether they are held beyond the fork.
    private var uncut: Set<LogID>
    /// The logs of ``durable`` by author.
    private var incarnations: [NodeKey: [UInt64]] = [:]
    /// The number of deltas held, over all logs.
    private(set) var heldDeltas: UInt64 = 0

    /// Nothing is advertised before ``advertiseAll(by:hasher:)``.
    ///
    /// - Parameters:
    ///   - seed: Drawn by the owner; peers must not be able to guess it.
    ///   - forks: The logs with a proven fork.
    init(durable: Frontier, summary: StoredSummary, seed: UInt64, forks: some Sequence<LogID>) {
        self.durable = durable
        self.summary = summary
        advertised = FrontierTree(seed: seed)
        uncut = Set(forks)
        for (log, head) in durable.heads {
            incarnations[log.author, default: []].append(log.incarnation)
            heldDeltas &+= head.sequence
        }
    }

    /// The head of a log that is on disk or on its way there.
    func accepted(_ log: LogID) -> Head? { inFlight[log] ?? durable[log] }

    /// The logs of an author that are on disk.
    func logs(of author: NodeKey) -> [LogID] {
        (incarnations[author] ?? []).map { LogID(author: author, incarnation: $0) }
    }

    // MARK: - Storing

    /// Notes that a delta is on its way to the disk.
    mutating func take(_ delta: VerifiedDelta) { inFlight[delta.log] = delta.head }

    /// Notes that a delta is on disk.
    ///
    /// - Parameter isOwn: True if this node wrote it: no part of its log is then in flight.
    /// - Returns: False if as much was on disk before. Answers may overtake each other.
    mutating func stored(_ delta: VerifiedDelta, isOwn: Bool, isForked: Bool) -> Bool {
        let log = delta.log
        let before = durable[log]
        let sequence = before?.sequence ?? 0
        guard delta.header.sequence > sequence else { return false }
        if before == nil { incarnations[log.author, default: []].append(log.incarnation) }
        heldDeltas &+= delta.header.sequence - sequence
        if isForked { uncut.insert(log) }
        durable[log] = delta.head
        if isOwn || inFlight[log] == delta.head { inFlight[log] = nil }
        return true
    }

    /// Notes that a delta of a log was not stored: the head in flight is derived again.
    ///
    /// - Parameter head: The head after the batches that are being stored.
    mutating func resetInFlight(_ log: LogID, to head: Head?) { inFlight[log] = head == durable[log] ? nil : head }

    // MARK: - Advertising

    private func advertisable(_ log: LogID, limit: UInt64) -> Head? {
        guard let head = durable[log] else { return nil }
        if head.sequence <= limit { return head }
        return cutHeads[log].flatMap { $0.sequence == limit ? $0 : nil }
    }

    /// Advertises everything on disk. Linear in the number of logs, times the logarithm of that number.
    mutating func advertiseAll(by membership: Membership, hasher: any CatalogHasher) {
        for log in durable.heads.keys.sorted() {
            if let head = advertisable(log, limit: membership.limit(of: log)) {
                advertised.set(head, of: log, hasher: hasher)
            }
        }
        refreshFingerprint(hasher)
    }

    /// A log whose advertised head has changed.
    struct Change {
        let log: LogID
        let before: Head?
        let after: Head?
    }

    /// Advertises new durable deltas.
    ///
    /// - Parameter logs: Ascending, each once.
    /// - Complexity: Logarithmic for each log.
    mutating func advertise(_ logs: [LogID], by membership: Membership, hasher: any CatalogHasher) -> [Change] {
        var changes: [Change] = []
        for log in logs {
            let before = advertised[log]
            let head = advertisable(log, limit: membership.limit(of: log))
            guard before != head else { continue }
            advertised.set(head, of: log, hasher: hasher)
            changes.append(Change(log: log, before: before, after: head))
        }
        if !changes.isEmpty { refreshFingerprint(hasher) }
        return changes
    }

    private mutating func refreshFingerprint(_ hasher: any CatalogHasher) {
        fingerprint = Frontier.fingerprint(sum: advertised.sum, count: advertised.count, hasher: hasher)
    }

    // MARK: - Forks

    /// Notes that a fork of a log was proven, or a lower one.
    mutating func noteFork(_ log: LogID) { uncut.insert(log) }

    /// The headers to read at the forks of logs that are held beyond them: such a header names the head before it.
    mutating func takeCuts(forks: [LogID: UInt64]) -> [LogRange] {
        guard !uncut.isEmpty else { return [] }
        defer { uncut.removeAll() }
        return uncut.sorted().compactMap { log in
            guard let fork = forks[log], fork > 1, cutReads[log] != fork, (durable[log]?.sequence ?? 0) >= fork else {
                return nil
            }
            cutReads[log] = fork
            return LogRange(log: log, from: fork, to: fork)
        }
    }

    /// Notes the head before a fork.
    mutating func cut(_ log: LogID, at head: Head) { cutHeads[log] = head }

    /// A message about the first violated invariant; nil if all hold.
    ///
    /// - Complexity: Linear in the logs.
    var violation: String? {
        for entry in advertised.sorted where entry.head.sequence > durable[entry.log]?.sequence ?? 0 {
            return "delta \(entry.head.sequence) of \(entry.log) is advertised, and not on disk"
        }
        for (log, head) in inFlight where head.sequence <= durable[log]?.sequence ?? 0 {
            return "delta \(head.sequence) of \(log) is in flight, and on disk"
        }
        return nil
    }
}
