import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
package import PeerService
import Replica
import Store

/// Tells how the node stands: the answer to "are we all in step, who is behind, why?".
package struct StatusCommand: Command {
    package static let endpoint = Endpoint("status", .monitor)

    package init() {}

    package struct Alliance: Codable, Sendable {
        package let id: String
        package let name: String
    }

    package struct Node: Codable, Sendable {
        package let id: String
        package let organization: String
        package let organizationId: String
        package let version: String
        package let format: UInt32
        package let address: String?
    }

    package struct InStep: Codable, Sendable {
        package let members: Int
        /// The other members, less those in `throughOthers`.
        package let of: Int
        /// Members that this node keeps no session with, since the alliance is too large for that: what they write
        /// comes through others, and how they stand is for their neighbours to tell.
        package let throughOthers: Int

        /// True where there are others, and a session with none of them.
        package var isCutOff: Bool { of == 0 && throughOthers > 0 }
    }

    package struct MemberNode: Codable, Sendable {
        package let id: String
        /// `self`, `in-step`, `behind`, `ahead`, `comparing`, `differs`, `silent`, `through-others`, `unreachable` or
        /// `unknown`.
        package let state: String
        /// Deltas held here that it lacks; null where unknown.
        package let behindBy: UInt64?
        /// Deltas that it holds and that are lacking here; null where unknown.
        package let aheadBy: UInt64?
        package let lastContactSeconds: Double?
        package let clockAheadSeconds: Double?
        /// Why it was not reached when it was last dialled; null since a connection came up.
        package let lastFailure: DialFailureAnswer?
    }

    package struct Member: Codable, Sendable {
        package let organization: String
        package let organizationId: String
        package let records: Int
        package let nodes: [MemberNode]
    }

    package struct FrontierEntry: Codable, Sendable {
        package let author: String
        /// 16 hexadecimal digits.
        package let incarnation: String
        package let sequence: UInt64
        package let head: String
        package let organization: String
    }

    package struct Fork: Codable, Sendable {
        package let organization: String
        package let author: String
        package let incarnation: String
        package let sequence: UInt64
    }

    package struct Output: Codable, Sendable {
        package let running: Bool
        package let alliance: Alliance
        package let node: Node
        package let records: Int
        package let digest: String
        package let inStepWith: InStep
        package let members: [Member]
        package let frontier: [FrontierEntry]
        package let forks: [Fork]
        /// Null while the list of conflicts is being rebuilt.
        package let conflicts: Int?
        /// Deltas refused, operations that do not count, and citations that wait for their operation.
        package let refused: Int
        package let excluded: Int
        package let waiting: Int
        /// Logs whose next delta could not be taken.
        package let parked: [ParkedEntry]
        package let databaseBytes: Int
        package let storage: Storage
        /// What keeps this node from working as it should, a sentence each: nothing can be written, or soon not.
        package let alarms: [String]
        /// How this machine's clock is wrong; nil where nothing says that it is.
        package let ownClock: OwnClock?

        /// True if the node runs, is in step with all whom it is connected with, and has no alarms.
        package var isWell: Bool {
            running && inStepWith.members >= inStepWith.of && !inStepWith.isCutOff && alarms.isEmpty
        }
    }

    /// Whether the data folder can be written.
    package struct Storage: Codable, Sendable {
        /// Bytes that may still be written to its file system; null where the system does not tell.
        package let freeBytes: Int?
        package let readOnly: Bool
        /// How long another program's lock has been in the way; null where none is.
        package let lockedSeconds: Double?
        /// The last write's failure, until one succeeds.
        package let writeFailure: String?

        init(_ health: StoreHealth) {
            freeBytes = health.freeBytes
            readOnly = health.isReadOnly
            lockedSeconds = health.lock.map { $0.age / .seconds(1) }
            writeFailure = health.failure?.error.message
        }
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let stored = try await replica.read { reading in
            (
                totals: try reading.totals(), frontier: try reading.frontier(),
                contacts: try reading.peerContacts(), conflicts: try reading.conflictCountIfKnown(),
                refused: try reading.refusalCount(), pending: try reading.pendingCounts(),
                unfinished: try reading.unfinishedProjections()
            )
        }
        let contacts = Dictionary(stored.contacts.map { ($0.node, $0.time) }, uniquingKeysWith: { $1 })
        let members = members(context, contacts: contacts, totals: stored.totals)
        let others = members.filter { member in member.nodes.contains { $0.state != "self" } || member.nodes.isEmpty }
        let inStep = others.filter { member in
            !member.nodes.isEmpty
                && member.nodes.allSatisfy { $0.state == PeerStatus.Standing.inStep.rawValue || $0.state == "self" }
        }
        let indirect = others.filter { member in
            !member.nodes.isEmpty && member.nodes.allSatisfy { $0.state == PeerStatus.Standing.indirect.rawValue }
        }
        let sizes = replica.fileSizes
        let health = replica.health
        return Output(
            running: context.service?.listening != nil,
            alliance: Alliance(id: replica.alliance.hex, name: replica.charter.name),
            node: Node(
                id: replica.node.hex,
                organization: replica.name(of: replica.organization),
                organizationId: replica.organization.hex,
                version: programVersion,
                format: formatVersion,
                address: context.service?.listening?.description
            ),
            records: stored.totals.shown,
            digest: stored.totals.digest.hex,
            inStepWith: InStep(
                members: inStep.count,
                of: others.count - indirect.count,
                throughOthers: indirect.count
            ),
            members: members,
            frontier: stored.frontier.sorted.map { log, head in
                FrontierEntry(
                    author: log.author.hex,
                    incarnation: Hex.string(log.incarnation),
                    sequence: head.sequence,
                    head: head.hash.hex,
                    organization: organization(log.author, replica)
                )
            },
            forks: forks(replica),
            conflicts: stored.conflicts,
            refused: stored.refused,
            excluded: stored.pending.excluded,
            waiting: stored.pending.waiting,
            parked: ParkedEntry.list(context),
            databaseBytes: sizes.database + sizes.log,
            storage: Storage(health),
            alarms: alarms(health, replica) + stored.unfinished.map(alarm),
            ownClock: OwnClock(
                peers: others.flatMap(\.nodes).filter { $0.state != "self" }.compactMap(\.clockAheadSeconds),
                past: past(contacts: stored.contacts.map(\.time), replica)
            )
        )
    }

    /// Locks that have been in the way for less are nobody's concern.
    private static let lockSecondsMin = Duration.seconds(1)

    private func alarms(_ health: StoreHealth, _ replica: Replica) -> [String] {
        let database = replica.folder.path + "/" + Store.fileName
        var alarms: [String] = []
        if let lock = health.lock, lock.age >= Self.lockSecondsMin {
            let holder = lock.holder.map { "another program, \($0)," } ?? "another program"
            alarms.append(
                "\(holder) has held a lock on \(database) for \(TimeText.span(seconds: lock.age / .seconds(1))): "
                    + "nothing can be written"
            )
        }
        if let failure = health.failure {
            let age = TimeText.span(seconds: failure.age / .seconds(1))
            alarms.append("the last write failed \(age) ago: \(failure.error.message)")
        }
        if health.isReadOnly {
            alarms.append("the file system of \(replica.folder.path) is mounted read-only: nothing can be written")
        } else if let free = health.freeBytes, free < StoreHealth.freeBytesMin {
            alarms.append(
                "only \(String(format: "%.1f", Double(free) / 1e6)) MB are free for \(replica.folder.path); "
                    + "below \(StoreHealth.freeBytesMin / 1_000_000) MB writes are soon refused"
            )
        }
        return alarms
    }

    private func alarm(_ projection: ProjectionProgress) -> String {
        "\(projection.name.title) is being rebuilt, \(projection.percent) percent is done: "
            + "commands that need it are refused until then"
    }

    /// By how many seconds the last that this node has done is ahead of its clock; nil where it has done nothing.
    private func past(contacts: [UInt64], _ replica: Replica) -> Double? {
        let latest = max(contacts.max() ?? 0, replica.ownLog.lastWriteMilliseconds)
        return latest == 0 ? nil : (Double(latest) - Double(WallClock.milliseconds)) / 1000
    }

    private func organization(_ node: NodeKey, _ replica: Replica) -> String {
        replica.organizationName(of: node) ?? "unknown"
    }

    private func members(
        _ context: CommandContext,
        contacts: [NodeKey: UInt64],
        totals: ReadTransaction.Totals
    ) -> [Member] {
        let replica = context.replica
        var live: [NodeKey: PeerStatus] = [:]
        var now = Gossip.Instant(nanoseconds: 0)
        if let status = context.service?.engineStatus() {
            now = status.now
            live = Dictionary(status.peers.map { ($0.node, $0) }, uniquingKeysWith: { $1 })
        }
        let wall = WallClock.milliseconds
        return replica.roster.sorted.map { member in
            Member(
                organization: replica.name(of: member.id),
                organizationId: member.id.hex,
                records: totals.organizations[member.id]?.shown ?? 0,
                nodes: member.nodes.map { node in
                    let peer = live[node]
                    var contact = peer?.lastContact.map { Double(now.milliseconds(since: $0)) / 1000 }
                    if contact == nil, let time = contacts[node] { contact = Double(wall - min(wall, time)) / 1000 }
                    let isOwn = node == replica.node
                    let clock =
                        context.service?.refusedClock(of: node).map(Double.init)
                        ?? peer?.clockAheadMilliseconds.map { Double($0) / 1000 }
                    return MemberNode(
                        id: node.hex,
                        state: isOwn ? "self" : peer?.standing.rawValue ?? "unknown",
                        behindBy: isOwn ? 0 : peer?.difference?.behind,
                        aheadBy: isOwn ? 0 : peer?.difference?.ahead,
                        lastContactSeconds: isOwn ? 0 : contact,
                        clockAheadSeconds: isOwn ? 0 : clock,
                        lastFailure: peer.flatMap { DialFailureAnswer($0, now: now) }
                    )
                }
            )
        }
    }

    private func forks(_ replica: Replica) -> [Fork] {
        replica.forks.sorted { $0.key < $1.key }.map { log, sequence in
            Fork(
                organization: organization(log.author, replica),
                author: log.author.hex,
                incarnation: Hex.string(log.incarnation),
                sequence: sequence
            )
        }
    }
}

extension PeerStatus {
    /// Deltas that the node lacks, and that are lacking here; nil where they say nothing. That none are lacking is worth
    /// telling only of a node that is in step, since of others it is old news.
    fileprivate var difference: (behind: UInt64?, ahead: UInt64?)? {
        standing == .inStep || behindBy != 0 || aheadBy != 0 ? (behindBy, aheadBy) : nil
    }
}

/// Why a node was not reached when it was last dialled.
package struct DialFailureAnswer: Codable, Sendable {
    /// What each of its addresses gave.
    package let reason: String
    package let secondsAgo: Double

    init?(_ peer: PeerStatus, now: Gossip.Instant) {
        guard let failure = peer.dialFailure, !peer.isConnected else { return nil }
        reason = failure.reason
        secondsAgo = Double(now.milliseconds(since: failure.at)) / 1000
    }
}

/// A log whose next delta could not be taken. It is asked for again from time to time, never in a loop.
package struct ParkedEntry: Codable, Sendable {
    package let organization: String
    package let author: String
    package let sequence: UInt64
    package let reason: String
    /// The organization of the peer that brought it.
    package let from: String
    package let secondsAgo: Double

    static func list(_ context: CommandContext) -> [ParkedEntry] {
        guard let status = context.service?.engineStatus() else { return [] }
        let replica = context.replica
        func name(_ node: NodeKey) -> String {
            replica.organizationName(of: node) ?? "unknown"
        }
        return status.parked.sorted { $0.key < $1.key }.map { log, delta in
            ParkedEntry(
                organization: name(log.author),
                author: log.author.hex,
                sequence: delta.sequence,
                reason: delta.refusal.reason,
                from: name(delta.from),
                secondsAgo: Double(status.now.milliseconds(since: delta.since)) / 1000
            )
        }
    }
}

/// Lists the other nodes with their connections.
package struct PeersCommand: Command {
    package static let endpoint = Endpoint("peers", .monitor)

    package init() {}

    package struct Peer: Codable, Sendable {
        package let organization: String
        package let id: String
        package let state: String
        package let connected: Bool
        /// `out` where this node dialled, `in` where the other did.
        package let direction: String?
        package let addresses: [String]
        package let program: String?
        /// Why it was not reached when it was last dialled; left out since a connection came up.
        package let lastFailure: DialFailureAnswer?
        /// Why it ended or refused the last session, in its own words; left out while one is open.
        package let refusal: String?
        package let behindBy: UInt64?
        package let aheadBy: UInt64?
        package let lastContactSeconds: Double?
        package let clockAheadSeconds: Double?
        /// Bytes of frames, with their lengths, since this node started.
        package let sentBytes: UInt64?
        package let receivedBytes: UInt64?
    }

    package struct Output: Codable, Sendable {
        package let running: Bool
        package let peers: [Peer]
        package let counters: NodeService.Counters?
        /// What all peers together were sent and sent, by kind of message; absent where the node does not run.
        package let traffic: TrafficCounts?
        package let parked: [ParkedEntry]
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        guard let service = context.service else {
            // Their signatures were checked before they were stored.
            let announcements = try await replica.read { try $0.announcements() }
            let addresses = Dictionary(
                announcements.compactMap { Announcement.addresses(in: $0) },
                uniquingKeysWith: { $1 }
            )
            let peers = replica.roster.sorted.flatMap { member in
                member.nodes.filter { $0 != replica.node }.map { node in
                    Peer(
                        organization: replica.name(of: member.id),
                        id: node.hex,
                        state: "unknown",
                        connected: false,
                        direction: nil,
                        addresses: addresses[node] ?? [],
                        program: nil,
                        lastFailure: nil,
                        refusal: nil,
                        behindBy: nil,
                        aheadBy: nil,
                        lastContactSeconds: nil,
                        clockAheadSeconds: nil,
                        sentBytes: nil,
                        receivedBytes: nil
                    )
                }
            }
            return Output(running: false, peers: peers, counters: nil, traffic: nil, parked: [])
        }
        let status = service.engineStatus()
        let traffic = service.trafficByPeer
        let peers = status.peers.filter { $0.standing != .own }.map { peer in
            Peer(
                organization: replica.name(of: peer.organization),
                id: peer.node.hex,
                state: peer.standing.rawValue,
                connected: peer.isConnected,
                direction: peer.isConnected ? (peer.dialled ? "out" : "in") : nil,
                addresses: peer.addresses,
                program: peer.program,
                lastFailure: DialFailureAnswer(peer, now: status.now),
                refusal: peer.isConnected ? nil : peer.refusal?.reason,
                behindBy: peer.difference?.behind,
                aheadBy: peer.difference?.ahead,
                lastContactSeconds: peer.lastContact.map { Double(status.now.milliseconds(since: $0)) / 1000 },
                clockAheadSeconds: service.refusedClock(of: peer.node).map(Double.init)
                    ?? peer.clockAheadMilliseconds.map { Double($0) / 1000 },
                sentBytes: traffic[peer.node]?.sentBytes ?? 0,
                receivedBytes: traffic[peer.node]?.receivedBytes ?? 0
            )
        }
        return Output(
            running: service.listening != nil,
            peers: peers,
            counters: service.counts,
            traffic: service.trafficCounts,
            parked: ParkedEntry.list(context)
        )
    }
}

/// Lists the members.
package struct MembersCommand: Command {
    package static let endpoint = Endpoint("members", .reader)

    package init() {}

    package struct Member: Codable, Sendable {
        package let organization: String
        package let id: String
        package let founder: Bool
        /// Who admitted it.
        package let sponsors: [String]
        package let nodes: [String]
        /// Records shown, by kind.
        package let records: NamedValues

        /// Records shown, of all kinds.
        package var recordCount: Int64 {
            records.values.reduce(0) { sum, count in
                if case .integer(let count) = count { sum + count } else { sum }
            }
        }
    }

    package struct Output: Codable, Sendable {
        package let alliance: String
        package let members: [Member]
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        let counts = try await replica.read { try $0.counts() }
        return Output(
            alliance: replica.charter.name,
            members: replica.roster.sorted.map { member in
                let own = counts.filter { $0.owner == member.id && $0.shown > 0 }
                return Member(
                    organization: replica.name(of: member.id),
                    id: member.id.hex,
                    founder: member.isFounder,
                    sponsors: member.sponsors.map { replica.name(of: $0) },
                    nodes: member.nodes.map(\.hex),
                    records: NamedValues(own.map { ($0.kind, .integer(Int64($0.shown))) })
                )
            }
        )
    }
}
