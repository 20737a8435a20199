import Catalog
import DeltaLog
import Foundation
import Glibc
import Gossip
import Governance
import PeerService
import Simulator
import Store
import TestSupport
import Testing

/// The worst-case cost of each peer message for a node, compared with the charge to its organization: the table of
/// Docs/Decisions.md. One unit is priced at a thousand microseconds of work, and no message may cost more than a
/// millisecond of processor time per unit.
@Suite(.serialized)
final class MessageCostTests {
    /// A row of the table.
    struct Row {
        let name: String
        let bytesIn: Int
        let bytesOut: Int
        let milliseconds: Double
        let units: Double

        var text: String {
            let amplification = bytesIn > 0 ? Double(bytesOut) / Double(bytesIn) : 0
            return name.padding(toLength: 44, withPad: " ", startingAt: 0)
                + String(format: "%9d %9d %8.2f %9.3f %9.3f", bytesIn, bytesOut, amplification, milliseconds, units)
        }
    }

    private static let nodeCount = 1_000
    private static let recordCount = 100_000

    private let alliance = VirtualAlliance(founders: 100, nodes: nodeCount, cryptography: .system)
    private let folder: TemporaryFolder
    private let store: Store
    private var log: [VerifiedDelta] = []
    private var box: EngineBox
    private var milliseconds: UInt64 = 1_000
    private var nextLink: UInt64 = 0
    private let announcements: [Announcement]

    init() throws {
        let alliance = alliance
        folder = try TemporaryFolder()
        store = try Store.create(in: folder.path)
        let applier = DeltaApplier(alliance: alliance.id, hasher: alliance.cryptography)
        for part in 0..<(Self.recordCount / 1_000) {
            let names = (0..<1_000).map { (localID: "r\(part)-\($0)", name: "record \(part) \($0)") }
            log.append(alliance.delta(by: 1, after: log.last?.head, milliseconds: UInt64(part + 1), names: names))
        }
        for delta in log { _ = try store.write { try $0.apply(delta, applier: applier) } }
        let last = log[log.count - 1].head
        let frontier = (0..<Self.nodeCount).map { number in
            let head = number == 1 ? last : Head(sequence: 10, hash: alliance.node(number).hash)
            return (LogID(author: alliance.node(number), incarnation: 1), head)
        }
        var set = AnnouncementSet()
        announcements = (0..<Self.nodeCount).map { [alliance] in alliance.announcement(of: $0) }
        for announcement in announcements { _ = set.insert(announcement) }
        var settings = EngineSettings()
        // No request is free.
        settings.servedTimesFree = 0
        settings.servedFree = 0
        box = EngineBox(
            Engine(
                settings: settings,
                charter: alliance.charter,
                node: alliance.node(0),
                program: "test",
                governance: alliance.governance(alliance.enrolments),
                announcements: set,
                frontier: Frontier(Dictionary(uniqueKeysWithValues: frontier)),
                summary: StoredSummary(digest: CatalogDigest(), records: UInt64(Self.recordCount)),
                cryptography: alliance.cryptography,
                random: SplitMix64(seed: 1)
            )
        )
        step(.timer)
        // As many neighbours and short sessions as in a large alliance.
        for number in 2..<14 { _ = open(number) }
    }

    // MARK: - The node

    @discardableResult
    private func step(_ input: EngineInput) -> [EngineAction] {
        let now = Instant(nanoseconds: milliseconds * 1_000_000)
        return box.engine.step(input, now: now, wallMilliseconds: milliseconds)
    }

    private func hello(_ change: (inout PeerMessage.Hello) -> Void = { _ in }) -> PeerMessage {
        var hello = PeerMessage.Hello(
            alliance: alliance.id,
            program: "peer",
            governance: box.engine.governance.fingerprint(hasher: alliance.cryptography),
            announcements: box.engine.announcements.fingerprint(hasher: alliance.cryptography),
            state: StateSummary(
                frontier: box.engine.fingerprint,
                digest: CatalogDigest(),
                records: 0,
                wallMilliseconds: 0
            )
        )
        change(&hello)
        return .hello(hello)
    }

    private func connect(_ number: Int) -> LinkID {
        nextLink += 1
        let link = LinkID(nextLink)
        step(.linkUp(link, node: alliance.node(number), dialled: false))
        return link
    }

    private func open(_ number: Int, isUrgent: Bool = false) -> LinkID {
        let link = connect(number)
        step(.message(link, hello()))
        step(.message(link, .neighbour(isUrgent: isUrgent)))
        return link
    }

    /// Checks a delta as a node does before its engine sees it.
    private func check(_ bytes: [UInt8]) -> ReceivedDelta {
        do throws(DeltaRefusal) {
            if let (header, hash) = try? VerifiedDelta.head(of: bytes, hasher: alliance.cryptography),
                box.engine.holds(header.log, Head(sequence: header.sequence, hash: hash))
            {
                return .known(log: header.log, sequence: header.sequence)
            }
            let delta = try VerifiedDelta(
                verifying: bytes[...],
                alliance: alliance.id,
                cryptography: alliance.cryptography
            )
            return .verified(delta)
        } catch {
            let header = try? VerifiedDelta.head(of: bytes, hasher: alliance.cryptography).header
            return .refused(log: header?.log, sequence: header?.sequence ?? 0, error)
        }
    }

    /// Handles a frame completely, including the answers.
    ///
    /// - Returns: the bytes of the answers' frames.
    private func handle(_ frame: [UInt8], on link: LinkID) throws -> Int {
        guard let message = try? PeerMessage(decoding: frame) else {
            step(.malformed(link, "malformed"))
            return 0
        }
        var actions: [EngineAction]
        switch message {
        case .deltas where !box.engine.expectsDeltas(on: link):
            actions = step(.unaskedDeltas(link, byteCount: frame.count))
        case .deltas(let deltas): actions = step(.deltas(link, deltas.map(check), .asked(byteCount: frame.count)))
        case .push(let deltas, let hops): actions = step(.deltas(link, deltas.map(check), .pushed(hops: hops)))
        default: actions = step(.message(link, message))
        }
        var bytesOut = 0
        while !actions.isEmpty {
            var next: [EngineAction] = []
            for action in actions {
                switch action {
                case .send(let to, let answer): if to == link { bytesOut += answer.encoded().count }
                case .read(let range, let to, let bytesMax):
                    let deltas = try store.read { reading in
                        try reading.deltas(of: range.log, from: range.from, bytesMax: Int(clamping: bytesMax))
                    }.map { Gossip.StoredDelta(sequence: $0.sequence, bytes: $0.bytes) }
                    next += step(.deltasRead(to, range, deltas))
                case .readHeaders(let range, let purpose):
                    let headers = try store.read { try $0.headers(of: range.log, range.from...range.to) }
                        .map { SignedHeader(header: $0.header, signature: $0.signature) }
                    next += step(.headersRead(range, purpose: purpose, headers))
                case .answerDiff(let question, let to):
                    let answer = try store.read {
                        try RecordComparison.answer(question, reading: $0, hasher: alliance.cryptography)
                    }
                    next += step(.diffAnswered(to, answer))
                default: break
                }
            }
            actions = next
        }
        return bytesOut
    }

    /// The processor time of this thread in milliseconds.
    private static var processorMilliseconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1_000_000
    }

    /// Handles frames of one kind and returns the costs of the median one.
    private func measure(_ name: String, on link: LinkID, _ messages: [PeerMessage]) throws -> Row {
        try measure(name, on: link, frames: messages.map { $0.encoded() })
    }

    private func measure(_ name: String, on link: LinkID, frames: [[UInt8]]) throws -> Row {
        var rows: [Row] = []
        for frame in frames {
            // Work that is due by then is not part of the message's cost.
            milliseconds += 300
            step(.timer)
            let before = box.engine.charged(on: link) ?? 0
            let start = Self.processorMilliseconds
            let bytesOut = try handle(frame, on: link)
            let time = Self.processorMilliseconds - start
            let charged = (box.engine.charged(on: link) ?? before) - before
            rows.append(
                Row(
                    name: name,
                    bytesIn: frame.count,
                    bytesOut: bytesOut,
                    milliseconds: time,
                    units: Double(charged) / 1000
                )
            )
        }
        return rows.sorted { $0.milliseconds < $1.milliseconds }[rows.count / 2]
    }

    /// A new session with a node that has other statements, announcements and logs.
    private func measureSession() throws -> Row {
        milliseconds += 300
        step(.timer)
        let frame = hello {
            $0.governance = .zero
            $0.announcements = .zero
            $0.state.frontier = .zero
        }.encoded()
        let start = Self.processorMilliseconds
        let link = connect(50)
        let bytesOut = try handle(frame, on: link)
        let time = Self.processorMilliseconds - start
        return Row(
            name: "hello: a session with nothing in common",
            bytesIn: frame.count,
            bytesOut: bytesOut,
            milliseconds: time,
            units: Double(box.engine.charged(on: link) ?? 0) / 1000
        )
    }

    // MARK: - The table

    private func random(_ seed: UInt64) -> SplitMix64 { SplitMix64(seed: seed) }

    private func heads(_ count: Int, seed: UInt64) -> [LogHead] {
        var random = random(seed)
        return (0..<count).map { index in
            let author = alliance.node(20 + index % 900)
            return LogHead(
                log: LogID(author: author, incarnation: random.next()),
                head: Head(sequence: 1 + random.next() % 1_000, hash: author.hash)
            )
        }
    }

    private func announcements(versions: Range<UInt64>) -> [[[UInt8]]] {
        versions.map { version in
            (0..<512).map { alliance.announcement(of: 3 + $0 % 10, version: version * 1_000 + UInt64($0)).encoded }
        }
    }

    @Test
    func `no message costs more than a millisecond for each unit that it is charged`() throws {
        var rows: [Row] = []
        let link = open(20, isUrgent: true)
        let ids = (0..<65_536).map { index -> Hash256 in
            var random = random(UInt64(index))
            return Hash256(random.next(), random.next(), random.next(), random.next())
        }
        rows.append(
            try measure(
                "governance: 65,536 ids known",
                on: link,
                [.governance(known: ids, statements: [], answer: false)]
            )
        )
        rows.append(
            try measure(
                "governance: one id known",
                on: link,
                (0..<5).map { _ in .governance(known: [ids[0]], statements: [], answer: false) }
            )
        )
        rows.append(
            try measure(
                "governance: answer wanted",
                on: link,
                (0..<5).map { _ in .governance(known: [], statements: [], answer: true) }
            )
        )
        let held = alliance.enrolments.prefix(256).map(\.encoded)
        rows.append(
            try measure(
                "governance: 256 statements held",
                on: link,
                (0..<5).map { _ in .governance(known: [], statements: held, answer: false) }
            )
        )
        let fresh = (0..<3).map { part in
            (0..<256).map { alliance.enrolment(of: 2_000 + part * 700 + $0, at: 5).encoded }
        }
        rows.append(
            try measure(
                "governance: 256 new statements",
                on: link,
                fresh.map { .governance(known: [], statements: $0, answer: false) }
            )
        )
        let unauthenticated = (0..<3).map { part in
            (0..<256).map { alliance.enrolment(of: 10_000 + part * 700 + $0, at: 500 + $0).encoded }
        }
        rows.append(
            try measure(
                "governance: 256 orphans",
                on: link,
                unauthenticated.map { .governance(known: [], statements: $0, answer: false) }
            )
        )
        rows.append(
            try measure(
                "announcements: 512 new versions",
                on: link,
                announcements(versions: 5..<8).map { .announcements($0) }
            )
        )
        let old = announcements.prefix(512).map(\.encoded)
        rows.append(
            try measure("announcements: 512 held or older", on: link, (0..<3).map { _ in .announcements(old) })
        )

        let entries = FrontierRange(
            upper: .end,
            content: .entries(heads(10_000, seed: 1).map(FrontierEntry.init).sorted { $0.log < $1.log }, answer: true)
        )
        rows.append(try measure("ranges: 10,000 entries", on: link, (0..<3).map { _ in .ranges([entries]) }))
        let opening = RangeReconciliation.opening(FrontierTree(seed: 9), hasher: alliance.cryptography)
        rows.append(try measure("ranges: an opening of nothing", on: link, (0..<5).map { _ in .ranges(opening) }))
        let fingerprints = Self.bounds(4_096).map { bound in
            FrontierRange(
                upper: bound,
                content: .fingerprint(RangeFingerprint(bytes: [UInt8](repeating: 7, count: 16))!)
            )
        }
        rows.append(try measure("ranges: 4,096 fingerprints", on: link, (0..<5).map { _ in .ranges(fingerprints) }))
        rows.append(try measure("have: 10,000 heads", on: link, (0..<3).map { .have(heads(10_000, seed: 10 + $0)) }))
        rows.append(
            try measure(
                "iHave: 10,000 heads",
                on: link,
                (0..<3).map { seed in
                    .iHave(heads(10_000, seed: 20 + seed).map { HopHead(head: $0, hops: 255) })
                }
            )
        )
        let range = LogRange(log: log[0].log, from: 1, to: .max >> 1)
        rows.append(
            try measure(
                "want: of what is not held",
                on: link,
                (0..<5).map { _ in
                    .want(LogRange(log: LogID(author: alliance.node(9), incarnation: 99), from: 1, to: 5), credit: 0)
                }
            )
        )
        // A link that was served often enough to use up its free share.
        let greedy = open(21)
        for _ in 0..<40 { _ = try handle(PeerMessage.want(range, credit: .max).encoded(), on: greedy) }
        rows.append(
            try measure(
                "want: served again, 4 MiB of credit",
                on: greedy,
                (0..<5).map { _ in .want(range, credit: .max) }
            )
        )
        rows.append(
            try measure(
                "ack",
                on: link,
                (0..<9).map { _ in .ack(LogHead(log: log[0].log, head: log[0].head), credit: .max) }
            )
        )
        rows.append(
            try measure(
                "state: a question",
                on: link,
                (1..<9).map {
                    .state(
                        StateSummary(frontier: .zero, digest: CatalogDigest(), records: 1, wallMilliseconds: .max),
                        question: $0,
                        answered: 0
                    )
                }
            )
        )
        rows.append(
            try measure(
                "deltaRefused",
                on: link,
                (1..<9).map {
                    .deltaRefused(
                        log: LogID(author: alliance.node(0), incarnation: 1),
                        sequence: $0,
                        code: 1,
                        reason: String(repeating: "x", count: 500)
                    )
                }
            )
        )
        rows.append(
            try measure(
                "headersWanted: 256",
                on: link,
                (0..<5).map { _ in .headersWanted(LogRange(log: log[0].log, from: 1, to: 256)) }
            )
        )
        rows.append(try measure("diffQuestion: sums", on: link, (1..<4).map { .diffQuestion(.sums(token: $0)) }))
        rows.append(
            try measure(
                "diffQuestion: a bucket",
                on: link,
                (1..<4).map { .diffQuestion(.records(token: $0, bucket: 7, after: nil)) }
            )
        )
        let records = (0..<10_000).map { index in
            PeerMessage.RecordHash(record: RecordID(ids[index]), hash: ids[index])
        }
        rows.append(
            try measure(
                "diffAnswer: nobody asked, 10,000 records",
                on: link,
                (1..<4).map {
                    .diffAnswer(
                        PeerMessage.DiffAnswer(token: $0, records: records, frontier: .zero, digest: CatalogDigest())
                    )
                }
            )
        )
        rows.append(try measure("neighbour, urgent", on: link, (0..<9).map { _ in .neighbour(isUrgent: true) }))
        rows.append(
            try measure(
                "shuffle: 64 keys",
                on: link,
                (1..<9).map { token in
                    .shuffle(token: token, hops: 6, nodes: (0..<64).map { alliance.node(100 + $0) })
                }
            )
        )
        let small = alliance.log(by: 30, incarnation: 7, count: 200)
        rows.append(
            try measure(
                "push: 200 deltas that leave a gap",
                on: link,
                (0..<3).map { _ in .push(small.dropFirst().map { $0.encoded() }, hops: 255) }
            )
        )
        let known = alliance.log(by: 31, count: 5).map { $0.encoded() }
        rows.append(
            try measure(
                "push: 200 deltas held",
                on: link,
                (0..<3).map { _ in .push((0..<200).map { known[$0 % 5] }, hops: 255) }
            )
        )
        let idle = open(40)
        rows.append(
            try measure(
                "deltas: unasked, 1 MiB",
                on: idle,
                (0..<3).map { _ in
                    .deltas(Array(repeating: [UInt8](repeating: 1, count: 1_048), count: 1_000))
                }
            )
        )
        rows.append(try measure("graft of a tree's edge", on: link, (0..<9).map { _ in .graft(nil, credit: .max) }))
        rows.append(try measure("prune", on: link, (0..<9).map { _ in .prune }))
        rows.append(try measureSession())
        print("message                                         bytes in bytes out    ratio    ms CPU     units")
        for row in rows { print(row.text) }
        let isOpen = box.engine.charged(on: link) != nil
        #expect(isOpen, "the session has ended")
        for row in rows { #expect(row.milliseconds <= row.units, "\(row.text)") }
    }

    /// Ascending bounds; the last one is the end.
    private static func bounds(_ count: Int) -> [RangeBound] {
        (1..<count).compactMap { index in
            let place = index * 65_536 / count
            let bytes = [UInt8(place >> 8), UInt8(place & 0xFF)]
            return RangeBound(bytes: bytes[1] == 0 ? [bytes[0]] : bytes)
        } + [.end]
    }
}
