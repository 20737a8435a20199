import Catalog
import DeltaLog
import Governance

// Giving peers what they ask for.

extension Engine {
    mutating func receivedAck(_ head: LogHead, credit: UInt64, on id: LinkID) {
        addCredit(credit, on: id)
        learn(head.log, head.head.sequence, on: id)
        serve(id)
    }

    /// Never more than this node would give itself, whatever a peer says: it bounds what waits to be sent to it.
    private mutating func addCredit(_ credit: UInt64, on id: LinkID) {
        guard let before = links[id]?.credit else { return }
        let (sum, isOverflow) = before.addingReportingOverflow(Int64(clamping: credit))
        let after = max(before, min(isOverflow ? Int64.max : sum, Int64(clamping: settings.creditBytes)))
        links[id]?.credit = after
    }

    mutating func receivedWant(_ range: LogRange, credit: UInt64, on id: LinkID, now: Instant) {
        guard range.from > 0, range.from <= range.to else {
            violate(id, "a want of no deltas", now: now)
            return
        }
        guard var served = links[id]?.served else { return }
        served.removeAll { $0.log == range.log }
        served.append(LogRange(log: range.log, from: range.from, to: min(range.to, Header.sequenceMax)))
        guard served.count <= settings.servedWantsMax else {
            violate(id, "too many wants", now: now)
            return
        }
        links[id]?.served = served
        links[id]?.lastUsed = now
        addCredit(credit, on: id)
        serve(id)
    }

    /// Reads the next stretch for a peer, if it waits for one and has credit. Nothing beyond a fork is given. Peers of one
    /// organization wait for each other beyond ``EngineSettings/readsPerOrganizationMax``.
    mutating func serve(_ id: LinkID) {
        guard let link = links[id], !link.isReading, link.credit > 0 else { return }
        // Most of the time the first one is there, and the others are not looked at.
        let missing = link.served.prefix { $0.from > min(limit(of: $0.log), durable[$0.log]?.sequence ?? 0) }.count
        link.served.removeFirst(missing)
        guard let range = link.served.first else { return }
        let organization = roster.organization(of: link.node)
        let reading = links.values.count { $0.isReading && roster.organization(of: $0.node) == organization }
        guard reading < settings.readsPerOrganizationMax else {
            if !waitingReads.contains(id) { waitingReads.append(id) }
            return
        }
        link.isReading = true
        let readable = LogRange(log: range.log, from: range.from, to: min(range.to, limit(of: range.log)))
        actions.append(.read(readable, link: id, bytesMax: min(UInt64(link.credit), settings.messageBytes)))
    }

    mutating func deltasRead(_ id: LinkID, _ range: LogRange, _ deltas: [StoredDelta], now: Instant) {
        defer { serveWaiting() }
        guard let link = links[id] else { return }
        link.isReading = false
        let wanted = deltas.filter { $0.sequence <= range.to }
        // A new want of the log may have come meanwhile; where it begins elsewhere, it is read anew.
        if let position = link.served.firstIndex(where: { $0.log == range.log && $0.from == range.from }) {
            let current = link.served[position]
            link.served.remove(at: position)
            if let last = wanted.last?.sequence, last < current.to {
                link.served.insert(LogRange(log: range.log, from: last + 1, to: current.to), at: position)
            }
        }
        var size = 0
        let parts = Parts(
            wanted.map(\.bytes),
            bytesMax: Int(settings.messageBytes),
            countMax: PeerMessage.deltasMax
        )
        for part in parts {
            let message = PeerMessage.deltas(part)
            size += message.encodedDeltasByteCount
            link.credit -= Int64(message.encodedDeltasByteCount)
            send(id, message)
        }
        // Everything once is every member's due, and once more where it was lost; beyond that it is paid for.
        link.peerRecord.served &+= UInt64(wanted.count)
        let due = heldDeltas.multipliedReportingOverflow(by: settings.servedTimesFree)
        if !due.overflow, link.peerRecord.served > due.partialValue &+ settings.servedFree {
            charge(Price.lookup + Price.sent(size), to: id, now: now)
        }
        serve(id)
    }

    /// Serves those that waited for others of their organization.
    private mutating func serveWaiting() {
        guard !waitingReads.isEmpty else { return }
        let waiting = waitingReads
        waitingReads = []
        for id in waiting { serve(id) }
    }
}

/// Cuts what is to be sent into parts of about so many bytes, so that each fits into a frame.
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
