import Catalog
import DeltaLog
import Foundation
import SwiftProtobuf
package import Wire

/// A frame that holds no valid message.
package struct MalformedMessage: Error, Hashable, Sendable {
    package let what: String
}

extension PeerMessage {
    /// The bytes of a Frame message.
    package func encoded() -> [UInt8] {
        switch self {
        case .deltas(let deltas): return Self.encodeDeltas(deltas)
        case .push(let deltas, let hops): return Self.encodeDeltas(deltas, field: Self.pushField, hops: hops)
        default: break
        }
        var frame = Hansa_V0_Frame()
        frame.message = message
        // Serialization fails only for required fields and broken Any messages; the proto3 messages here have neither.
        return (try? frame.serializedBytes()) ?? []
    }

    private static let deltasField: UInt32 = 7
    private static let pushField: UInt32 = 45
    private static let rangesField: UInt32 = 30

    /// Encodes a Deltas or Push message, which are most of the traffic, without a copy through the generated code.
    private static func encodeDeltas(
        _ deltas: [[UInt8]],
        field: UInt32 = deltasField,
        hops: UInt32 = 0
    ) -> [UInt8] {
        var tail = WireWriter()
        tail.field(2, varint: UInt64(hops))
        let inner = deltas.reduce(0) { $0 + wireSize(of: $1.count) } + tail.bytes.count
        var writer = WireWriter(capacity: inner + 16)
        writer.key(field, .lengthDelimited)
        writer.varint(UInt64(inner))
        for delta in deltas { writer.field(1, bytes: delta) }
        writer.field(2, varint: UInt64(hops))
        return writer.bytes
    }

    /// The bytes of the frame of a Deltas message; 0 for any other. Both sides of a link count credit by it.
    var encodedDeltasByteCount: Int {
        guard case .deltas(let deltas) = self else { return 0 }
        return wireSize(of: deltas.reduce(0) { $0 + wireSize(of: $1.count) })
    }

    /// The most links that pushes of a delta pass, and the highest `hops` of Push and IHave. A tree over 10,000 nodes
    /// with 6 neighbours each has some 6 levels, and a chain of repaired links a few times as many.
    package static let hopsMax: UInt32 = 255
    /// The most deltas of a message. A delta has at least some 300 bytes, so 256 KiB hold fewer.
    package static let deltasMax = 1_024

    /// The most statements and the most announcements of a message. Their checks take some tens of milliseconds, in
    /// which the node's engine does nothing else.
    package static let statementsMax = 256
    package static let announcementsMax = 512

    /// The most bytes of a message's frame, and the most elements in it. A peer that keeps to the protocol sends less
    /// of each. A frame beyond a bound is refused before it is decoded, since decoding needs more memory than the
    /// frame.
    ///
    /// - Parameter field: The message's number in the frame; nil for an unknown message.
    private static func bounds(of field: UInt32) -> (bytes: Int, elements: Int)? {
        let (small, KiB) = (256, 1024)
        switch field {
        case 1, 2, 11, 43, 44: return (8 * KiB, 80)
        // 65,536 ids, and statements of 256 KiB or one fork proof.
        case 3: return (3 * 1024 * KiB, 65_536 + statementsMax + 1)
        case 4: return (512 * KiB, announcementsMax)
        case 6, 8, 12, 14, 40, 41, 42, 47, 48: return (small, 16)
        case deltasField: return (1024 * KiB + 16 * KiB, deltasMax)
        // 10,000 heads of some 90 bytes.
        case 9, 46: return (1024 * KiB, 20_001)
        case 10: return (2 * small, 16)
        // 256 headers within 256 KiB, and a long one.
        case 13: return (512 * KiB, 520)
        case 15: return (1024 * KiB, 10_300)
        case rangesField: return (2 * 1024 * KiB, 65_536)
        case pushField: return (96 * KiB, deltasMax)
        default: return nil
        }
    }

    /// Reads a Frame message.
    package init(decoding bytes: [UInt8]) throws(MalformedMessage) {
        let bounds: (bytes: Int, elements: Int)
        do throws(WireError) {
            var reader = WireReader(bytes)
            var last: UInt32 = 0
            guard let known = Self.bounds(of: try reader.field(after: &last).0) else {
                throw WireError("a message that is not known")
            }
            bounds = known
        } catch {
            throw MalformedMessage(what: "a frame that is no known message")
        }
        guard bytes.count <= bounds.bytes else {
            throw MalformedMessage(what: "a message that is too long for its kind")
        }
        do throws(WireError) {
            if let deltas = try Self.decodeDeltas(bytes) {
                self = deltas
                return
            }
        } catch {
            throw MalformedMessage(what: "deltas: \(error.reason)")
        }
        guard let count = try? Self.countElements(bytes), count <= bounds.elements else {
            throw MalformedMessage(what: "a frame that is malformed or holds too much")
        }
        guard let frame = try? Hansa_V0_Frame(serializedBytes: bytes), let message = frame.message else {
            throw MalformedMessage(what: "a frame that is no known message")
        }
        guard let decoded = Self.decode(message) else { throw MalformedMessage(what: "a message with a wrong field") }
        self = decoded
    }

    /// The number of fields of the message in a frame. All of these are numbers, bytes and messages. For ranges, the
    /// fields within them count too.
    ///
    /// - Throws: ``WireError`` for bytes that are no frame with one message.
    package static func countElements(_ bytes: [UInt8]) throws(WireError) -> Int {
        var reader = WireReader(bytes)
        var last: UInt32 = 0
        let (field, type) = try reader.field(after: &last)
        guard type == .lengthDelimited else { throw WireError("no message") }
        let inner = try reader.message()
        guard reader.isAtEnd else { throw WireError("more than one message") }
        return try countElements(of: inner, nesting: field == rangesField ? [1, 5] : [])
    }

    /// - Parameter nesting: The numbers of the fields whose contents count too, from outside to inside.
    private static func countElements(of message: WireReader, nesting: [UInt32]) throws(WireError) -> Int {
        var message = message
        var count = 0
        var last: UInt32 = 0
        while !message.isAtEnd {
            let (field, type) = try message.field(after: &last)
            switch type {
            case .varint: _ = try message.varint()
            case .fixed64: _ = try message.fixed64()
            case .lengthDelimited where field == nesting.first:
                count += try countElements(of: message.message(), nesting: Array(nesting.dropFirst()))
            case .lengthDelimited: _ = try message.slice()
            }
            count += 1
        }
        return count
    }

    /// Decodes a Deltas or Push message; nil for another kind.
    private static func decodeDeltas(_ bytes: [UInt8]) throws(WireError) -> PeerMessage? {
        var reader = WireReader(bytes)
        var last: UInt32 = 0
        guard let (field, type) = try? reader.field(after: &last), type == .lengthDelimited,
            field == deltasField || field == pushField
        else { return nil }
        var inner = try reader.message()
        guard reader.isAtEnd else { throw WireError("more than deltas") }
        var deltas: [[UInt8]] = []
        var hops: UInt32 = 0
        var innerLast: UInt32 = 0
        while !inner.isAtEnd {
            switch try inner.field(after: &innerLast, repeated: 1) {
            case (1, .lengthDelimited):
                guard deltas.count < deltasMax else { throw WireError("too many") }
                deltas.append(Array(try inner.slice()))
            case (2, .varint) where field == pushField:
                hops = try inner.varint32()
                guard hops <= hopsMax else { throw WireError("too many hops") }
            default: throw WireError("not a delta")
            }
        }
        return field == pushField ? .push(deltas, hops: hops) : .deltas(deltas)
    }

    private var message: Hansa_V0_Frame.OneOf_Message {
        switch self {
        case .hello(let hello): .hello(hello.message)
        case .refusal(let refusal):
            .refusal(
                .with {
                    $0.code = refusal.code
                    $0.reason = refusal.reason
                }
            )
        case .governance(let known, let statements, let answer):
            .governance(
                .with {
                    $0.known = known.map(\.data)
                    $0.statements = statements.compactMap { try? Hansa_V0_SignedStatement(serializedBytes: $0) }
                    $0.answer = answer
                }
            )
        case .announcements(let announcements):
            .announcements(
                .with {
                    $0.announcements = announcements.compactMap {
                        try? Hansa_V0_SignedAnnouncement(serializedBytes: $0)
                    }
                }
            )
        case .ranges(let ranges): .ranges(.with { $0.ranges = FrontierRange.messages(ranges) })
        case .want(let range, let credit): .want(range.want(credit: credit))
        case .deltas(let deltas): .deltas(.with { $0.deltas = deltas.map(\.data) })
        case .ack(let head, let credit):
            .ack(
                .with {
                    $0.author = head.log.author.data
                    $0.incarnation = head.log.incarnation
                    $0.sequence = head.head.sequence
                    $0.hash = head.head.hash.data
                    $0.credit = credit
                }
            )
        case .have(let heads): .have(.with { $0.heads = heads.map(\.message) })
        case .state(let state, let question, let answered):
            .state(state.message(question: question, answered: answered))
        case .deltaRefused(let log, let sequence, let code, let reason):
            .deltaRefused(
                .with {
                    $0.author = log.author.data
                    $0.incarnation = log.incarnation
                    $0.sequence = sequence
                    $0.code = code
                    $0.reason = reason
                }
            )
        case .headersWanted(let range):
            .headersWanted(
                .with {
                    $0.author = range.log.author.data
                    $0.incarnation = range.log.incarnation
                    $0.from = range.from
                    $0.to = range.to
                }
            )
        case .headers(let log, let from, let headers):
            .headers(
                .with {
                    $0.author = log.author.data
                    $0.incarnation = log.incarnation
                    $0.from = from
                    $0.headers = headers.map(\.header.data)
                    $0.signatures = headers.map(\.signature.data)
                }
            )
        case .diffQuestion(let question): .diffQuestion(question.message)
        case .diffAnswer(let answer): .diffAnswer(answer.message)
        case .neighbour(let isUrgent): .neighbour(.with { $0.urgent = isUrgent })
        case .neighbourAnswer(let isAccepted): .neighbourAnswer(.with { $0.accepted = isAccepted })
        case .leave: .leave(Hansa_V0_Leave())
        case .shuffle(let token, let hops, let nodes):
            .shuffle(
                .with {
                    $0.token = token
                    $0.hops = hops
                    $0.nodes = nodes.map(\.data)
                }
            )
        case .shuffleReply(let token, let nodes):
            .shuffleReply(
                .with {
                    $0.token = token
                    $0.nodes = nodes.map(\.data)
                }
            )
        case .push(let deltas, let hops):
            .push(
                .with {
                    $0.deltas = deltas.map(\.data)
                    $0.hops = hops
                }
            )
        case .iHave(let heads):
            .iHave(
                .with {
                    $0.heads = heads.map(\.head.message)
                    $0.hops = heads.map(\.hops)
                }
            )
        case .graft(let range, let credit):
            .graft(
                .with { graft in
                    if let range { graft.want = range.want(credit: credit) }
                }
            )
        case .prune: .prune(Hansa_V0_Prune())
        }
    }

    private static func decode(_ message: Hansa_V0_Frame.OneOf_Message) -> PeerMessage? {
        switch message {
        case .hello(let hello): Hello(hello).map(PeerMessage.hello)
        case .refusal(let refusal):
            .refusal(SessionRefusal(code: refusal.code, reason: String(refusal.reason.prefix(500))))
        case .governance(let governance):
            governance.statements.count > statementsMax
                ? nil
                : all(governance.known, Hash256.init(_:)).map { known in
                    .governance(
                        known: known,
                        statements: governance.statements.compactMap { try? $0.serializedBytes() },
                        answer: governance.answer
                    )
                }
        case .announcements(let message):
            .announcements(message.announcements.compactMap { try? $0.serializedBytes() })
        case .ranges(let message): FrontierRange.ranges(message.ranges).map(PeerMessage.ranges)
        case .want(let want): LogRange(want).map { .want($0, credit: want.credit) }
        case .deltas(let deltas): .deltas(deltas.deltas.map { Array($0) })
        case .ack(let ack):
            log(ack.author, ack.incarnation).flatMap { log in
                Hash256(ack.hash).map {
                    .ack(LogHead(log: log, head: Head(sequence: ack.sequence, hash: $0)), credit: ack.credit)
                }
            }
        case .have(let have): all(have.heads, LogHead.init).map(PeerMessage.have)
        case .state(let state):
            StateSummary(state).map { .state($0, question: state.question, answered: state.answered) }
        case .deltaRefused(let refused):
            log(refused.author, refused.incarnation).map {
                .deltaRefused(
                    log: $0,
                    sequence: refused.sequence,
                    code: refused.code,
                    reason: String(refused.reason.prefix(500))
                )
            }
        case .headersWanted(let wanted):
            log(wanted.author, wanted.incarnation).map {
                .headersWanted(LogRange(log: $0, from: wanted.from, to: wanted.to))
            }
        case .headers(let headers):
            headers.headers.count != headers.signatures.count
                ? nil
                : log(headers.author, headers.incarnation).map {
                    .headers(
                        log: $0,
                        from: headers.from,
                        zip(headers.headers, headers.signatures).map {
                            SignedHeader(header: Array($0), signature: Array($1))
                        }
                    )
                }
        case .diffQuestion(let question): DiffQuestion(question).map(PeerMessage.diffQuestion)
        case .diffAnswer(let answer): DiffAnswer(answer).map(PeerMessage.diffAnswer)
        case .neighbour(let message): .neighbour(isUrgent: message.urgent)
        case .neighbourAnswer(let message): .neighbourAnswer(isAccepted: message.accepted)
        case .leave: .leave
        case .shuffle(let message):
            nodes(message.nodes).map { .shuffle(token: message.token, hops: message.hops, nodes: $0) }
        case .shuffleReply(let message): nodes(message.nodes).map { .shuffleReply(token: message.token, nodes: $0) }
        case .push(let push): .push(push.deltas.map { Array($0) }, hops: push.hops)
        case .iHave(let message):
            message.heads.count != message.hops.count || message.hops.contains { $0 > hopsMax }
                ? nil
                : all(message.heads, LogHead.init).map { heads in
                    .iHave(zip(heads, message.hops).map { HopHead(head: $0, hops: $1) })
                }
        case .graft(let graft):
            graft.hasWant
                ? LogRange(graft.want).map { .graft($0, credit: graft.want.credit) } : .graft(nil, credit: 0)
        case .prune: .prune
        case .joinRequest, .joinAnswer: nil
        }
    }

    /// The most keys of nodes in a shuffle.
    package static let shuffleNodesMax = 64

    private static func nodes(_ keys: [Data]) -> [NodeKey]? {
        keys.count > shuffleNodesMax ? nil : all(keys) { NodeKey(bytes: $0) }
    }

    private static func log(_ author: Data, _ incarnation: UInt64) -> LogID? {
        NodeKey(bytes: author).map { LogID(author: $0, incarnation: incarnation) }
    }

    /// Every element converted; nil if one cannot be.
    private static func all<Source, Target>(_ source: [Source], _ convert: (Source) -> Target?) -> [Target]? {
        let target = source.compactMap(convert)
        return target.count == source.count ? target : nil
    }
}

extension LogRange {
    fileprivate func want(credit: UInt64) -> Hansa_V0_Want {
        .with {
            $0.author = log.author.data
            $0.incarnation = log.incarnation
            $0.from = from
            $0.to = to
            $0.credit = credit
        }
    }

    fileprivate init?(_ message: Hansa_V0_Want) {
        guard let author = NodeKey(bytes: message.author) else { return nil }
        self.init(
            log: LogID(author: author, incarnation: message.incarnation),
            from: message.from,
            to: message.to
        )
    }
}

extension LogHead {
    fileprivate var message: Hansa_V0_Head {
        .with {
            $0.author = log.author.data
            $0.incarnation = log.incarnation
            $0.sequence = head.sequence
            $0.hash = head.hash.data
        }
    }

    fileprivate init?(_ message: Hansa_V0_Head) {
        guard let author = NodeKey(bytes: message.author), let hash = Hash256(message.hash),
            (1...Header.sequenceMax).contains(message.sequence)
        else { return nil }
        self.init(
            log: LogID(author: author, incarnation: message.incarnation),
            head: Head(sequence: message.sequence, hash: hash)
        )
    }
}

extension FrontierRange {
    /// Encodes ranges. A bound leaves out the bytes that it shares with the bound before it. An entry leaves out its
    /// author if the entry before it has the same one.
    fileprivate static func messages(_ ranges: [FrontierRange]) -> [Hansa_V0_Range] {
        var before: [UInt8] = []
        return ranges.map { range in
            .with {
                if let bytes = range.upper.bytes {
                    let shared = zip(before, bytes).prefix { $0 == $1 }.count
                    $0.shared = UInt32(shared)
                    $0.upper = Array(bytes.dropFirst(shared)).data
                    before = bytes
                } else {
                    $0.last = true
                }
                switch range.content {
                case .skip: $0.skip = true
                case .fingerprint(let fingerprint): $0.fingerprint = fingerprint.bytes.data
                case .entries(let entries, let answer):
                    $0.entries = .with {
                        $0.entries = messages(entries)
                        $0.answer = answer
                    }
                }
            }
        }
    }

    private static func messages(_ entries: [FrontierEntry]) -> [Hansa_V0_Range.Entry] {
        var before: NodeKey?
        return entries.map { entry in
            defer { before = entry.log.author }
            return .with {
                if entry.log.author != before { $0.author = entry.log.author.data }
                $0.incarnation = entry.log.incarnation
                $0.sequence = entry.sequence
                $0.prefix = entry.prefix
            }
        }
    }

    /// Decodes ranges; nil if one is malformed.
    fileprivate static func ranges(_ messages: [Hansa_V0_Range]) -> [FrontierRange]? {
        var before: [UInt8] = []
        var ranges: [FrontierRange] = []
        ranges.reserveCapacity(messages.count)
        for message in messages {
            var upper = RangeBound.end
            if message.last {
                guard message.upper.isEmpty, message.shared == 0 else { return nil }
            } else {
                guard message.shared <= before.count else { return nil }
                let bytes = before.prefix(Int(message.shared)) + message.upper
                guard !bytes.isEmpty, let bound = RangeBound(bytes: Array(bytes)) else { return nil }
                upper = bound
                before = Array(bytes)
            }
            guard let content = content(message.content) else { return nil }
            ranges.append(FrontierRange(upper: upper, content: content))
        }
        return ranges
    }

    private static func content(_ content: Hansa_V0_Range.OneOf_Content?) -> Content? {
        switch content {
        case .skip(true)?: return .skip
        case .fingerprint(let bytes)?: return RangeFingerprint(bytes: bytes).map(Content.fingerprint)
        case .entries(let list)?:
            var before: NodeKey?
            var entries: [FrontierEntry] = []
            entries.reserveCapacity(list.entries.count)
            for entry in list.entries {
                guard let author = entry.author.isEmpty ? before : NodeKey(bytes: entry.author),
                    (1...Header.sequenceMax).contains(entry.sequence)
                else { return nil }
                before = author
                let log = LogID(author: author, incarnation: entry.incarnation)
                entries.append(FrontierEntry(log: log, sequence: entry.sequence, prefix: entry.prefix))
            }
            return .entries(entries, answer: list.answer)
        case .skip(false)?, nil: return nil
        }
    }
}

extension StateSummary {
    fileprivate func message(question: UInt64 = 0, answered: UInt64 = 0) -> Hansa_V0_State {
        .with {
            $0.frontier = frontier.data
            $0.digest = digest.sum.data
            $0.records = records
            $0.clock = wallMilliseconds
            $0.question = question
            $0.answered = answered
        }
    }

    fileprivate init?(_ message: Hansa_V0_State) {
        guard let frontier = Hash256(message.frontier), let digest = Hash256(message.digest) else { return nil }
        self.init(
            frontier: frontier,
            digest: CatalogDigest(sum: digest),
            records: message.records,
            wallMilliseconds: message.clock
        )
    }
}

extension PeerMessage.Hello {
    fileprivate var message: Hansa_V0_Hello {
        .with {
            $0.alliance = alliance.data
            $0.formatMin = formatMin
            $0.formatMax = formatMax
            $0.program = program
            $0.governance = governance.data
            $0.announcements = announcements.data
            $0.state = state.message()
        }
    }

    fileprivate init?(_ message: Hansa_V0_Hello) {
        guard let alliance = AllianceID(bytes: message.alliance), let governance = Hash256(message.governance),
            let announcements = Hash256(message.announcements), let state = StateSummary(message.state)
        else { return nil }
        self.init(
            alliance: alliance,
            formatMin: message.formatMin,
            formatMax: message.formatMax,
            program: String(message.program.prefix(100)),
            governance: governance,
            announcements: announcements,
            state: state
        )
    }
}

extension PeerMessage.DiffQuestion {
    fileprivate var message: Hansa_V0_DiffQuestion {
        switch self {
        case .sums(let token): .with { $0.token = token }
        case .records(let token, let bucket, let after):
            .with {
                $0.token = token
                $0.level = 1
                $0.bucket = UInt32(bucket)
                if let after { $0.after = after.data }
            }
        }
    }

    fileprivate init?(_ message: Hansa_V0_DiffQuestion) {
        if message.level == 0 {
            self = .sums(token: message.token)
        } else {
            guard message.level == 1, let bucket = UInt8(exactly: message.bucket) else { return nil }
            let after = RecordID(bytes: message.after)
            guard after != nil || message.after.isEmpty else { return nil }
            self = .records(token: message.token, bucket: bucket, after: after)
        }
    }
}

extension PeerMessage.DiffAnswer {
    fileprivate var message: Hansa_V0_DiffAnswer {
        .with {
            $0.token = token
            $0.sums = sums.map(\.data)
            $0.records = records.map { ($0.record.bytes + $0.hash.bytes).data }
            $0.more = more
            $0.frontier = frontier.data
            $0.digest = digest.sum.data
        }
    }

    fileprivate init?(_ message: Hansa_V0_DiffAnswer) {
        guard let frontier = Hash256(message.frontier), let digest = Hash256(message.digest) else { return nil }
        var records: [PeerMessage.RecordHash] = []
        for entry in message.records {
            guard entry.count == 64, let record = RecordID(bytes: entry.prefix(32)),
                let hash = Hash256(entry.suffix(32))
            else { return nil }
            records.append(PeerMessage.RecordHash(record: record, hash: hash))
        }
        let sums = message.sums.compactMap { Hash256($0) }
        guard sums.count == message.sums.count else { return nil }
        self.init(
            token: message.token,
            sums: sums,
            records: records,
            more: message.more,
            frontier: frontier,
            digest: CatalogDigest(sum: digest)
        )
    }
}
