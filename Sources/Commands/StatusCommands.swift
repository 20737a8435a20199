import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
package import PeerService
import Replica
import Store

/// Reports the state of the node: are all nodes in step, which one is behind, and why?
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
        /// The number of other members, without those in `throughOthers`.
        package let of: Int
        /// Members with which this node has no session, since the alliance is too large for that. Their deltas come
        /// through others, and only their neighbours know their state.
        package let throughOthers: Int

        /// True if there are other members and this node has a session with none of them.
        package var isCutOff: Bool { of == 0 && throughOthers > 0 }
    }

    package struct MemberNode: Codable, Sendable {
        package let id: String
        /// `self`, `in-step`, `behind`, `ahead`, `comparing`, `differs`, `silent`, `through-others`, `unreachable` or
        /// `unknown`.
        package let state: String
        /// Deltas held here that the node lacks; null if unknown.
        package let behindBy: UInt64?
        /// Deltas that the node holds and this node lacks; null if unknown.
        package let aheadBy: UInt64?
        package let lastContactSeconds: Double?
        package let clockAheadSeconds: Double?
        /// The failure of the last dial; null since a connection came up.
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
        /// The number of conflicts; null while their list is being rebuilt.
        package let conflicts: Int?
        /// The numbers of refused deltas, of excluded operations, and of dangling references.
        package let refused: Int
        package let excluded: Int
        package let waiting: Int
        /// Logs whose next delta could not be taken.
        package let parked: [ParkedEntry]
        package let databaseBytes: Int
        package let storage: Storage
        /// Faults that stop this node from working, or soon will, a sentence each.
        package let alarms: [String]
        /// The error of this machine's clock; nil if there is no sign of one.
        package let ownClock: OwnClock?

        /// True if the node runs, is in step with all connected nodes, and has no alarms.
        package var isWell: Bool {
            running && inStepWith.members >= inStepWith.of && !inStepWith.isCutOff && alarms.isEmpty
        }
    }

    /// The state of the data folder for writes.
    package struct Storage: Codable, Sendable {
        /// The free bytes of its file system; null if the system does not report them.
        package let freeBytes: Int?
        package let readOnly: Bool
        /// How long another program has held a lock; null if none does.
        package let lockedSeconds: Double?
        /// The failure of the last write; null once a write succeeds.
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

    /// The shortest time of a lock for an alarm.
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

    /// The seconds by which this node's last action is ahead of its clock; nil if it has done nothing.
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
    /// The deltas that the node lacks, and those that this node lacks; nil if they say nothing. Zero for both is
    /// reported only for a node in step, since for other nodes it is outdated.
    fileprivate var difference: (behind: UInt64?, ahead: UInt64?)? {
        standing == .inStep || behindBy != 0 || aheadBy != 0 ? (behindBy, aheadBy) : nil
    }
}

/// The failure of the last dial of a node.
package struct DialFailureAnswer: Codable, Sendable {
    /// The result for each of its addresses.
    package let reason: String
    package let secondsAgo: Double

    init?(_ peer: PeerStatus, now: Gossip.Instant) {
        guard let failure = peer.dialFailure, !peer.isConnected else { return nil }
        reason = failure.reason
        secondsAgo = Double(now.milliseconds(since: failure.at)) / 1000
    }
}

/// A log whose next delta could not be taken. It is requested again from time to time, never in a loop.
package struct ParkedEntry: Codable, Sendable {
    package let organization: String
    package let author: String
    package let sequence: UInt64
    package let reason: String
    /// The organization of the peer that sent it.
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
        /// `out` if this node dialled, `in` if the other one did.
        package let direction: String?
        package let addresses: [String]
        package let program: String?
        /// The failure of the last dial; left out since a connection came up.
        package let lastFailure: DialFailureAnswer?
        /// The reason for which the peer ended or refused the last session, in its own words; left out while one is
        /// open.
        package let refusal: String?
        package let behindBy: UInt64?
        package let aheadBy: UInt64?
        package let lastContactSeconds: Double?
        package let clockAheadSeconds: Double?
        /// Bytes of frames sent, with their length fields, since this node started.
        package let sentBytes: UInt64?
        package let receivedBytes: UInt64?
    }

    package struct Output: Codable, Sendable {
        package let running: Bool
        package let peers: [Peer]
        package let counters: NodeService.Counters?
        /// The messages that this node sent to and received from all peers, by kind; absent if the node does not run.
        package let traffic: TrafficCounts?
        package let parked: [ParkedEntry]
    }

    package func run(in context: CommandContext) async throws -> Output {
        let replica = context.replica
        guard let service = context.service else {
            // The signatures were checked before the announcements were stored.
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
        /// The members that admitted it.
        package let sponsors: [String]
        package let nodes: [String]
        /// The numbers of visible records, by kind.
        package let records: NamedValues

        /// The number of visible records of all kinds.
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
