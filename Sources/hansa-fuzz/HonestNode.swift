import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
import Simulator
import Store

/// An honest node: a real engine and a real store, composed as in a running node, in virtual time.
///
/// Confined to the thread of its run.
final class HonestNode {
    /// A task for the writer's queue.
    enum Work {
        case store(token: UInt64, [VerifiedDelta])
        case statement(Statement, replaced: Hash256?)
        case announcement(Announcement)
        case refusal(Refusal)
    }

    let nodeIndex: Int
    /// The number of its key in the alliance.
    let number: Int
    let key: NodeKey
    let organization: OrganizationID
    private let alliance: VirtualAlliance
    private let settings: EngineSettings
    private let folder: String
    let applier: DeltaApplier<SimulatedCryptography>

    private(set) var store: Store
    private(set) var box: EngineBox
    /// The members that may connect, by the engine's last report.
    var roster: Roster
    /// The number of restarts; events that began in an earlier epoch are ignored.
    private(set) var epoch: UInt64 = 0
    var timerAt: Instant?
    var work: [Work] = []
    /// The time at which the writer's queue is empty, in nanoseconds.
    var freeAt: UInt64 = 0
    private var clock = HybridLogicalClock()
    let log: LogID
    private(set) var head: Head?

    // Measurements:
    var deltasApplied = 0
    var deltasRefused = 0
    var violations = 0

    /// Creates the node's folder with a founder's data.
    init(
        nodeIndex: Int,
        number: Int,
        alliance: VirtualAlliance,
        settings: EngineSettings,
        folder: String,
        seed: UInt64
    ) throws {
        self.nodeIndex = nodeIndex
        self.number = number
        self.alliance = alliance
        self.settings = settings
        self.folder = folder
        key = alliance.node(number)
        organization = alliance.organization(alliance.organizationNumber(of: number))
        applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        log = LogID(author: key, incarnation: seed | 1)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        store = try Store.create(in: folder, configuration: Self.configuration)
        try store.write { transaction in
            try transaction.add(alliance.enrolments)
            for number in alliance.enrolments.indices { try transaction.set(alliance.announcement(of: number)) }
        }
        (box, roster) = try Self.engine(of: store, key, alliance, settings, seed: seed)
    }

    private static var configuration: Store.Configuration {
        var configuration = Store.Configuration()
        configuration.readersMax = 2
        configuration.writerCacheKiB = 4 * 1024
        configuration.readerCacheKiB = 1024
        // Frequent checkpoints, so that both the database file and its write-ahead log are read.
        configuration.checkpointPages = 2_000
        return configuration
    }

    /// The engine at the start of a node; all stored data is verified again.
    private static func engine(
        of store: Store,
        _ key: NodeKey,
        _ alliance: VirtualAlliance,
        _ settings: EngineSettings,
        seed: UInt64
    ) throws -> (EngineBox, Roster) {
        let (statements, announced, frontier, totals) = try store.read { reading in
            (try reading.statements(), try reading.announcements(), try reading.frontier(), try reading.totals())
        }
        let contacts = try store.read { try $0.peerContacts() }
        let (id, cryptography) = (alliance.id, alliance.cryptography)
        let governance = try GovernanceSet(verifying: statements, alliance: id, cryptography: cryptography)
        let announcements = try AnnouncementSet(verifying: announced, alliance: id, cryptography: cryptography)
        let engine = Engine(
            settings: settings,
            charter: alliance.charter,
            node: key,
            program: "honest",
            governance: governance,
            announcements: announcements,
            frontier: frontier,
            summary: StoredSummary(digest: totals.digest, records: UInt64(totals.shown)),
            contacts: contacts.map {
                KnownContact(node: $0.node, time: $0.time, address: $0.note.isEmpty ? nil : $0.note)
            },
            cryptography: alliance.cryptography,
            random: SplitMix64(seed: seed)
        )
        let roster = Roster(charter: alliance.charter, statements: governance, hasher: alliance.cryptography)
        return (EngineBox(engine), roster)
    }

    /// Stops the node and starts it from its folder; pending tasks of its writer's queue are lost.
    func restart(seed: UInt64, now: Instant) throws {
        // A running node does this once a minute.
        let contacts = box.engine.peerStatuses(now: now).compactMap { peer in
            peer.lastContact.map {
                PeerContact(node: peer.node, time: $0.nanoseconds / 1_000_000, note: peer.answeredAddress ?? "")
            }
        }
        try store.write { transaction in for contact in contacts { try transaction.note(contact) } }
        epoch += 1
        timerAt = nil
        work = []
        try store.close()
        store = try Store.open(folder: folder, configuration: Self.configuration)
        (box, roster) = try Self.engine(of: store, key, alliance, settings, seed: seed)
        head = try store.read { try $0.head(of: log) }
    }

    func close() throws {
        try store.close()
        try FileManager.default.removeItem(atPath: folder)
    }

    // MARK: - Writing

    /// The index of the writer queue's next task: organizations take turns with their deltas.
    private func nextWork(using random: inout SplitMix64) -> Int {
        var first: [OrganizationID: Int] = [:]
        for (nodeIndex, work) in work.enumerated() {
            guard case .store(_, let deltas) = work, let organization = deltas.first?.header.organization else { break }
            if first[organization] == nil { first[organization] = nodeIndex }
        }
        return random.pick(first.values.sorted()) ?? 0
    }

    /// Executes the next task of the writer's queue. Returns the engine's input about it.
    ///
    /// - Parameter honest: the organizations whose deltas never take long.
    /// - Throws: errors that would stop a running node.
    func workOff(
        wallMilliseconds: UInt64,
        honest: Set<OrganizationID>,
        random: inout SplitMix64
    ) throws -> EngineInput? {
        guard !work.isEmpty else { return nil }
        switch work.remove(at: nextWork(using: &random)) {
        case .store(let token, let deltas):
            for delta in deltas { clock.observe(delta.header.stamp, wallMilliseconds: wallMilliseconds) }
            let roster = roster
            let applied = try store.applyBatch(
                deltas,
                organization: { roster.organization(of: $0) },
                applier: applier
            )
            let outcomes = applied.outcomes.map { outcome -> StoreOutcome in
                switch outcome {
                case .applied: .applied
                case .duplicate, .gap: .skipped
                case .refused(let refusal): .refused(refusal)
                }
            }
            deltasApplied += outcomes.count { $0 == .applied }
            // Real processor times vary between runs, so the excess is drawn.
            let isDear = deltas.allSatisfy { !honest.contains($0.header.organization) } && random.isOne(in: 20)
            let excess = isDear ? min(random.extreme(), 10_000_000) : 0
            return .stored(token: token, outcomes, summary: StoredSummary(applied.totals), excess: excess)
        case .statement(let statement, let replaced):
            try store.write { try $0.add([statement], replacing: replaced.map { [$0] } ?? []) }
            guard case .fork(let log, let sequence) = statement.body else { break }
            let bound = try store.read { try $0.bounds()[log] } ?? .max
            try store.relimit(log, to: min(bound, sequence - min(sequence, 1)), applier: applier)
            return .committed([], summary: StoredSummary(try store.read { try $0.totals() }))
        case .announcement(let announcement): try store.write { try $0.set(announcement) }
        case .refusal(let refusal): try store.write { try $0.note(refusal) }
        }
        return nil
    }

    /// Writes records of its organization as the next delta of its log; nil if nothing changes.
    ///
    /// - Parameter changes: local ids with the changes of each record; nil fields delete it.
    func write(
        _ changes: [(localID: String, fields: [(FieldPath, FieldChange)]?)],
        wallMilliseconds: UInt64,
        random: inout SplitMix64
    ) throws -> (delta: VerifiedDelta, input: EngineInput)? {
        let stamp = clock.tick(wallMilliseconds: wallMilliseconds)
        let salts = changes.map { _ in random.bytes(Content.saltByteCount) }
        let written = try store.write { transaction -> (VerifiedDelta, StoredSummary)? in
            let drafts = try changes.compactMap { try draft($0.localID, $0.fields, in: transaction) }
            guard !drafts.isEmpty else { return nil }
            let delta = try VerifiedDelta(
                signing: drafts,
                salts: Array(salts.prefix(drafts.count)),
                as: VerifiedDelta.Authorship(
                    alliance: alliance.id,
                    organization: organization,
                    log: log,
                    head: head,
                    stamp: stamp,
                    importMark: nil
                ),
                signer: alliance.signer(number),
                hasher: alliance.cryptography
            )
            guard case .applied = try transaction.apply(delta, applier: applier) else {
                throw Broken("an own delta does not continue its own log")
            }
            return (delta, StoredSummary(try transaction.reading.totals()))
        }
        guard let (delta, summary) = written else { return nil }
        head = delta.head
        return (delta, .committed([delta], summary: summary))
    }

    private func draft(
        _ localID: String,
        _ fields: [(FieldPath, FieldChange)]?,
        in transaction: WriteTransaction
    ) throws -> OperationDraft? {
        let identity = RecordIdentity(kind: "resource", localID: localID)
        let key = identity.key(alliance.cryptography)
        let record = RecordID(
            alliance: alliance.id,
            owner: organization,
            key: key,
            hasher: alliance.cryptography
        )
        let view = try transaction.view(of: record)
        guard let fields else { return view.flatMap { $0.isDeleted ? nil : Planner.deletion(of: $0) } }
        return Planner.upsert(identity, key: key, over: view, changes: fields, settling: .settles)
    }

    // MARK: - Receiving

    /// Checks a delta's bytes, as a running node does before its engine sees them.
    func check(_ bytes: [UInt8]) -> ReceivedDelta {
        if let (header, hash) = try? VerifiedDelta.head(of: bytes, hasher: alliance.cryptography),
            box.engine.holds(header.log, Head(sequence: header.sequence, hash: hash))
        {
            return .known(log: header.log, sequence: header.sequence)
        }
        do throws(DeltaRefusal) {
            let delta = try VerifiedDelta(
                verifying: bytes[...],
                alliance: alliance.id,
                cryptography: alliance.cryptography
            )
            store.prepare(delta.operations, root: delta.header.root)
            return .verified(delta)
        } catch {
            let header = try? VerifiedDelta.head(of: bytes, hasher: alliance.cryptography).header
            return .refused(log: header?.log, sequence: header?.sequence ?? 0, error)
        }
    }
}

/// A broken promise.
struct Broken: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension StoredSummary {
    init(_ totals: ReadTransaction.Totals) {
        self.init(digest: totals.digest, records: UInt64(totals.shown))
    }
}
