import Catalog
import DeltaLog
import Gossip

/// A member's kind of misbehaviour. The first twelve roles change the messages of one node's engine or add some; the
/// engine itself is unchanged. An ``Adversary``, which uses all keys of its organization, plays the other roles.
package enum HostileRole: String, CaseIterable, Hashable, Sendable {
    /// Changes bytes of deltas, also in the middle of a sequence of valid ones.
    case forger
    /// Sends frames that do not decode.
    case babbler
    /// Announces heads that do not exist.
    case liar
    /// Repeats earlier messages.
    case replayer
    /// Signs two deltas for each position in its log and sends a different one to each half of the nodes.
    case forker
    /// Sets the stamps of its deltas years ahead.
    case postdater
    /// Cites operations that it has not seen or that do not exist.
    case citer
    /// Announces (IHave) endless heads that no node has.
    case flooder
    /// Endlessly requests logs and asks to be an edge of the tree.
    case grafter
    /// Shuffles views of dead, unknown and repeated nodes, and repeatedly asks to be a neighbour.
    case shuffler
    /// Answers comparisons of frontiers falsely and keeps starting new ones.
    case deceiver
    /// Reads and sends one byte per second.
    case dripper
    /// Sends numbers at the ends of their ranges in all messages.
    case extremeNumbers = "extreme-numbers"
    /// Announces heads by the thousand: of logs of unknown authors, of own logs that do not exist, and of honest logs
    /// with sequences far ahead.
    case headFlooder = "head-flooder"
    /// Announces dead addresses for all its keys, repeatedly in new versions.
    case addressFlooder = "address-flooder"
    /// Opens as many connections as it can with all its keys and keeps them open. Asks to be a neighbour on some, and
    /// forwards nothing.
    case sessionHoarder = "session-hoarder"
    /// Keeps writing new field paths, and records with a growing number of live operations.
    case pathFlooder = "path-flooder"
    /// Sends expensive requests and statements that have no price, as fast as the link accepts them.
    case unpricedQuestions = "unpriced-questions"

    /// The roles that swarms draw from. Their number is part of a seed's meaning.
    static let ofSwarms: [HostileRole] = [
        .forger, .babbler, .liar, .replayer, .forker, .postdater, .citer, .flooder, .grafter, .shuffler, .deceiver,
        .dripper,
    ]

    /// True for roles that an ``Adversary`` plays.
    package var isAdversary: Bool { !Self.ofSwarms.contains(self) }

    /// True for roles that add messages to those of an engine.
    var floodsBesideItsEngine: Bool { [.flooder, .grafter, .shuffler, .deceiver].contains(self) }

    /// A one-line summary for people.
    package var summary: String {
        switch self {
        case .forger: "changes bytes of deltas"
        case .babbler: "sends frames that are no messages"
        case .liar: "announces heads that do not exist"
        case .replayer: "repeats earlier messages"
        case .forker: "signs two deltas for each sequence of its log"
        case .postdater: "dates its deltas years ahead"
        case .citer: "cites operations that do not exist"
        case .flooder: "announces heads endlessly"
        case .grafter: "requests logs endlessly"
        case .shuffler: "shuffles views of unknown nodes"
        case .deceiver: "answers comparisons falsely"
        case .dripper: "reads and sends a byte a second"
        case .extremeNumbers: "sends numbers at the ends of their ranges"
        case .headFlooder: "announces heads by the thousand"
        case .addressFlooder: "announces dead addresses for hundreds of keys"
        case .sessionHoarder: "opens sessions by hundreds of keys, and keeps them"
        case .pathFlooder: "keeps writing new paths and growing records"
        case .unpricedQuestions: "asks for work without a price"
        }
    }

    /// The reason why a message of this node does not decode; nil if it does.
    func malformation(of message: PeerMessage, using random: inout SplitMix64) -> String? {
        guard self == .babbler, UInt8.random(in: 0..<20, using: &random) == 0 else { return nil }
        return "a frame that is malformed or holds too much"
    }
}

/// The state of hostile behaviour, kept for each node.
struct HostileMemory {
    /// The other delta at the same position of a log, by the number of the delta that the node itself keeps.
    var twins: [Int32: Int32] = [:]
    /// Sent messages that may be repeated.
    var sent: [PeerMessage] = []
    /// The time of the last flood on each link.
    var floodedAt: [LinkID: UInt64] = [:]
    /// The number of deltas that an adversary has pushed to this node, by log.
    var pushed: [LogID: UInt64] = [:]
}

extension Simulation {
    /// Makes a node hostile from now on.
    func take(_ role: HostileRole, at nodeIndex: Int) {
        guard nodes[nodeIndex].nodeIndex == nodes[nodeIndex].number, !nodes[nodeIndex].isPuppet else { return }
        nodes[nodeIndex].role = role
        if role == .dripper { network.clogged[nodeIndex] = 1 }
        if role == .postdater { nodes[nodeIndex].clockAheadMilliseconds = 10 * 365 * 86_400_000 }
        if role.isAdversary { beginAttack(role, at: nodeIndex) }
    }

    /// The message that a hostile node sends instead.
    func altered(_ message: PeerMessage, by role: HostileRole, on link: LinkID, at nodeIndex: Int) -> PeerMessage {
        if case .hello = message { return message }
        switch role {
        case .forger:
            var deltas = message.carriedDeltas
            guard !deltas.isEmpty, UInt8.random(in: 0..<4, using: &faultRandom) == 0 else { return message }
            let victim = Int.random(in: 0..<deltas.count, using: &faultRandom)
            let position = Int.random(in: 0..<deltas[victim].count, using: &faultRandom)
            deltas[victim][position] ^= 1 << UInt8.random(in: 0..<8, using: &faultRandom)
            return message.carrying(deltas)
        case .liar:
            guard case .have(let heads) = message else { return message }
            let log = LogID(author: nodes[nodeIndex].key, incarnation: faultRandom.next())
            let head = Head(sequence: 1 + faultRandom.next() % 1_000, hash: alliance.cryptography.hash([1]))
            return .have(heads + [LogHead(log: log, head: head)])
        case .replayer:
            if nodes[nodeIndex].memory.sent.count < 64 { nodes[nodeIndex].memory.sent.append(message) }
            guard UInt8.random(in: 0..<10, using: &faultRandom) == 0 else { return message }
            return nodes[nodeIndex].memory.sent.randomElement(using: &faultRandom) ?? message
        case .forker:
            let isReported = network.connections[Network.connection(of: link)][1 - Network.side(of: link)].node % 2 == 1
            let twins = nodes[nodeIndex].memory.twins
            guard isReported, !message.carriedDeltas.isEmpty, !twins.isEmpty else { return message }
            return message.carrying(
                message.carriedDeltas.map { bytes in
                    guard let twin = pool.index(of: bytes).flatMap({ twins[$0] }) else { return bytes }
                    return pool.entries[Int(twin)].bytes
                }
            )
        case .deceiver:
            guard case .ranges(let ranges) = message else { return message }
            let lies = ranges.map { range in
                guard case .fingerprint = range.content else { return range }
                let bytes = faultRandom.bytes(RangeFingerprint.byteCount)
                return RangeFingerprint(bytes: bytes).map {
                    FrontierRange(upper: range.upper, content: .fingerprint($0))
                } ?? range
            }
            return .ranges(lies)
        case .babbler, .postdater, .citer, .flooder, .grafter, .shuffler, .dripper: return message
        case .extremeNumbers:
            guard UInt8.random(in: 0..<4, using: &attackRandom) == 0 else { return message }
            return message.withExtremeNumbers(using: &attackRandom)
        case .headFlooder, .addressFlooder, .sessionHoarder, .pathFlooder, .unpricedQuestions: return message
        }
    }

    /// The pause of a link between two floods, in nanoseconds. Without it, two hostile nodes would flood each other
    /// ever faster and slow the run down.
    private static let floodPause: UInt64 = 100_000_000
    /// The bytes in flight on a link at which floods stop: the capacity of a socket.
    private static let floodBytesMax = 512 * 1024

    /// True if a link may be flooded now; records the flood.
    func mayFlood(_ link: LinkID, at nodeIndex: Int) -> Bool {
        let receiver = network.connections[Network.connection(of: link)][1 - Network.side(of: link)]
        guard receiver.outstandingBytes < Self.floodBytesMax,
            nodes[nodeIndex].memory.floodedAt[link].map({ $0 + Self.floodPause <= now }) ?? true
        else { return false }
        nodes[nodeIndex].memory.floodedAt[link] = now
        return true
    }

    /// The messages that a hostile node sends in addition to those of its engine.
    func floods(by role: HostileRole, at nodeIndex: Int) -> [PeerMessage] {
        func log() -> LogID {
            pool.logs.randomElement(using: &faultRandom) ?? LogID(author: nodes[nodeIndex].key, incarnation: 1)
        }
        func head() -> LogHead {
            let log =
                Bool.random(using: &faultRandom) ? log() : LogID(author: log().author, incarnation: faultRandom.next())
            let sequence = 1 + faultRandom.next() % 1_000_000
            return LogHead(log: log, head: Head(sequence: sequence, hash: alliance.cryptography.hash([2])))
        }
        switch role {
        case .flooder:
            return (0..<20).map { _ in .iHave((0..<100).map { _ in HopHead(head: head(), hops: 1) }) }
        case .grafter:
            return (0..<400).map { _ in
                let range = LogRange(log: log(), from: 1, to: 1 + faultRandom.next() % 1_000)
                return .graft(Bool.random(using: &faultRandom) ? range : nil, credit: .max)
            }
        case .shuffler:
            let keys = [nodes[nodeIndex].key, nodes[0].key, nodes[0].key] + (0..<40).map { _ in log().author }
            let unknown = (0..<20).map { _ in NodeKey(alliance.cryptography.hash(faultRandom.bytes(8))) }
            return (0..<20).map { _ in
                .shuffle(token: faultRandom.next(), hops: UInt32(faultRandom.next() % 9), nodes: keys + unknown)
            } + [.neighbour(isUrgent: true), .shuffleReply(token: faultRandom.next(), nodes: unknown)]
        case .deceiver:
            return (0..<20).compactMap { _ in
                RangeFingerprint(bytes: faultRandom.bytes(RangeFingerprint.byteCount)).map {
                    .ranges([FrontierRange(upper: .end, content: .fingerprint($0))])
                }
            }
        default: return []
        }
    }

    /// The operations that a hostile node writes in addition to, or instead of, the requested ones.
    func hostile(_ drafts: [OperationDraft], by role: HostileRole?) -> [OperationDraft] {
        guard role == .citer else { return drafts }
        return drafts.map { draft in
            let log = pool.logs.randomElement(using: &faultRandom) ?? LogID(author: nodes[0].key, incarnation: 1)
            let dot = Dot(log: log, sequence: 1 + faultRandom.next() % 20, index: UInt32(faultRandom.next() % 3))
            let known = pool.entries.randomElement(using: &faultRandom)?.delta.operations.first?.hash.prefix
            let citation = Citation(dot: dot, prefix: known ?? faultRandom.next(), number: nil)
            var writes = draft.envelope.writes
            guard let last = writes.popLast() else { return draft }
            let cited = last.supersedes.filter { $0.dot != dot } + [citation]
            writes.append(
                Write(field: last.field, mode: last.mode, supersedes: cited.sorted { $0.dot < $1.dot })
            )
            return OperationDraft(
                envelope: Envelope(key: draft.envelope.key, kind: draft.envelope.kind, writes: writes),
                values: draft.values
            )
        }
    }

    /// Signs a forker's second delta at the position of its first.
    func fork(_ delta: VerifiedDelta, at node: VirtualNode) {
        guard node.role == .forker else { return }
        let drafts = delta.operations.map { OperationDraft(envelope: $0.envelope, values: $0.content.values) }
        let twin = try? VerifiedDelta(
            signing: drafts,
            salts: drafts.map { _ in faultRandom.bytes(Content.saltByteCount) },
            as: VerifiedDelta.Authorship(
                alliance: alliance.id,
                organization: delta.header.organization,
                log: delta.log,
                head: delta.header.previous.map { Head(sequence: delta.header.sequence - 1, hash: $0) },
                stamp: delta.header.stamp,
                importMark: nil
            ),
            signer: alliance.signer(node.number),
            hasher: alliance.cryptography
        )
        guard let twin else { return }
        node.memory.twins[pool.add(delta)] = pool.add(twin)
    }
}
