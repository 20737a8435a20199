import Catalog
import DeltaLog
import Governance
import Replica
import Store
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// A node whose own log has a fork proof.
@Suite("A forked own log") struct ForkedLogTests {
    private let scratch: TemporaryFolder
    private let folder: DataFolder

    init() async throws {
        scratch = try TemporaryFolder()
        folder = DataFolder(scratch("node"))
        _ = try await NodeFolder.found(
            alliance: "A",
            organization: "O",
            settings: Settings(listen: "127.0.0.1:0"),
            protection: .none,
            in: folder
        )
    }

    private func write(_ id: String, to replica: Replica) async throws -> VerifiedDelta {
        let identity = RecordIdentity(kind: "need", localID: id)
        let draft = Planner.upsert(
            identity,
            key: identity.key(replica.cryptography),
            over: nil,
            changes: [(FieldPath(unchecked: "name/und"), .set(.text(id)))],
            settling: .settles
        )
        let outcome = try await replica.ownLog.commit { _ in (draft.map { [$0] } ?? [], { _ in }) }
        return try #require(outcome.deltas.first)
    }

    /// A proof that a delta of this node has a twin.
    private func proof(of delta: VerifiedDelta, _ replica: Replica) throws -> Statement {
        let header = delta.header
        let twin = Header(
            alliance: header.alliance,
            log: header.log,
            sequence: header.sequence,
            previous: header.previous,
            root: replica.cryptography.hash([1]),
            count: 1,
            stamp: header.stamp,
            organization: header.organization
        ).encoded()
        let signed = try Statement.forkProof(
            alliance: replica.alliance,
            (delta.headerBytes, delta.signature),
            (twin, try replica.signer.sign(SignatureTag.header.message(twin)))
        )
        let bytes: [UInt8] = try signed.serializedBytes()
        return try Statement(verifying: bytes, alliance: replica.alliance, cryptography: replica.cryptography)
    }

    /// Performs all relimit steps and returns their number.
    private func relimit(_ replica: Replica) async throws -> Int {
        var count = 0
        while try await replica.relimitNext(where: { _ in true }) != nil { count += 1 }
        return count
    }

    @Test("Deltas behind the fork stop counting, also after a restart, and the next write begins a new log")
    func own() async throws {
        // The process ends before it acts on the proof.
        let (log, sequence, before, after) = try await fork()
        let replica = try Replica(opening: folder)
        #expect(replica.forks == [log: sequence])
        #expect(try replica.totals() == after)
        #expect(try await relimit(replica) == 1)
        #expect(try replica.totals() == before)
        #expect(try await relimit(replica) == 0)
        let third = try await write("two", to: replica)
        #expect(third.log != log)
        #expect(try replica.totals().records == before.records + 1)
        #expect(try replica.verify(deep: true) { _ in }.findings == [])
        replica.close()
    }

    /// Writes to the own log, and stores a proof that the last delta has a twin. Returns the totals before and after
    /// that delta.
    private func fork() async throws -> (LogID, UInt64, Replica.StoredTotals, Replica.StoredTotals) {
        let replica = try Replica(opening: folder)
        let first = try await write("one", to: replica)
        let before = try replica.totals()
        let second = try await write("two", to: replica)
        #expect(second.log == first.log)
        #expect(try await relimit(replica) == 0)
        let proof = try proof(of: second, replica)
        try await replica.write { try $0.add([proof]) }
        let after = try replica.totals()
        #expect(after.digest != before.digest)
        replica.close()
        return (first.log, second.header.sequence, before, after)
    }

    @Test("A bound whose proof was lost is removed")
    func lost() async throws {
        let replica = try Replica(opening: folder)
        let delta = try await write("one", to: replica)
        let totals = try replica.totals()
        let applier = replica.applier
        #expect(try await replica.write { try applier.relimit(delta.log, to: 0, operationsMax: .max, in: &$0) })
        #expect(try replica.totals().records < totals.records)
        #expect(try await relimit(replica) == 1)
        #expect(try replica.totals() == totals)
        replica.close()
    }
}
