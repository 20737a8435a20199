import Catalog
import DeltaLog
import SwiftProtobuf

// Forks: finding the first two headers of a log that differ, and proving it.

extension Engine {
    /// Asks a peer whose log differs for its headers, so that they can be compared with those held here.
    mutating func inquire(_ log: LogID, upTo sequence: UInt64, on id: LinkID) {
        guard sequence > 0, forks[log] == nil, links[id]?.inquiries.insert(log).inserted == true else { return }
        askHeaders(log, upTo: sequence, on: id)
    }

    private mutating func askHeaders(_ log: LogID, upTo sequence: UInt64, on id: LinkID) {
        let from = sequence > settings.headersPerInquiry ? sequence - settings.headersPerInquiry + 1 : 1
        send(id, .headersWanted(LogRange(log: log, from: from, to: sequence)))
    }

    mutating func receivedHeadersWanted(_ range: LogRange, on id: LinkID, now: Instant) {
        guard range.from > 0, range.from <= range.to, range.to - range.from < settings.headersPerInquiry else {
            violate(id, "too many headers wanted", now: now)
            return
        }
        actions.append(.readHeaders(range, purpose: .answer(id)))
    }

    mutating func receivedHeaders(
        _ log: LogID,
        from: UInt64,
        _ headers: [SignedHeader],
        on id: LinkID,
        now: Instant
    ) {
        guard links[id]?.inquiries.contains(log) == true else {
            violate(id, "headers that nobody asked for", now: now)
            return
        }
        guard !headers.isEmpty, from > 0, UInt64(headers.count) <= settings.headersPerInquiry,
            from <= UInt64.max - UInt64(headers.count)
        else {
            links[id]?.inquiries.remove(log)
            return
        }
        let range = LogRange(log: log, from: from, to: from + UInt64(headers.count) - 1)
        actions.append(.readHeaders(range, purpose: .compare(id, with: headers)))
    }

    mutating func headersRead(_ range: LogRange, _ purpose: HeaderPurpose, _ own: [SignedHeader], now: Instant) {
        switch purpose {
        case .answer(let id): send(id, .headers(log: range.log, from: range.from, own))
        case .compare(let id, let theirs): compare(range, own: own, theirs: theirs, on: id, now: now)
        }
    }

    private mutating func compare(
        _ range: LogRange,
        own: [SignedHeader],
        theirs: [SignedHeader],
        on id: LinkID,
        now: Instant
    ) {
        guard let first = zip(own, theirs).enumerated().first(where: { $0.element.0.header != $0.element.1.header })
        else {
            // The same, or the same as far as both go: no fork shows here.
            links[id]?.inquiries.remove(range.log)
            return
        }
        if first.offset == 0, range.from > 1 {
            // The branches part further back.
            askHeaders(range.log, upTo: range.from - 1, on: id)
            if links[id] == nil { return }
        }
        prove(first.element.0, first.element.1, of: range.log, on: id, now: now)
        if !(first.offset == 0 && range.from > 1) { links[id]?.inquiries.remove(range.log) }
    }

    private mutating func prove(
        _ own: SignedHeader,
        _ theirs: SignedHeader,
        of log: LogID,
        on id: LinkID,
        now: Instant
    ) {
        guard
            let signed = try? Statement.forkProof(
                alliance: alliance,
                (own.header, own.signature),
                (theirs.header, theirs.signature)
            ),
            let bytes: [UInt8] = try? signed.serializedBytes(),
            let proof = try? Statement(verifying: bytes, alliance: alliance, cryptography: cryptography),
            case .fork(log, _) = proof.body
        else {
            // The peer's header was not validly signed: its word against the log's.
            violate(id, "headers that prove nothing", now: now)
            return
        }
        adopt([proof], except: nil, store: true, now: now)
    }
}
