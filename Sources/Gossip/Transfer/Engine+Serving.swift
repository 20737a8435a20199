import Catalog
import DeltaLog
import Governance

// Service: answers to the requests of peers.

extension Engine {
    mutating func receivedAck(_ head: LogHead, credit: UInt64, on id: LinkID) {
        links[id]?.serving.add(credit: credit, settings: settings)
        learn(head.log, head.head.sequence, on: id)
        serve(id)
    }

    mutating func receivedWant(_ range: LogRange, credit: UInt64, on id: LinkID, now: Instant) {
        guard range.from > 0, range.from <= range.to else {
            violate(id, "a want of no deltas", now: now)
            return
        }
        guard let link = links[id] else { return }
        guard link.serving.add(range, settings: settings) else {
            violate(id, "too many wants", now: now)
            return
        }
        link.liveness.lastUsed = now
        link.serving.add(credit: credit, settings: settings)
        serve(id)
    }

    /// Reads the next range for a peer that waits for one and has credit. Nothing beyond a fork is sent. At most
    /// ``EngineSettings/readsPerOrganizationMax`` peers of one organization are served at a time; the others wait.
    mutating func serve(_ id: LinkID) {
        guard let link = links[id],
            let range = link.serving.next(held: { log in
                min(membership.limit(of: log), frontier.durable[log]?.sequence ?? 0)
            })
        else { return }
        let organization = roster.organization(of: link.node)
        let reading = links.values.count { $0.serving.isReading && roster.organization(of: $0.node) == organization }
        guard reading < settings.readsPerOrganizationMax else {
            transfer.waitToRead(id)
            return
        }
        link.serving.beginReading()
        let to = min(range.to, membership.limit(of: range.log))
        let bytesMax = min(UInt64(link.serving.credit), settings.messageBytes)
        actions.append(.read(LogRange(log: range.log, from: range.from, to: to), link: id, bytesMax: bytesMax))
    }

    mutating func deltasRead(_ id: LinkID, _ range: LogRange, _ deltas: [StoredDelta], now: Instant) {
        defer { for id in transfer.takeWaitingReads() { serve(id) } }
        guard let link = links[id] else { return }
        let wanted = deltas.filter { $0.sequence <= range.to }
        link.serving.endReading(range, last: wanted.last?.sequence)
        var size = 0
        let parts = Parts(
            wanted.map(\.bytes),
            bytesMax: Int(settings.messageBytes),
            countMax: PeerMessage.deltasMax
        )
        for part in parts {
            let message = PeerMessage.deltas(part)
            size += message.encodedDeltasByteCount
            link.serving.take(byteCount: message.encodedDeltasByteCount)
            send(id, message)
        }
        // Every member may have each delta once for free, and once more after a loss; further deltas are charged.
        link.peerRecord.served &+= UInt64(wanted.count)
        let due = frontier.heldDeltas.multipliedReportingOverflow(by: settings.servedTimesFree)
        if !due.overflow, link.peerRecord.served > due.partialValue &+ settings.servedFree {
            charge(Price.lookup + Price.sent(size), to: id, now: now)
        }
        serve(id)
    }
}

/// Splits elements into parts of about `bytesMax` bytes, so that each part fits into a frame.
struct Parts: Sequence, IteratorProtocol {
    private let items: [[UInt8]]
    private let bytesMax: Int
    private let countMax: Int
    private var position = 0

    /// - Parameter countMax: The most items in one part.
    init(_ items: [[UInt8]], bytesMax: Int, countMax: Int) {
        self.items = items
        self.bytesMax = bytesMax
        self.countMax = countMax
    }

    mutating func next() -> [[UInt8]]? {
        guard position < items.count else { return nil }
        var size = items[position].count
        var end = position + 1
        while end < items.count, end - position < countMax, size + items[end].count <= bytesMax {
            size += items[end].count
            end += 1
        }
        defer { position = end }
        return Array(items[position..<end])
    }
}
