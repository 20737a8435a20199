import Catalog
import DeltaLog
import Foundation
import GRDB
import Simulator
import Store
import Synchronization
import TestSupport
import Testing

@Suite("Store") struct StoreTests {
    let folder = ScratchFolder()
    let history = RandomHistory(seed: 7, steps: 150)

    private func filled() throws -> Store {
        let store = try Store.create(in: folder.path)
        try store.apply(history.deltas, of: history)
        return store
    }

    private var organization: (NodeKey) -> OrganizationID? { { [history] in history.organizations[$0] } }

    /// Runs SQL on the file of a closed store.
    private func tamper(_ body: (Database) throws -> Void) throws {
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        try queue.inDatabase(body)
        try queue.close()
    }

    // MARK: - Opening

    @Test("a long log is copied back when nothing is written")
    func idleCheckpoint() throws {
        let store = try filled()
        let before = store.fileSizes()
        try #require(before.log > 256 * 4096)
        try store.checkpoint(ifIdleFor: .seconds(3600))
        #expect(store.fileSizes().database == before.database)
        try store.checkpoint(ifIdleFor: .zero)
        #expect(store.fileSizes().database > before.database)
        #expect(try store.verify(deep: true, applier: history.applier).isSound)
    }

    @Test("synchronous is FULL when created and when opened again")
    func synchronous() throws {
        let store = try Store.create(in: folder.path)
        #expect(try store.synchronous() == 2)
        try store.close()
        let again = try Store.open(folder: folder.path)
        #expect(try again.synchronous() == 2)
    }

    @Test("written data is there after closing and opening")
    func reopening() throws {
        let store = try filled()
        let summary = try store.summary()
        try store.write { try $0.setMeta("charter", [1, 2, 3]) }
        try store.close()
        let wal = try? FileManager.default.attributesOfItem(atPath: folder.path + "/" + Store.fileName + "-wal")
        #expect((wal?[.size] as? Int ?? 0) == 0)
        let again = try Store.open(folder: folder.path)
        #expect(try again.summary() == summary)
        #expect(try again.summary() == StorageConformance.expectedSummary(history))
        #expect(try again.read { try $0.meta("charter") } == [1, 2, 3])
        // Further deltas continue from there.
        let more = RandomHistory(seed: 8, steps: 50)
        try again.apply(more.deltas, of: more)
    }

    @Test("folders that hold no directory, another file or another format are refused by name")
    func refusedFolders() throws {
        func code(_ body: () throws -> Store) -> StoreError.Code? {
            do {
                _ = try body()
                return nil
            } catch {
                return (error as? StoreError)?.code
            }
        }
        #expect(code { try Store.open(folder: folder.path) } == .notADataFolder)
        #expect(code { try Store.create(in: folder.path + "/none") } == .readOnly)
        try Store.create(in: folder.path).close()
        #expect(code { try Store.create(in: folder.path) } == .alreadyExists)
        try tamper { try $0.execute(sql: "PRAGMA user_version = 99") }
        #expect(code { try Store.open(folder: folder.path) } == .newerFormat)
        try tamper { try $0.execute(sql: "PRAGMA user_version = 0") }
        #expect(code { try Store.open(folder: folder.path) } == .olderFormat)
        try tamper { try $0.execute(sql: "PRAGMA application_id = 5") }
        #expect(code { try Store.open(folder: folder.path) } == .notADataFolder)
        try Data(repeating: 0x55, count: 10_000).write(to: URL(fileURLWithPath: folder.path + "/" + Store.fileName))
        #expect(code { try Store.open(folder: folder.path) } == .corrupt)
    }

    @Test("a store that was closed answers with an error")
    func closed() throws {
        let store = try filled()
        try store.close()
        #expect(throws: StoreError.self) { try store.read { try $0.frontier() } }
        #expect(throws: StoreError.self) { try store.write { try $0.setMeta("a", []) } }
    }

    // MARK: - Transactions

    @Test("a transaction that throws leaves nothing behind, in the file or in memory")
    func rollback() throws {
        struct Stop: Error {}
        let store = try Store.create(in: folder.path)
        let half = history.deltas.count / 2
        try store.apply(Array(history.deltas.prefix(half)), of: history)
        let before = try store.summary()
        for count in [1, 5, history.deltas.count - half] {
            #expect(throws: Stop.self) {
                try store.write { transaction in
                    for delta in history.deltas.dropFirst(half).prefix(count) {
                        _ = try transaction.apply(delta, applier: history.applier)
                    }
                    throw Stop()
                }
            }
            #expect(try store.summary() == before)
        }
        try store.apply(Array(history.deltas.dropFirst(half)), of: history)
        #expect(try store.summary() == StorageConformance.expectedSummary(history))
        #expect(try verify(store).isSound)
    }

    private func verify(_ store: Store) throws -> VerifyReport {
        try store.verify(deep: true, applier: history.applier)
    }

    @Test("a batch distinguishes duplicates, gaps and unknown authors")
    func outcomes() throws {
        let store = try Store.create(in: folder.path)
        let log = history.deltas[0].log
        let own = history.deltas.filter { $0.log == log }
        let outcomes = try store.applyBatch(
            [own[1], own[0], own[0]],
            organization: organization,
            applier: history.applier
        ).outcomes
        #expect(outcomes[0] == .gap && outcomes[2] == .duplicate)
        let refused = try store.applyBatch([own[1]], organization: { _ in nil }, applier: history.applier)
        #expect(refused.outcomes == [.refused(.unknownAuthor)])
        // A delta is also refused if its header names another organization than the roster.
        let other = OrganizationID(Hash256(9, 9, 9, 9))
        let elsewhere = try store.applyBatch([own[1]], organization: { _ in other }, applier: history.applier)
        #expect(elsewhere.outcomes == [.refused(.unknownAuthor)])
        #expect(try store.read { try $0.head(of: log) } == own[0].head)
    }

    @Test("readers see committed data while a writer works")
    func snapshots() throws {
        let store = try filled()
        let before = try store.summary()
        try store.write { transaction in
            try transaction.setMeta("x", [9])
            #expect(try transaction.meta("x") == [9])
            let seen = try DispatchQueue(label: "reader").sync { try store.read { try $0.meta("x") } }
            #expect(seen == nil)
        }
        #expect(try store.summary() == before)
    }

    @Test("whichever page is the last that fits, a full disk changes nothing and is reported as such")
    func fullDisk() throws {
        var store = try Store.create(in: folder.path)
        let half = history.deltas.count / 2
        try store.apply(Array(history.deltas.prefix(half)), of: history)
        let before = try store.summary()
        try store.close()
        let pages =
            try FileManager.default.attributesOfItem(atPath: folder.path + "/" + Store.fileName)[.size] as! Int / 4096
        var failures = 0
        for extra in 0... {
            var configuration = Store.Configuration()
            configuration.pagesMax = pages + extra
            store = try Store.open(folder: folder.path, configuration: configuration)
            defer { try? store.close() }
            do {
                _ = try store.applyBatch(
                    Array(history.deltas.dropFirst(half)),
                    organization: organization,
                    applier: history.applier
                )
                break
            } catch let error as StoreError {
                failures += 1
                #expect(error.code == .diskFull)
                #expect(try store.summary() == before)
                // Small writes may still fit, and the store remains usable.
                try? store.write { try $0.setMeta("x", [1]) }
            }
        }
        #expect(failures > 0)
        store = try Store.open(folder: folder.path)
        #expect(try store.summary() == StorageConformance.expectedSummary(history))
        #expect(try verify(store).isSound)
    }

    @Test("a damaged file gives errors, never a crash", arguments: UInt64(1)...12)
    func damagedFile(seed: UInt64) throws {
        try filled().close()
        var random = SplitMix64(seed: seed)
        let url = URL(fileURLWithPath: folder.path + "/" + Store.fileName)
        var data = try Data(contentsOf: url)
        for _ in 0..<Int.random(in: 1...40, using: &random) {
            // The first page's header stays unchanged; without it, the file would count as another program's.
            let position = Int.random(in: 100..<data.count, using: &random)
            data[position] = UInt8.random(in: 0...255, using: &random)
        }
        try data.write(to: url)
        do {
            let store = try Store.open(folder: folder.path)
            _ = try? store.summary()
            _ = try? store.read { try $0.search(SearchQuery(text: "pump")) }
            _ = try? store.read { try $0.forEachRecord { _ in } }
            for id in try StorageConformance.expected(history).records.keys {
                _ = try? store.read { try $0.history(of: id, hasher: history.applier.hasher) }
            }
            _ = try? verify(store)
            try store.apply(RandomHistory(seed: 77, steps: 20).deltas, of: history)
        } catch let error as StoreError {
            #expect(!error.message.isEmpty)
        }
    }

    // MARK: - Logs

    @Test("deltas are read back byte for byte, in parts of the requested size")
    func deltasByteForByte() throws {
        let store = try filled()
        for log in Set(history.deltas.map(\.log)) {
            let wanted = history.deltas.filter { $0.log == log }
            let all = try store.read { try $0.deltas(of: log, from: 1, bytesMax: .max) }
            #expect(all.map(\.bytes) == wanted.map { $0.encoded() })
            #expect(all.map(\.sequence) == wanted.map(\.header.sequence))
            let one = try store.read { try $0.deltas(of: log, from: 1, bytesMax: 1) }
            #expect(one.map(\.sequence) == [1])
            let headers = try store.read { try $0.headers(of: log, 1...UInt64.max) }
            #expect(headers.map(\.header) == wanted.map(\.headerBytes))
            #expect(headers.map(\.signature) == wanted.map(\.signature) && headers.map(\.hash) == wanted.map(\.hash))
            #expect(try store.read { try $0.head(of: log) } == wanted.last?.head)
            #expect(try store.read { try $0.deltaInfo(log: log, sequence: 1) }?.header == wanted[0].header)
            let operations = try store.read { try $0.operations(log: log, sequence: 1) }
            #expect(operations?.map(\.envelope) == wanted[0].operations.map(\.envelope))
        }
        let recent = try store.read { try $0.recentDeltas(limit: .max) }
        #expect(recent.map(\.hash) == history.deltas.reversed().map(\.hash))
        let author = history.deltas[0].log.author
        let own = try store.read { try $0.recentDeltas(author: author, before: recent[2].position, limit: 3) }
        #expect(
            own.map(\.hash)
                == history.deltas.reversed().dropFirst(3).filter { $0.log.author == author }.prefix(3).map(\.hash)
        )
    }

    @Test("prefixes of ids find records, odd numbers of digits too")
    func prefixes() throws {
        let store = try filled()
        let ids = try store.read { try $0.allRecords().map(\.id) }.sorted()
        try store.read { (reading: ReadTransaction) throws in
            for id in ids {
                for length in [1, 2, 3, 7, 8, 9, 15, 33, 64] {
                    let prefix = String(id.hex.prefix(length))
                    let wanted = ids.filter { $0.hex.hasPrefix(prefix) }
                    #expect(try reading.records(withPrefix: prefix.uppercased(), limit: 100) == wanted)
                }
            }
            #expect(try reading.records(withPrefix: "xyz", limit: 1) == nil)
            #expect(try reading.records(withPrefix: "", limit: 1) == nil)
        }
    }

    @Test("lists continue where they stopped")
    func paging() throws {
        let store = try filled()
        try store.read { (reading: ReadTransaction) throws in
            var all: [RecordID] = []
            try reading.forEachRecord { all.append($0.id) }
            var paged: [RecordID] = []
            var cursor: ReadTransaction.ListCursor?
            repeat {
                let page = try reading.records(after: cursor, limit: 2)
                paged += page.records.map(\.id)
                cursor = page.next.flatMap { ReadTransaction.ListCursor(text: $0.text) }
                #expect(cursor == page.next)
            } while cursor != nil
            #expect(paged == all)
            for count in try reading.counts() {
                var found = 0
                try reading.forEachRecord(kind: count.kind, owner: count.owner) { record in
                    #expect(record.owner == count.owner && record.identity?.kind == count.kind)
                    found += 1
                }
                #expect(found == count.shown)
            }
            #expect(
                try reading.search(SearchQuery(text: " ", limit: 3, offset: 1)).hits.map(\.id)
                    == Array(all.dropFirst().prefix(3))
            )
        }
    }

    // MARK: - Verifying and rebuilding

    @Test(
        "verify finds a change in every table",
        arguments: [
            "UPDATE operation SET content = CAST(content || x'00' AS BLOB) WHERE id = 3",
            "UPDATE operation SET envelope = CAST(envelope || x'00' AS BLOB) WHERE id = 3",
            "DELETE FROM operation WHERE id = 4", "UPDATE operation SET shape = shape + 1 WHERE shape > 0",
            "UPDATE shape SET bytes = CAST(bytes || x'00' AS BLOB) WHERE number = 1",
            "UPDATE delta SET header = zeroblob(60) WHERE sequence = 2", "UPDATE delta SET signature = zeroblob(64)",
            "UPDATE delta SET hash = zeroblob(32) WHERE sequence = 1",
            "UPDATE delta SET count = count + 1 WHERE id = 1",
            "DELETE FROM delta WHERE sequence = 1", "UPDATE log SET hash = zeroblob(32) WHERE id = 1",
            "UPDATE log SET sequence = sequence + 1 WHERE id = 1", "UPDATE log SET incarnation = 5 WHERE id = 1",
            "UPDATE record SET state = zeroblob(3) WHERE id = 1", "UPDATE record SET shown = 1 - shown WHERE id = 2",
            "DELETE FROM record WHERE id = 2", "UPDATE record SET trouble = 3 WHERE id = 1",
            "UPDATE record SET kind = kind + 1 WHERE id = 1", "UPDATE record SET rest = zeroblob(28) WHERE id = 1",
            "DELETE FROM touch", "DELETE FROM aside", "UPDATE waiting SET field = 1", "DELETE FROM waiting",
            "UPDATE total SET shown = shown + 1", "UPDATE total SET digest = zeroblob(32)",
            "UPDATE tally SET shown = shown + 1", "UPDATE field SET path = x'41' WHERE number = 2",
            "UPDATE kind SET name = x'41' WHERE number = 1",
            "UPDATE organization SET id = zeroblob(32) WHERE number = 1",
            "INSERT INTO search(rowid, rest, name) VALUES(9999, 'ghost', '')",
            "INSERT INTO search(search) VALUES('delete-all')",
        ]
    )
    func findings(sql: String) throws {
        try filled().close()
        try tamper {
            try $0.execute(sql: sql)
            #expect(sql.hasPrefix("INSERT") || $0.changesCount > 0)
        }
        let store = try Store.open(folder: folder.path)
        let report = try verify(store)
        #expect(!report.isSound, "\(sql)")
        #expect(report.findings.allSatisfy { !$0.what.isEmpty && !$0.location.isEmpty })
        // A rebuild repairs derived data, and reports other damage.
        do {
            try store.rebuild(applier: history.applier)
            let after = try verify(store)
            if after.isSound { #expect(try store.summary() == StorageConformance.expectedSummary(history)) }
        } catch let error as StoreError {
            #expect(error.code == .corrupt)
        }
    }

    @Test("a rebuild gives the same data")
    func rebuild() throws {
        let store = try filled()
        let before = try store.summary()
        let digest = try store.read { try $0.totals().digest }
        var steps = 0
        try store.rebuild(applier: history.applier) { _ in steps += 1 }
        #expect(steps > 0)
        #expect(try store.summary() == before)
        #expect(try store.read { try $0.totals().digest } == digest)
        #expect(try !store.isRebuilding())
        #expect(try verify(store).isSound)
        let more = RandomHistory(seed: 9, steps: 50)
        try store.apply(more.deltas, of: more)
    }

    @Test("an interrupted rebuild is resumed, and nothing else is written until then")
    func rebuildCutShort() throws {
        try filled().close()
        var configuration = Store.Configuration()
        configuration.rebuildOperations = 10
        let store = try Store.open(folder: folder.path, configuration: configuration)
        let before = try store.summary()
        var steps = 0
        do {
            let applier = FailingChecks.applier(history, after: 60)
            try store.rebuild(applier: applier) { _ in steps += 1 }
            Issue.record("the rebuild was not cut short")
        } catch let error as StoreError {
            #expect(error.code == .corrupt && steps > 1)
        }
        #expect(try store.isRebuilding())
        #expect(throws: StoreError.self) { try store.write { try $0.setMeta("a", [1]) } }
        try store.close()
        let again = try Store.open(folder: folder.path)
        #expect(try again.isRebuilding())
        #expect(try !verify(again).isSound)
        try again.rebuild(applier: history.applier)
        #expect(try again.summary() == before)
        #expect(try verify(again).isSound)
    }

    // MARK: - The node's own

    @Test("an invitation is bound to the first node that redeems it")
    func invitations() throws {
        let store = try Store.create(in: folder.path)
        let keys = (0..<4).map { Hash256(UInt64($0), 1, 2, 3) }
        let nodes = (0..<2).map { NodeKey(Hash256(UInt64($0), 7, 7, 7)) }
        try store.write { transaction in
            for (number, key) in keys.enumerated() {
                try transaction.add(
                    Invitation(
                        oneTimeKey: key,
                        expires: 1000,
                        expectedName: number == 0 ? "水务" : nil,
                        isOwn: number == 1,
                        createdAt: UInt64(number)
                    )
                )
            }
        }
        func redeem(_ key: Hash256, _ node: NodeKey, _ now: UInt64, of organization: UInt64 = 1) throws -> Redemption {
            try store.write {
                try $0.redeemInvitation(key, by: node, of: Hash256(organization, 0, 0, 0), now: now)
            }
        }
        guard case .redeemed(let first) = try redeem(keys[0], nodes[0], 1000) else {
            Issue.record("not redeemed")
            return
        }
        #expect(first.redeemer == nodes[0] && first.expectedName == "水务" && first.redeemedAt == 1000)
        #expect(try redeem(keys[0], nodes[1], 10) == .takenByAnother)
        #expect(try redeem(keys[0], nodes[0], 5000) == .redeemed(first))
        #expect(try redeem(keys[0], nodes[0], 5000, of: 2) == .takenByAnother)
        #expect(try redeem(keys[1], nodes[0], 1001) == .expired)
        #expect(try store.write { try $0.revokeInvitation(keys[2]) })
        #expect(try redeem(keys[2], nodes[0], 10) == .revoked)
        #expect(try !store.write { try $0.revokeInvitation(keys[0]) })
        #expect(try redeem(Hash256.zero, nodes[0], 10) == .unknown)
        try store.close()
        let again = try Store.open(folder: folder.path)
        #expect(try again.read { try $0.invitation(keys[0]) } == first)
        #expect(try again.read { try $0.invitations().map(\.oneTimeKey) } == keys.reversed())
    }

    @Test("refusals are counted, contacts replaced")
    func peers() throws {
        let store = try Store.create(in: folder.path)
        let node = NodeKey(Hash256(1, 2, 3, 4))
        let log = LogID(author: node, incarnation: .max)
        for time in UInt64(1)...3 {
            try store.write { transaction in
                try transaction.note(
                    Refusal(log: log, sequence: .max, code: 4, reason: "signature", peer: node, time: time)
                )
                try transaction.note(PeerContact(node: node, time: time))
            }
        }
        try store.read { (reading: ReadTransaction) throws in
            let refusals = try reading.refusals(limit: 10)
            #expect(refusals.count == 1 && refusals[0].count == 3 && refusals[0].time == 3)
            #expect(refusals[0].log == log && refusals[0].sequence == .max)
            #expect(try reading.refusalCount() == 1)
            #expect(try reading.peerContacts() == [PeerContact(node: node, time: 3)])
        }
        try store.write { try $0.clearRefusals(of: log) }
        #expect(try store.read { try $0.refusalCount() } == 0)
    }
}

/// Rejects all signatures after a number of checks, so that the data appears damaged.
private struct FailingChecks: Cryptography {
    final class Count: Sendable {
        let left: Mutex<Int>
        init(_ left: Int) { self.left = Mutex(left) }
    }

    let count: Count

    static func applier(_ history: RandomHistory, after checks: Int) -> DeltaApplier<FailingChecks> {
        DeltaApplier(alliance: history.applier.alliance, hasher: FailingChecks(count: Count(checks)))
    }

    func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 { KeyedHashCryptography().hash(bytes) }

    func isValid(_ signature: [UInt8], of message: [UInt8], by key: Hash256) -> Bool {
        let isLeft = count.left.withLock { left in
            left -= 1
            return left >= 0
        }
        return isLeft && KeyedHashCryptography().isValid(signature, of: message, by: key)
    }
}

/// Locks of other programs, and the health of a store that cannot be written.
@Suite("Store health") struct StoreHealthTests {
    let folder = ScratchFolder()
    let history = RandomHistory(seed: 11, steps: 40)

    private func store(patience: Double) throws -> Store {
        var configuration = Store.Configuration()
        configuration.busyTimeoutSeconds = patience
        return try Store.create(in: folder.path, configuration: configuration)
    }

    /// The code of the store error that a body throws; nil if it throws none.
    private func code(_ body: () throws -> Void) -> StoreError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    /// Runs a body while another connection holds the write lock.
    private func whileLocked<Result>(_ body: () throws -> Result) throws -> Result {
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        defer { try? queue.close() }
        return try queue.inDatabase { database in
            try database.execute(sql: "BEGIN IMMEDIATE")
            defer { try? database.execute(sql: "ROLLBACK") }
            return try body()
        }
    }

    @Test("a write waits for a lock, which is reported with its age until it is gone")
    func lock() throws {
        let store = try store(patience: 0.2)
        #expect(store.health.lock == nil)
        try whileLocked { () throws -> Void in
            #expect(code { try store.write { try $0.setMeta("a", [1]) } } == .locked)
            #expect(store.health.lock?.age ?? .zero >= .seconds(0.2))
            #expect(store.health.failure == nil)
            // Reads still succeed.
            #expect(try store.read { try $0.meta("a") } == nil)
        }
        try store.write { try $0.setMeta("a", [1]) }
        #expect(store.health.lock == nil)
        #expect(try store.read { try $0.meta("a") } == [1])
    }

    @Test("an idle store finds a lock and its end without waiting")
    func probe() throws {
        let store = try store(patience: 60)
        let begin = ContinuousClock.now
        try whileLocked { () throws -> Void in
            #expect(code { try store.probe(ifIdleFor: .zero) } == .locked)
            #expect(store.health.lock != nil)
        }
        try store.probe(ifIdleFor: .zero)
        #expect(store.health.lock == nil)
        // A store that is not idle is not probed.
        try whileLocked { try store.probe(ifIdleFor: .seconds(3600)) }
        #expect(store.health.lock == nil)
        #expect(begin.duration(to: .now) < .seconds(30))
        // The probe changes nothing.
        let before = store.fileSizes()
        for _ in 0..<100 { try store.probe(ifIdleFor: .zero) }
        #expect(store.fileSizes() == before)
    }

    @Test("a store that stops waits for no lock, and closes while one is held")
    func endWaiting() throws {
        let store = try store(patience: 60)
        try store.write { try $0.setMeta("a", [1]) }
        let begin = ContinuousClock.now
        try whileLocked { () throws -> Void in
            store.endWaiting()
            #expect(code { try store.write { try $0.setMeta("a", [2]) } } == .locked)
            try store.close()
        }
        #expect(begin.duration(to: .now) < .seconds(30))
    }

    @Test("a failed write is reported until one succeeds, and tried again by the probe")
    func failure() throws {
        var configuration = Store.Configuration()
        configuration.pagesMax = 60
        let store = try Store.create(in: folder.path, configuration: configuration)
        try store.write { try $0.setMeta("a", [1]) }
        let large = [UInt8](repeating: 7, count: 1 << 20)
        #expect(code { try store.write { try $0.setMeta("large", large) } } == .diskFull)
        #expect(store.health.failure?.error.code == .diskFull)
        // A transaction without writes does not clear the failure.
        _ = try store.write { try $0.meta("a") }
        #expect(store.health.failure != nil)
        try store.probe(ifIdleFor: .seconds(3600))
        #expect(store.health.failure == nil)
        #expect(store.health.freeBytes ?? 0 > 0)
        #expect(store.health.isReadOnly == false)
    }
}
