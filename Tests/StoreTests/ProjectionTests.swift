import Catalog
import DeltaLog
import Foundation
import GRDB
import Store
import TestSupport
import Testing

/// A projection of another version is rebuilt alone, in steps, while the store is read and written.
@Suite("Projections") struct ProjectionTests {
    let folder = ScratchFolder()

    private static var configuration: Store.Configuration {
        var configuration = Store.Configuration()
        configuration.projectionRecords = 1
        return configuration
    }

    /// SQL for a content that no version of the projection produces: the rebuild must not rely on the old content.
    private static func falsification(of name: ProjectionName) -> String {
        switch name {
        case .history: "DELETE FROM touch; INSERT INTO touch VALUES(1, 999999), (2, 1)"
        case .listing: "UPDATE record SET kind = kind + 7, shown = 1 - shown"
        case .counts: "UPDATE tally SET shown = 99; INSERT INTO tally VALUES(77, 1, 5)"
        case .conflicts: "UPDATE record SET trouble = 3 - trouble"
        case .search:
            "INSERT INTO search(search) VALUES('delete-all'); INSERT INTO search(rowid, rest, name) VALUES(1, 'ghost', 'x')"
        }
    }

    private func tamper(_ folder: ScratchFolder, _ sql: String) throws {
        let queue = try DatabaseQueue(path: folder.path + "/" + Store.fileName)
        try queue.inDatabase { try $0.execute(sql: sql) }
        try queue.close()
    }

    private func apply(_ deltas: some Sequence<VerifiedDelta>, of history: HostileHistory, to store: Store) throws {
        try store.apply(
            Array(deltas),
            organizations: history.organizations,
            applier: history.applier,
            perTransaction: 5
        )
    }

    /// Makes a closed store with the first part of a history and a falsified projection. Returns the rest of the
    /// history.
    private func outdated(_ name: ProjectionName, _ history: HostileHistory) throws -> ArraySlice<VerifiedDelta> {
        let store = try Store.create(in: folder.path)
        let count = history.deltas.count / 2
        try apply(history.deltas[..<count], of: history, to: store)
        try store.close()
        try tamper(folder, Self.falsification(of: name))
        return history.deltas[count...]
    }

    private func open(_ name: ProjectionName, in folder: ScratchFolder, version: Int = 2) throws -> Store {
        try Store.open(
            folder: folder.path,
            configuration: Self.configuration,
            projectionVersions: [name: version]
        )
    }

    private func unfinished(_ store: Store) throws -> [ProjectionName] {
        try store.read { try $0.unfinishedProjections() }.map(\.name)
    }

    private static let cases = ProjectionName.allCases.flatMap { name in (UInt64(1)...4).map { (name, $0) } }

    @Test("a new version is rebuilt while deltas arrive, and after each kill", arguments: cases)
    func rebuilt(name: ProjectionName, seed: UInt64) throws {
        let history = HostileHistory(seed: seed, deltas: 90)
        var rest = try outdated(name, history)
        var store = try open(name, in: folder)
        var done: [Int64] = []
        while try store.rebuildProjectionStep(hasher: history.applier.hasher) {
            try apply(rest.prefix(3), of: history, to: store)
            rest = rest.dropFirst(3)
            let progress = try store.read { try $0.unfinishedProjections() }
            #expect(progress.count <= 1 && progress.allSatisfy { $0.name == name })
            done += progress.map(\.done)
            let report = try store.verify(deep: true, applier: history.applier)
            #expect(report.findings == [], "\(name), seed \(seed)")
            #expect(report.unfinishedProjections == progress.map(\.name))
            // As after a kill: the files as they are, without the work of closing.
            guard done.count.isMultiple(of: 4) else { continue }
            let copy = ScratchFolder()
            for end in ["", "-wal"] {
                let file = "/" + Store.fileName + end
                try FileManager.default.copyItem(atPath: folder.path + file, toPath: copy.path + file)
            }
            let again = try open(name, in: copy)
            #expect(try again.read { try $0.unfinishedProjections() } == progress)
            try again.rebuildProjections(hasher: history.applier.hasher)
            #expect(try again.verify(deep: true, applier: history.applier).findings == [], "\(name), seed \(seed)")
            try again.close()
            try store.close()
            store = try open(name, in: folder)
        }
        #expect(done.count > 4 && done == done.sorted(), "\(name), seed \(seed): \(done)")
        try apply(rest, of: history, to: store)
        #expect(try unfinished(store) == [])
        #expect(try store.verify(deep: true, applier: history.applier).findings == [], "\(name), seed \(seed)")
        let visible = try store.read { try OrderOfArrivalTests.Visible($0, history) }
        try store.close()

        let other = ScratchFolder()
        let expected = try Store.create(in: other.path)
        try apply(history.deltas, of: history, to: expected)
        #expect(try visible == expected.read { try OrderOfArrivalTests.Visible($0, history) })
        try expected.close()
        #expect(try DerivedDump(folder: folder.path) == DerivedDump(folder: other.path), "\(name), seed \(seed)")
    }

    @Test("no other projection is touched", arguments: ProjectionName.allCases, ProjectionName.allCases)
    func alone(name: ProjectionName, other: ProjectionName) throws {
        guard name != other else { return }
        let history = HostileHistory(seed: 7, deltas: 40)
        _ = try outdated(other, history)
        let before = try DerivedDump(folder: folder.path)
        let store = try open(name, in: folder)
        try store.rebuildProjections(hasher: history.applier.hasher)
        let locations = try store.verify(deep: true, applier: history.applier).findings.map(\.location)
        // Counts and search use the kinds of the records' states, independent of the listing.
        #expect(
            !locations.isEmpty && locations.allSatisfy { $0.hasPrefix("projection \(other.rawValue)") },
            "\(locations)"
        )
        try store.close()
        #expect(try DerivedDump(folder: folder.path) == before)
    }

    @Test("during a rebuild, only reads that need the projection are refused", arguments: ProjectionName.allCases)
    func refused(name: ProjectionName) throws {
        let history = HostileHistory(seed: 3, deltas: 60)
        _ = try outdated(name, history)
        let store = try open(name, in: folder)
        let hasher = history.applier.hasher
        func refused(_ read: (ReadTransaction) throws -> Void) -> Bool {
            do {
                try store.read(read)
                return false
            } catch {
                return (error as? StoreError)?.code == .projectionRebuilding
            }
        }
        for _ in 0..<3 {
            let records = try store.read { try $0.allRecords() }
            let id = try #require(records.first).id
            #expect(refused { _ = try $0.search(SearchQuery(text: "pump")) } == (name == .search))
            #expect(refused { _ = try $0.search(SearchQuery(text: "")) } == [.listing, .counts].contains(name))
            #expect(refused { _ = try $0.records(limit: 1) } == [.listing, .counts].contains(name))
            #expect(refused { _ = try $0.counts() } == (name == .counts))
            #expect(refused { _ = try $0.conflicts(limit: 1) } == (name == .conflicts))
            #expect(try store.read { try $0.conflictCountIfKnown() == nil } == (name == .conflicts))
            #expect(refused { _ = try $0.history(of: id, hasher: hasher) } == (name == .history))
            // Meanwhile the state tells whether a record is visible.
            var visible: Set<RecordID> = []
            try store.read { try $0.forEachRecordByID { visible.insert($0.id) } }
            #expect(visible == Set(records.filter(\.state.isVisible).map(\.id)))
            for record in records {
                #expect(try store.read { try $0.isVisible(record.id) } == record.state.isVisible)
            }
            #expect(try store.rebuildProjectionStep(hasher: hasher))
        }
        #expect(try unfinished(store) == [name])
    }

    @Test("a relimit waits for the history alone")
    func relimit() throws {
        let history = HostileHistory(seed: 5, deltas: 60)
        _ = try outdated(.history, history)
        let store = try Store.open(
            folder: folder.path,
            configuration: Self.configuration,
            projectionVersions: [.history: 2, .search: 2]
        )
        let logs = Set(history.deltas.prefix(30).map(\.log)).sorted()
        #expect(throws: StoreError.self) {
            for log in logs { try store.relimit(log, to: 0, applier: history.applier) }
        }
        while try unfinished(store).contains(.history) {
            #expect(try store.rebuildProjectionStep(hasher: history.applier.hasher))
        }
        #expect(try unfinished(store) == [.search])
        for (number, log) in logs.enumerated() {
            try store.relimit(log, to: 1, applier: history.applier)
            if number.isMultiple(of: 2) { try store.relimit(log, to: nil, applier: history.applier) }
            _ = try store.rebuildProjectionStep(hasher: history.applier.hasher)
        }
        try store.rebuildProjections(hasher: history.applier.hasher)
        #expect(try store.verify(deep: true, applier: history.applier).findings == [])
    }

    @Test("the history is rebuilt within the bounds of logs")
    func bounds() throws {
        let history = HostileHistory(seed: 6, deltas: 60)
        let rest = try outdated(.counts, history)
        let first = try open(.counts, in: folder)
        try first.rebuildProjections(hasher: history.applier.hasher)
        for log in Set(history.deltas.map(\.log)).sorted() { try first.relimit(log, to: 2, applier: history.applier) }
        try first.close()
        try tamper(folder, "DELETE FROM touch")
        let store = try Store.open(folder: folder.path, projectionVersions: [.counts: 2, .history: 2])
        try store.rebuildProjections(hasher: history.applier.hasher)
        try apply(rest, of: history, to: store)
        #expect(try store.verify(deep: true, applier: history.applier).findings == [])
    }

    @Test("a rebuild of everything makes every projection whole")
    func everything() throws {
        let history = HostileHistory(seed: 2, deltas: 60)
        _ = try outdated(.search, history)
        let versions = Dictionary(uniqueKeysWithValues: ProjectionName.allCases.map { ($0, 2) })
        let store = try Store.open(
            folder: folder.path,
            configuration: Self.configuration,
            projectionVersions: versions
        )
        #expect(try unfinished(store) == ProjectionName.allCases)
        for _ in 0..<3 { #expect(try store.rebuildProjectionStep(hasher: history.applier.hasher)) }
        try store.rebuild(applier: history.applier)
        #expect(try unfinished(store) == [])
        #expect(try store.verify(deep: true, applier: history.applier).findings == [])
        try store.close()
        let again = try Store.open(folder: folder.path, projectionVersions: versions)
        #expect(try unfinished(again) == [])
    }

    @Test("a newer version is refused as a newer format is, and nothing is changed")
    func newer() throws {
        let history = HostileHistory(seed: 2, deltas: 30)
        _ = try outdated(.search, history)
        try open(.search, in: folder, version: 3).close()
        for versions in [[:], [.search: 2]] as [[ProjectionName: Int]] {
            do {
                _ = try Store.open(folder: folder.path, projectionVersions: versions)
                Issue.record("an older program opened it")
            } catch let error as StoreError {
                #expect(error.code == .newerFormat && error.message.contains("search"))
            }
        }
        let store = try open(.search, in: folder, version: 3)
        try store.rebuildProjections(hasher: history.applier.hasher)
        #expect(try store.verify(deep: true, applier: history.applier).findings == [])
        try store.close()
        try tamper(folder, "INSERT INTO projection VALUES('maps', 1, NULL)")
        do {
            _ = try open(.search, in: folder, version: 3)
            Issue.record("a program without the projection opened it")
        } catch let error as StoreError {
            #expect(error.code == .newerFormat && error.message.contains("maps"))
        }
    }

    @Test(
        "a finding names the projection",
        arguments: [
            (.history, "INSERT INTO touch SELECT max(id), 999999 FROM record"),
            (.history, "DELETE FROM touch WHERE operation = (SELECT max(operation) FROM touch)"),
            (.listing, "UPDATE record SET kind = kind + 1 WHERE id = (SELECT min(id) FROM record WHERE shown = 1)"),
            (.listing, "UPDATE record SET shown = 0 WHERE id = (SELECT min(id) FROM record WHERE shown = 1)"),
            (.counts, "UPDATE tally SET shown = shown + 1"), (.counts, "INSERT INTO tally VALUES(99, 1, 1)"),
            (.conflicts, "UPDATE record SET trouble = 3 - trouble WHERE id = 1"),
            (.search, "INSERT INTO search(rowid, rest, name) SELECT min(id), 'ghost', '' FROM record"),
            (nil, "UPDATE record SET owner = owner + 1 WHERE id = 1"), (nil, "UPDATE total SET shown = shown + 1"),
        ] as [(ProjectionName?, String)]
    )
    func named(name: ProjectionName?, sql: String) throws {
        let history = HostileHistory(seed: 1, deltas: 60)
        let store = try Store.create(in: folder.path)
        try apply(history.deltas, of: history, to: store)
        try store.close()
        try tamper(folder, sql)
        let again = try Store.open(folder: folder.path)
        let locations = try again.verify(deep: true, applier: history.applier).findings.map(\.location)
        let names = Set(
            locations.map { $0.hasPrefix("projection ") ? String($0.dropFirst(11).prefix { $0 != "," }) : "" }
        )
        #expect(names == [name?.rawValue ?? ""], "\(locations)")
        guard let name else { return }
        try again.close()
        // The same by another version and a rebuild of only this projection.
        let rebuilt = try open(name, in: folder)
        #expect(try rebuilt.verify(deep: true, applier: history.applier).findings == [], "\(sql)")
        try rebuilt.rebuildProjections(hasher: history.applier.hasher)
        #expect(try rebuilt.verify(deep: true, applier: history.applier).findings == [], "\(sql)")
    }
}
