import Catalog
import DeltaLog
import Gossip
import Governance
import Simulator
import SwiftProtobuf
import Wire

/// Signs statements and announcements as a hostile member may.
struct StatementMaker {
    let alliance: VirtualAlliance
    /// The number of the node key that signs.
    let author: Int

    /// Key numbers of nodes and organizations that do not exist at the start.
    private static let phantoms = 100..<112

    private func organizationKey(_ number: Int) -> SimulatedSigner { alliance.organizationSigner(number) }

    /// Signs one more statement or announcement and adds it to the pool.
    func sign(into pool: inout HostilePool, using random: inout SplitMix64) {
        if random.isOne(in: 3) {
            guard pool.announcements.count < HostilePool.announcementsMax else { return }
            guard let bytes = announcement(using: &random) else { return }
            let isRight =
                (try? Announcement(verifying: bytes, alliance: alliance.id, cryptography: alliance.cryptography)) != nil
            if isRight || random.isOne(in: 10) { pool.announcements.append(bytes) }
            return
        }
        guard pool.statements.count < HostilePool.statementsMax, let bytes = statement(of: pool, using: &random) else {
            return
        }
        let read = try? Statement(verifying: bytes, alliance: alliance.id, cryptography: alliance.cryptography)
        if let read { pool.statementIDs.append(read.id) }
        // An invalid statement ends each session in which it is sent, so it is rare.
        if read != nil || random.isOne(in: 10) { pool.statements.append(bytes) }
    }

    private func statement(of pool: HostilePool, using random: inout SplitMix64) -> [UInt8]? {
        let own = alliance.organizationNumber(of: author)
        let phantom = Int.random(in: Self.phantoms, using: &random)
        let signed: Hansa_V0_SignedStatement?
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1:
            let name = random.isOne(in: 3) ? random.text() : "org\(Int.random(in: 0..<6, using: &random))"
            let key = organizationKey(random.pick(of: phantom, phantom, Int.random(in: 0..<5, using: &random)))
            signed = try? Statement.admission(
                name: name,
                organizationKey: key.publicKey,
                alliance: alliance.id,
                sponsor: alliance.signer(author)
            )
        case 2, 3, 4:
            // The organization is the author's own, the other hostile one, or one that may be admitted.
            let isAuthor = random.isOne(in: 3)
            let others = random.pick(of: Int.random(in: 3..<5, using: &random), phantom)
            let key = organizationKey(random.isOne(in: isAuthor ? 30 : 2) ? others : own)
            let organization = OrganizationID(firstKey: key.publicKey, hasher: alliance.cryptography)
            let node = alliance.signer(isAuthor ? author : phantom)
            if random.isOne(in: 2) {
                let oneTime = alliance.signer(200 + random.small(below: 8))
                let voucher = try? Statement.voucher(
                    for: oneTime.publicKey,
                    organization: organization,
                    alliance: alliance.id,
                    organizationKey: key
                )
                signed = try? Statement.enrolment(
                    of: node,
                    organization: organization,
                    alliance: alliance.id,
                    voucher: voucher,
                    signer: oneTime
                )
            } else {
                signed = try? Statement.enrolment(
                    of: node,
                    organization: organization,
                    alliance: alliance.id,
                    voucher: nil,
                    signer: key
                )
            }
        default:
            let maker = DeltaMaker(alliance: alliance, author: author, wallMilliseconds: 0)
            let log = LogID(author: alliance.node(author), incarnation: random.pick(of: 0, 1, random.extreme()))
            let held = UInt64(pool.chains[log]?.count ?? 0)
            let sequence = max(1, min(random.number(near: held), Header.sequenceMax))
            var one = maker.header(of: log, sequence, using: &random)
            if let chain = pool.chains[log], sequence <= UInt64(chain.count) { one = chain[Int(sequence) - 1].header }
            let other = maker.header(of: log, sequence, using: &random)
            signed = try? Statement.forkProof(
                alliance: alliance.id,
                (one.header, one.signature),
                (other.header, other.signature)
            )
        }
        guard let bytes: [UInt8] = try? signed?.serializedBytes() else { return nil }
        return random.isOne(in: 40) ? random.mutated(bytes) : bytes
    }

    private func announcement(using random: inout SplitMix64) -> [UInt8]? {
        let number = random.pick(of: author, author, Int.random(in: Self.phantoms, using: &random))
        let addresses = (0..<random.pick(of: 0, 1, 2, 16)).map { _ in
            random.pick(of: "node0:1", "node\(author):1", "x:0", "127.0.0.1:99999", String(repeating: "a", count: 300))
        }
        let bytes = try? Announcement.sign(
            addresses: addresses,
            version: min(random.extreme(), Announcement.versionMax),
            alliance: alliance.id,
            node: alliance.signer(number)
        )
        return bytes.map { random.isOne(in: 40) ? random.mutated($0) : $0 }
    }
}
