package import Catalog
package import DeltaLog

/// The state of fetching and storing over all peers: logs to be planned, batches that are being stored, organizations
/// that rest, and deltas that could not be taken. ``Fetching`` and ``Serving`` have the state of one peer.
///
/// The invariants, which ``violation(settings:)`` checks: ``storingBytes`` is the sum of the batches that are being
/// stored, no batch is empty, and every rest has a moment at which it is checked.
struct Transfer {
    /// Logs to be planned before the step ends: a peer is to be chosen for each.
    private(set) var unplanned: Set<LogID> = []
    /// Batches that are being stored, by token, with their sources.
    private(set) var storing: [UInt64: StoringBatch] = [:]
    private var nextToken: UInt64 = 1
    /// Bytes of deltas that are being stored.
    private(set) var storingBytes: UInt64 = 0
    /// Organizations whose deltas exceeded their account for storing: the moment until which no more are taken, and the
    /// logs to be planned then.
    private var resting: [OrganizationID: (until: Instant, logs: Set<LogID>)] = [:]
    /// When the rests are checked.
    private(set) var restingUntil: Instant?
    /// Deltas that could not be taken, with the reason for people.
    private(set) var parked: [LogID: ParkedDelta] = [:]
    /// Questions of peers to be looked up on the disk.
    var lookups = Lookups()
    /// Links that wait to be served, since other links of their organization are being served.
    private(set) var waitingReads: [LinkID] = []

    // MARK: - Planning

    /// Marks a log whose situation has changed.
    mutating func replan(_ log: LogID) { unplanned.insert(log) }

    mutating func replan(_ logs: some Sequence<LogID>) { unplanned.formUnion(logs) }

    /// Removes and returns the marked logs, ascending.
    mutating func takeUnplanned() -> [LogID] {
        guard !unplanned.isEmpty else { return [] }
        let logs = unplanned.count == 1 ? Array(unplanned) : unplanned.sorted()
        unplanned.removeAll(keepingCapacity: unplanned.count < 1024)
        return logs
    }

    // MARK: - Storing

    /// Notes that a batch is being stored.
    ///
    /// - Returns: Its token.
    mutating func begin(_ batch: StoringBatch) -> UInt64 {
        assert(!batch.deltas.isEmpty)
        let token = nextToken
        nextToken += 1
        storing[token] = batch
        storingBytes += batch.byteCount
        return token
    }

    /// Notes that a batch is stored; nil if there is none with that token.
    mutating func end(_ token: UInt64) -> StoringBatch? {
        guard let batch = storing.removeValue(forKey: token) else { return nil }
        assert(batch.byteCount <= storingBytes)
        storingBytes -= min(storingBytes, batch.byteCount)
        return batch
    }

    /// True if pushed deltas of `size` bytes may be stored beside the others.
    func hasRoom(forPushed size: UInt64, settings: EngineSettings) -> Bool {
        storingBytes + size <= settings.storingBytesMax
    }

    /// The head of a log after the batches that are being stored. Batches that do not continue the log are skipped.
    ///
    /// - Parameter durable: The head on disk.
    func head(of log: LogID, after durable: Head?) -> Head? {
        var head = durable
        for token in storing.keys.sorted() {
            for delta in storing[token]?.deltas ?? [] where delta.log == log {
                if delta.header.sequence == (head?.sequence ?? 0) + 1, delta.header.previous == head?.hash {
                    head = delta.head
                }
            }
        }
        return head
    }

    /// The bytes of one link's batches that are being stored: the requested ones, and all.
    func storing(of link: LinkID) -> (asked: UInt64, all: UInt64) {
        var sizes: (asked: UInt64, all: UInt64) = (0, 0)
        for batch in storing.values where batch.link == link {
            sizes.all += batch.byteCount
            if !batch.isPushed { sizes.asked += batch.byteCount }
        }
        return sizes
    }

    // MARK: - Resting

    /// Takes no more of an organization's deltas until the given moment.
    ///
    /// - Returns: True if the organization was not resting before.
    mutating func rest(_ organization: OrganizationID, until: Instant) -> Bool {
        let logs = resting[organization]?.logs
        resting[organization] = (until, logs ?? [])
        restingUntil = min(restingUntil ?? until, until)
        return logs == nil
    }

    /// True while no organization rests, which is the common case.
    var isNobodyResting: Bool { resting.isEmpty }

    /// True while nothing more is taken of a log's organization. The log is then planned again afterwards.
    mutating func isResting(_ log: LogID, of organization: OrganizationID, now: Instant, settings: EngineSettings)
        -> Bool
    {
        guard let rest = resting[organization], now < rest.until else { return false }
        if rest.logs.count < settings.headsMax { resting[organization]?.logs.insert(log) }
        return true
    }

    /// Ends the rests whose time is over, and has the logs of these organizations planned.
    mutating func endRests(now: Instant) {
        guard let due = restingUntil, due <= now else { return }
        for (organization, rest) in resting where rest.until <= now {
            unplanned.formUnion(rest.logs)
            resting[organization] = nil
        }
        restingUntil = resting.values.map(\.until).min()
    }

    // MARK: - Parking

    /// Notes a delta that could not be taken, if there is room for it.
    mutating func park(_ log: LogID, _ delta: ParkedDelta, settings: EngineSettings) {
        if parked[log] != nil || parked.count < settings.parkedMax { parked[log] = delta }
    }

    /// Notes that a delta of a log was taken.
    mutating func unpark(_ log: LogID) { parked[log] = nil }

    /// Forgets deltas that were refused since their author was unknown: the author may be known now.
    mutating func unparkUnknownAuthors() { parked = parked.filter { $0.value.refusal != .unknownAuthor } }

    // MARK: - Waiting reads

    /// Adds a link to those that wait to be served.
    mutating func waitToRead(_ link: LinkID) {
        if !waitingReads.contains(link) { waitingReads.append(link) }
    }

    /// Removes and returns the links that wait to be served.
    mutating func takeWaitingReads() -> [LinkID] {
        guard !waitingReads.isEmpty else { return [] }
        defer { waitingReads = [] }
        return waitingReads
    }

    /// Forgets a link that has ended.
    mutating func forget(_ link: LinkID) {
        waitingReads.removeAll { $0 == link }
        lookups.forget(link)
    }

    // MARK: - Invariants

    /// A message about the first violated invariant; nil if all hold.
    func violation(settings: EngineSettings) -> String? {
        let sum = storing.values.reduce(0) { $0 + $1.byteCount }
        if sum != storingBytes { return "\(storingBytes) bytes being stored, and \(sum) in the batches" }
        if storing.values.contains(where: \.deltas.isEmpty) { return "an empty batch is being stored" }
        if let token = storing.keys.max(), token >= nextToken { return "a batch has a token that was not given" }
        if !resting.isEmpty, restingUntil == nil { return "rests that nothing ends" }
        if parked.count > settings.parkedMax { return "\(parked.count) deltas that could not be taken" }
        if Set(waitingReads).count != waitingReads.count { return "a link waits twice to be served" }
        return nil
    }
}

/// Deltas that are being stored, at least one.
struct StoringBatch: Sendable {
    let link: LinkID
    let deltas: [VerifiedDelta]
    /// True if they came by a push; false if they were requested.
    let isPushed: Bool
    /// The links passed since the author; nil if the broadcast did not bring them.
    let hops: UInt32?
    /// The bytes of the deltas.
    let byteCount: UInt64

    init(link: LinkID, deltas: [VerifiedDelta], isPushed: Bool, hops: UInt32?) {
        self.link = link
        self.deltas = deltas
        self.isPushed = isPushed
        self.hops = hops
        byteCount = deltas.reduce(0) { $0 + UInt64($1.byteCount) }
    }
}

/// A delta that could not be taken; this node does not ask for it again for a while.
package struct ParkedDelta: Hashable, Sendable {
    package let sequence: UInt64
    package let refusal: DeltaRefusal
    package let from: NodeKey
    package let since: Instant
}
