import Catalog
import DeltaLog
import Foundation
import Gossip
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// Frames: every message decodes to what was encoded, and no bytes crash the decoder.
struct CodecTests {
    private static var messages: [PeerMessage] {
        let alliance = VirtualAlliance(founders: 2)
        let delta = alliance.delta(by: 0, after: nil, names: [("a", "b")])
        let state = StateSummary(
            frontier: delta.hash,
            digest: CatalogDigest(sum: delta.header.root),
            records: 7,
            wallMilliseconds: 1_700_000_000_000
        )
        let head = LogHead(log: delta.log, head: delta.head)
        let range = LogRange(log: delta.log, from: 1, to: .max)
        return [
            .hello(
                PeerMessage.Hello(
                    alliance: alliance.id,
                    formatMin: 1,
                    formatMax: 3,
                    program: "hansa 1",
                    governance: delta.hash,
                    announcements: delta.header.root,
                    state: state
                )
            ),
            .refusal(.duplicate),
            .governance(known: [delta.hash], statements: alliance.enrolments.map(\.encoded), answer: true),
            .governance(known: [], statements: [], answer: false),
            .announcements([alliance.announcement(of: 1).encoded]),
            .ranges([]),
            .ranges([
                FrontierRange(upper: RangeBound(bytes: [1, 0, 7])!, content: .skip),
                FrontierRange(
                    upper: RangeBound(bytes: [2])!,
                    content: .fingerprint(RangeFingerprint(bytes: Array(1...16))!)
                ),
                FrontierRange(upper: RangeBound(bytes: [9])!, content: .entries([], answer: true)),
                FrontierRange(
                    upper: .end,
                    content: .entries([FrontierEntry(head), FrontierEntry(head)], answer: false)
                ),
            ]),
            .want(range, credit: .max),
            .deltas([]),
            .deltas([[], delta.encoded(), [1, 2, 3]]),
            .ack(head, credit: 9),
            .ack(LogHead(log: delta.log, head: Head(sequence: 0, hash: .zero)), credit: 1),
            .have([head]),
            .have([]),
            .state(state, question: 5, answered: 0),
            .state(state, question: 0, answered: .max),
            .neighbour(isUrgent: true),
            .neighbour(isUrgent: false),
            .neighbourAnswer(isAccepted: true),
            .leave,
            .shuffle(token: 9, hops: 3, nodes: [VirtualAlliance.node(0), VirtualAlliance.node(1)]),
            .shuffleReply(token: .max, nodes: []),
            .push([], hops: 0),
            .push([delta.encoded(), [1, 2]], hops: 3),
            .iHave([HopHead(head: head, hops: 0), HopHead(head: head, hops: 255)]),
            .graft(range, credit: 7),
            .graft(nil, credit: 0),
            .prune,
            .deltaRefused(log: delta.log, sequence: 3, code: 4, reason: "reason"),
            .headersWanted(range),
            .headers(log: delta.log, from: 2, [SignedHeader(header: delta.headerBytes, signature: delta.signature)]),
            .diffQuestion(.sums(token: 1)),
            .diffQuestion(.records(token: 1, bucket: 255, after: nil)),
            .diffQuestion(.records(token: 1, bucket: 0, after: RecordID(delta.hash))),
            .diffAnswer(
                PeerMessage.DiffAnswer(
                    token: 4,
                    sums: [delta.hash],
                    records: [PeerMessage.RecordHash(record: RecordID(delta.hash), hash: delta.header.root)],
                    more: true,
                    frontier: delta.hash,
                    digest: CatalogDigest(sum: delta.hash)
                )
            ),
        ]
    }

    @Test(arguments: messages)
    func `every message reads as it was written`(message: PeerMessage) throws {
        #expect(try PeerMessage(decoding: message.encoded()) == message)
    }

    @Test
    func `the hand-written Deltas equal the generated ones`() throws {
        for deltas in [[], [[]], [[1]], [[UInt8]](repeating: Array(repeating: 5, count: 200), count: 100)] {
            let hand = PeerMessage.deltas(deltas).encoded()
            var frame = Hansa_V0_Frame()
            frame.deltas.deltas = deltas.map { Data($0) }
            #expect(hand == (try frame.serializedBytes()))
            #expect(try Hansa_V0_Frame(serializedBytes: hand) == frame)
            #expect(try PeerMessage(decoding: frame.serializedBytes()) == .deltas(deltas))
            for hops: UInt32 in [0, 1, 255] {
                let push = PeerMessage.push(deltas, hops: hops).encoded()
                frame.push.deltas = deltas.map { Data($0) }
                frame.push.hops = hops
                #expect(push == (try frame.serializedBytes()))
                #expect(try PeerMessage(decoding: push) == .push(deltas, hops: hops))
            }
        }
    }

    @Test
    func `mutated and cut frames never crash, and neither does an engine that gets them`() {
        var random = SplitMix64(seed: 3)
        for message in Self.messages {
            let whole = message.encoded()
            for end in 0...whole.count { Self.feed(Array(whole[..<end])) }
            for _ in 0..<300 {
                var bytes = whole
                for _ in 0...Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                Self.feed(bytes)
            }
        }
        for _ in 0..<2_000 { Self.feed(random.bytes(Int.random(in: 0...40, using: &random))) }
    }

    private static func feed(_ bytes: [UInt8]) {
        guard let message = try? PeerMessage(decoding: bytes) else { return }
        var lone = LoneEngine(alliance: alliance)
        let link = lone.open(1)
        switch message {
        case .deltas(let deltas): _ = lone.receive(deltas: deltas, on: link)
        case .push(let deltas, let hops):
            let checked = deltas.map { ReceivedDelta(checking: $0, in: alliance) }
            lone.step(.deltas(link, checked, .pushed(hops: hops)))
        default: lone.receive(message, on: link)
        }
        _ = lone.wait(milliseconds: 1_000)
    }

    private static let alliance = VirtualAlliance(founders: 2)

    @Test
    func `more elements than a message may hold are not decoded`() {
        var writer = WireWriter()
        let inner = [UInt8](repeating: 0, count: 0) + (0..<200_000).flatMap { _ in [UInt8(10), 0] }
        writer.field(9, bytes: inner)
        #expect(throws: MalformedMessage.self) { try PeerMessage(decoding: writer.bytes) }
        let many = PeerMessage.deltas(Array(repeating: [], count: PeerMessage.deltasMax + 1)).encoded()
        #expect(throws: MalformedMessage.self) { try PeerMessage(decoding: many) }
    }

    @Test
    func `heads beyond the highest sequence are not decoded`() {
        let delta = VirtualAlliance(founders: 1).delta(by: 0, after: nil, names: [("a", "b")])
        let head = LogHead(log: delta.log, head: Head(sequence: Header.sequenceMax + 1, hash: delta.hash))
        #expect(throws: MalformedMessage.self) { try PeerMessage(decoding: PeerMessage.have([head]).encoded()) }
    }
}
