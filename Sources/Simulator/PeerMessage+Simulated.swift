import Catalog
import DeltaLog
import Gossip
import Governance
import Wire

// The simulator's view of messages: which ones may be lost, the deltas and heads in them, and their sizes. A kind that
// is not named here is never dropped, has no deltas or heads, and is measured by encoding it.

extension PeerMessage {
    /// True for messages of the live broadcast. They may be lost, duplicated or overtake others without harm, because
    /// grafts and anti-entropy repair the loss.
    var isBroadcast: Bool {
        switch self {
        case .push, .iHave: true
        default: false
        }
    }

    /// The deltas in the message.
    var carriedDeltas: [[UInt8]] {
        switch self {
        case .deltas(let deltas), .push(let deltas, _): deltas
        default: []
        }
    }

    /// The same message with other deltas; the message itself if it has none.
    func carrying(_ deltas: [[UInt8]]) -> PeerMessage {
        switch self {
        case .deltas: .deltas(deltas)
        default: self
        }
    }

    /// The engine's input for the message, after its deltas were checked.
    func input(on link: LinkID, checked deltas: [ReceivedDelta], byteCount: Int) -> EngineInput {
        switch self {
        case .deltas: .deltas(link, deltas, .asked(byteCount: byteCount))
        case .push(_, let hops): .deltas(link, deltas, .pushed(hops: hops))
        default: .message(link, self)
        }
    }

    /// The same message, with heads of unenrolled authors attributed to an enrolled key, so that the engine remembers
    /// them.
    func adopting(at node: VirtualNode) -> PeerMessage {
        let adoptive = node.adoptive
        func adopted(_ log: LogID) -> LogID {
            guard node.box?.engine.roster.organization(of: log.author) == nil else { return log }
            return LogID(author: adoptive, incarnation: log.incarnation)
        }
        func adopted(_ head: LogHead) -> LogHead { LogHead(log: adopted(head.log), head: head.head) }
        switch self {
        case .have(let heads): return .have(heads.map { adopted($0) })
        case .iHave(let heads): return .iHave(heads.map { HopHead(head: adopted($0.head), hops: $0.hops) })
        default: return self
        }
    }

    /// Calls `body` with each head that the sender claims to have.
    func forEachPromisedHead(_ body: (LogHead) -> Void) {
        switch self {
        case .ack(let head, _): if head.head.sequence > 0 { body(head) }
        case .have(let heads): for head in heads { body(head) }
        case .iHave(let heads): for entry in heads { body(entry.head) }
        default: break
        }
    }

    /// The frontier entries that the sender claims to have.
    var promisedEntries: [FrontierEntry] {
        guard case .ranges(let ranges) = self else { return [] }
        return ranges.flatMap { range in
            if case .entries(let entries, _) = range.content { entries } else { [FrontierEntry]() }
        }
    }

    /// The number of signatures that its receiver checks, without those of deltas.
    var statementCount: Int {
        switch self {
        case .governance(_, let statements, _): statements.count
        case .announcements(let announcements): announcements.count
        default: 0
        }
    }

    /// The name of its kind.
    var kindName: String { kind.name }

    /// Adds the message to a trace and returns the size of its frame in bytes. Sizes of frequent kinds are calculated;
    /// the others are encoded.
    func measured(into trace: inout MixHash) -> Int {
        switch self {
        case .deltas(let deltas):
            return wireSize(of: Self.measured(deltas, into: &trace))
        case .push(let deltas, let hops):
            trace.add(45 << 32 | UInt64(hops))
            // The tag of a field number above 15 takes one more byte.
            return 1 + wireSize(of: Self.measured(deltas, into: &trace) + Self.size(of: UInt64(hops)))
        case .iHave(let heads):
            trace.add(46 << 32 | UInt64(heads.count))
            var inner = Self.measured(heads.map(\.head), into: &trace)
            let packed = heads.reduce(0) { $0 + max(1, Self.size(of: UInt64($1.hops)) - 1) }
            if !heads.isEmpty { inner += wireSize(of: packed) }
            return 1 + wireSize(of: inner)
        case .have(let heads):
            trace.add(9 << 32 | UInt64(heads.count))
            return wireSize(of: Self.measured(heads, into: &trace))
        case .ack(let head, let credit):
            trace.add(8 << 32)
            trace.add(credit)
            return wireSize(of: Self.measured(head, into: &trace) + Self.size(of: credit))
        case .want(let range, let credit):
            trace.add(6 << 32)
            trace.add(range.log.author.hash.word0)
            trace.add(range.from)
            trace.add(range.to)
            trace.add(credit)
            let log = 34 + (range.log.incarnation == 0 ? 0 : 9)
            return wireSize(of: log + Self.size(of: range.from) + Self.size(of: range.to) + Self.size(of: credit))
        case .state(let state, let question, let answered):
            trace.add(10 << 32)
            trace.add(question)
            trace.add(answered)
            trace.add(state.frontier.word0)
            trace.add(state.digest.sum.word0)
            trace.add(state.wallMilliseconds)
            let clock = state.wallMilliseconds == 0 ? 0 : 9
            let tokens = Self.size(of: question) + Self.size(of: answered)
            return wireSize(of: 68 + Self.size(of: state.records) + clock + tokens)
        default:
            let frame = encoded()
            trace.add(frame)
            return frame.count
        }
    }

    private static func measured(_ deltas: [[UInt8]], into trace: inout MixHash) -> Int {
        var size = 0
        for delta in deltas { size += wireSize(of: delta.count) }
        trace.add(7 << 32 | UInt64(deltas.count))
        trace.add(UInt64(size))
        return size
    }

    private static func measured(_ heads: [LogHead], into trace: inout MixHash) -> Int {
        var size = 0
        for head in heads { size += wireSize(of: measured(head, into: &trace)) }
        return size
    }

    /// The size of a log's fields, its head's sequence and its head's hash.
    private static func measured(_ head: LogHead, into trace: inout MixHash) -> Int {
        trace.add(head.log.author.hash.word0)
        trace.add(head.head.sequence)
        trace.add(head.head.hash.word0)
        return 68 + (head.log.incarnation == 0 ? 0 : 9) + size(of: head.head.sequence)
    }

    /// The bytes of a varint field with a number below 16; the field is omitted if it is 0.
    private static func size(of number: UInt64) -> Int {
        guard number > 0 else { return 0 }
        return 1 + (70 - number.leadingZeroBitCount) / 7
    }
}
