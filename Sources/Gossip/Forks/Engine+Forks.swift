import Catalog
import DeltaLog
import Governance
import SwiftProtobuf

// Forks: the search for the first two headers of a log that differ, and their proof.

extension Engine {
    /// Asks a peer whose log differs for its headers, to compare them with those held here. It also searches below a
    /// fork that is already proven: that fork may not be the first.
    mutating func inquire(_ log: LogID, upTo sequence: UInt64, on id: LinkID) {
        guard sequence > 0, sequence < forks[log] ?? UInt64.max, let link = links[id], link.inquiries[log] == nil,
            link.inquiries.count < settings.inquiriesMax
        else { return }
        askHeaders(headerRange(of: log, upTo: sequence), suspects: nil, on: id)
    }

    private func headerRange(of log: LogID, upTo sequence: UInt64) -> LogRange {
        let from = sequence > settings.headersPerInquiry ? sequence - settings.headersPerInquiry + 1 : 1
        return LogRange(log: log, from: from, to: sequence)
    }

    private mutating func askHeaders(
        _ range: LogRange,
        suspects: (own: SignedHeader, theirs: SignedHeader)?,
        on id: LinkID
    ) {
        links[id]?.inquiries[range.log] = Inquiry(asked: range, suspects: suspects)
        send(id, .headersWanted(range))
    }

    mutating func receivedHeadersWanted(_ range: LogRange, on id: LinkID, now: Instant) {
        guard range.from > 0, range.from <= range.to, range.to - range.from < settings.headersPerInquiry,
            range.to <= Header.sequenceMax
        else {
            violate(id, "too many headers wanted", now: now)
            return
        }
        lookUp(.readHeaders(range, purpose: .answer(id)), for: id, now: now)
    }

    mutating func receivedHeaders(
        _ log: LogID,
        from: UInt64,
        _ headers: [SignedHeader],
        on id: LinkID,
        now: Instant
    ) {
        guard let inquiry = links[id]?.inquiries[log], !inquiry.isComparing, from == inquiry.asked.from,
            UInt64(headers.count) <= inquiry.asked.to - inquiry.asked.from + 1
        else {
            violate(id, "headers that nobody asked for", now: now)
            return
        }
        guard !headers.isEmpty else {
            endInquiry(log, on: id, now: now)
            return
        }
        links[id]?.inquiries[log]?.isComparing = true
        let range = LogRange(log: log, from: from, to: from + UInt64(headers.count) - 1)
        actions.append(.readHeaders(range, purpose: .compare(id, with: headers)))
    }

    mutating func headersRead(_ range: LogRange, _ purpose: HeaderPurpose, _ own: [SignedHeader], now: Instant) {
        switch purpose {
        case .answer(let id):
            lookedUp(for: id)
            // Headers that cite many logs are long; headers beyond the size are requested again.
            var size: UInt64 = 0
            let fitting = own.prefix { header in
                defer { size += UInt64(header.header.count + header.signature.count + 16) }
                return size < settings.messageBytes
            }
            charge(UInt64(fitting.count) * Price.header + Price.sent(Int(size)), to: id, now: now)
            send(id, .headers(log: range.log, from: range.from, Array(fitting)))
        case .compare(let id, let theirs): compare(range, own: own, theirs: theirs, on: id, now: now)
        case .cut: cutRead(range, own, now: now)
        }
    }

    private mutating func compare(
        _ range: LogRange,
        own: [SignedHeader],
        theirs: [SignedHeader],
        on id: LinkID,
        now: Instant
    ) {
        let inquiry = links[id]?.inquiries[range.log] ?? Inquiry(asked: range)
        let pairs = Array(zip(own, theirs))
        guard let offset = pairs.firstIndex(where: { $0.0 != $0.1 }) else {
            let next = range.from + UInt64(pairs.count)
            if inquiry.suspects == nil, !pairs.isEmpty, next <= inquiry.asked.to {
                askHeaders(LogRange(log: range.log, from: next, to: inquiry.asked.to), suspects: nil, on: id)
            } else {
                settle(inquiry.suspects, of: range.log, on: id, now: now)
            }
            return
        }
        let suspects = (own: pairs[offset].0, theirs: pairs[offset].1)
        guard offset == 0, range.from > 1 else {
            settle(suspects, of: range.log, on: id, now: now)
            return
        }
        // The branches part here or further back. The known difference is proven at once, the first one when it is
        // found.
        if forks[range.log] == nil, !prove(suspects, of: range.log, on: id, now: now) { return }
        askHeaders(headerRange(of: range.log, upTo: range.from - 1), suspects: suspects, on: id)
    }

    /// Ends a search: the lowest headers found to differ make the proof.
    private mutating func settle(
        _ suspects: (own: SignedHeader, theirs: SignedHeader)?,
        of log: LogID,
        on id: LinkID,
        now: Instant
    ) {
        if let suspects, !prove(suspects, of: log, on: id, now: now) { return }
        endInquiry(log, on: id, now: now)
    }

    private mutating func endInquiry(_ log: LogID, on id: LinkID, now: Instant) {
        links[id]?.inquiries[log] = nil
        // A peer whose heads differ and whose headers do not contradicts itself; the back-off prevents a loop of
        // requests.
        if forks[log] == nil { backOff(log, on: id, for: settings.backOffTime, now: now) }
    }

    /// False if the peer's headers prove nothing.
    private mutating func prove(
        _ suspects: (own: SignedHeader, theirs: SignedHeader),
        of log: LogID,
        on id: LinkID,
        now: Instant
    ) -> Bool {
        let (own, theirs) = suspects
        do {
            let signed = try Statement.forkProof(
                alliance: alliance,
                (own.header, own.signature),
                (theirs.header, theirs.signature)
            )
            let bytes: [UInt8] = try signed.serializedBytes()
            let proof = try Statement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            guard case .fork(log, _) = proof.body else { throw StatementRefusal.malformed }
            adopt([proof], except: nil, store: true, now: now)
            return true
        } catch {
            // The signature of the peer's header was not valid.
            violate(id, "headers that prove nothing", now: now)
            return false
        }
    }
}
