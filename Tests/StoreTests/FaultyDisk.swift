import Foundation
import GRDB
import GRDBSQLite
import Simulator
import Synchronization
import TestSupport

/// A simulated disk under the database files of one folder, with the faults of real disks.
///
/// SQLite uses it through ``FaultyVFS``. Writes go to the real files at once, as to the system's cache, so the process
/// reads its own writes. For each file and for the folder's list of files, this object also keeps the durable content
/// and the changes since the last sync. When the power fails, the seed decides whether each change is kept, lost or
/// torn. The next boot finds ``remains``, which never includes the wal-index because it is memory.
///
/// A disk serves its folder as long as it is referenced, or a file in the folder is open.
final class FaultyDisk: Sendable {
    /// The fault; calls are counted from 1, over all files of the folder.
    enum Fault: Equatable {
        /// The power fails at a call that changes something (write, truncate, sync, delete). The call may have its
        /// effect, a part of it or none. Every later call fails.
        case powerLoss(call: Int)
        /// A sync fails, and later ones appear to succeed. The changes that it should have made durable remain
        /// uncertain: after a failed sync, Linux marks the pages as clean and does not write them again.
        case failedSync(number: Int)
        /// From this write on there is no room, until ``makeRoom()``. A part of this write may fit.
        case full(write: Int)
    }

    /// The number of calls that changed something.
    struct Counts: Hashable {
        /// All of them, and the writes and syncs among them.
        var calls = 0
        var writes = 0
        var syncs = 0
    }

    let folder: String
    private let state: Mutex<State>

    /// A disk with the folder's present files, all durable.
    ///
    /// - Parameter folder: An existing folder without open files.
    init(folder: String, seed: UInt64, fault: Fault? = nil) throws {
        var state = State(random: SplitMix64(seed: seed), fault: fault)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            state.files.append(
                FileOnDisk(certain: Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
            )
            state.entries[name] = state.files.count - 1
        }
        state.certainEntries = state.entries
        self.folder = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
        self.state = Mutex(state)
        FaultyVFS.add(self)
    }

    deinit { FaultyVFS.remove(self) }

    var counts: Counts { state.withLock { $0.counts } }

    /// The call at which the fault happened, for people; nil before it.
    var failure: String? { state.withLock { $0.failure } }

    /// Makes room for further writes.
    func makeRoom() { state.withLock { $0.isFull = false } }

    /// Registers files that were deleted without SQLite.
    func noteDeletions() {
        state.withLock { state in
            state.entries = state.entries.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0.key)") }
        }
    }

    /// Runs `body`, which closes open files, as if the process were killed instead: meanwhile no call has an effect.
    func killing(_ body: () -> Void) {
        state.withLock { $0.isKilled = true }
        body()
        state.withLock { $0.isKilled = false }
    }

    /// Fails the power now, unless it has failed already.
    func losePower() { state.withLock { $0.losePower("between two calls") } }

    /// Fails the power after this number of further calls.
    func losePower(afterCalls count: Int) { state.withLock { $0.lastCall = $0.counts.calls + count } }

    /// The files after the power loss, by name; nil before it.
    var remains: [String: [UInt8]]? { state.withLock { $0.remains } }

    /// Runs SQL on every connection that has the database open, without its owner's knowledge. No connection may be in
    /// use.
    func tamper(_ sql: String) {
        for address in state.withLock({ Array($0.connections.values) }) {
            precondition(sqlite3_exec(OpaquePointer(bitPattern: address), sql, nil, nil, nil) == SQLITE_OK)
        }
    }

    /// For ``FaultyVFS``, which also changes the real files.
    func withState<Result>(_ body: (inout State) -> Result) -> Result where Result: Sendable {
        state.withLock { state in body(&state) }
    }
}

extension FaultyDisk {
    /// The state of a disk. Its methods return SQLite's codes.
    struct State {
        var random: SplitMix64
        let fault: Fault?
        /// The call at which the power fails.
        var lastCall: Int?
        var counts = Counts()
        var failure: String?
        var isFull = false
        var isKilled = false
        var remains: [String: [UInt8]]?
        /// Every file that ever existed; entries refer to them.
        var files: [FileOnDisk] = []
        /// The list of files as the process sees it.
        var entries: [String: Int] = [:]
        /// The list of files at the folder's last sync.
        var certainEntries: [String: Int] = [:]
        /// Addresses of connections, by the addresses of their open files.
        var connections: [UInt: UInt] = [:]

        init(random: SplitMix64, fault: Fault?) {
            self.random = random
            self.fault = fault
            if case .powerLoss(let call) = fault { lastCall = call }
        }

        var isAnswering: Bool { remains == nil && !isKilled }

        /// The number of the file with a name; creates the file if there is none.
        mutating func file(named name: String) -> Int {
            if let known = entries[name] { return known }
            files.append(FileOnDisk(certain: []))
            entries[name] = files.count - 1
            return files.count - 1
        }

        /// True if the power fails at this call.
        private mutating func count(_ what: String) -> Bool {
            counts.calls += 1
            guard counts.calls == lastCall else { return false }
            failure = (failure.map { $0 + "; " } ?? "") + "call \(counts.calls), \(what)"
            return true
        }

        /// - Parameter write: Writes this number of the bytes to the real file.
        mutating func write(
            _ bytes: [UInt8],
            at offset: Int,
            to file: Int,
            _ write: (Int) -> Int32
        ) -> Int32 {
            guard isAnswering else { return ResultCode.SQLITE_IOERR_WRITE.rawValue }
            let what = "write of \(bytes.count) at \(offset) to \(name(of: file))"
            let isLast = count(what)
            counts.writes += 1
            if isFull { return SQLITE_FULL }
            var fitting = bytes.count
            if fault == .full(write: counts.writes) {
                isFull = true
                failure = "write \(counts.writes), \(what)"
                fitting = Int.random(in: 0..<bytes.count, using: &random)
            }
            let code = write(fitting)
            guard code == SQLITE_OK else { return code }
            files[file].changes.append((.write(Array(bytes.prefix(fitting)), at: offset), .open))
            if isLast {
                losePower()
                return ResultCode.SQLITE_IOERR_WRITE.rawValue
            }
            return isFull ? SQLITE_FULL : SQLITE_OK
        }

        mutating func truncate(_ file: Int, to size: Int, _ truncate: () -> Int32) -> Int32 {
            guard isAnswering else { return ResultCode.SQLITE_IOERR_TRUNCATE.rawValue }
            let what = "truncation to \(size) of \(name(of: file))"
            let isLast = count(what)
            let code = truncate()
            guard code == SQLITE_OK else { return code }
            files[file].changes.append((.truncate(to: size), .open))
            guard isLast else { return SQLITE_OK }
            losePower()
            return ResultCode.SQLITE_IOERR_TRUNCATE.rawValue
        }

        /// - Parameter syncsFolder: True if SQLite also syncs the folder with this call.
        mutating func sync(_ file: Int, syncsFolder: Bool) -> Int32 {
            guard isAnswering else { return ResultCode.SQLITE_IOERR_FSYNC.rawValue }
            let what = "sync of \(name(of: file))"
            let isLast = count(what)
            counts.syncs += 1
            if isLast {
                losePower()
                return ResultCode.SQLITE_IOERR_FSYNC.rawValue
            }
            if fault == .failedSync(number: counts.syncs) {
                failure = "sync \(counts.syncs), \(what)"
                files[file].failSync()
                return ResultCode.SQLITE_IOERR_FSYNC.rawValue
            }
            files[file].sync()
            if syncsFolder { certainEntries = entries }
            return SQLITE_OK
        }

        mutating func delete(_ name: String, syncsFolder: Bool, _ delete: () -> Int32) -> Int32 {
            guard isAnswering else { return ResultCode.SQLITE_IOERR_DELETE.rawValue }
            let isLast = count("deletion of \(name)")
            let code = delete()
            guard code == SQLITE_OK else { return code }
            entries[name] = nil
            if isLast {
                losePower()
                return ResultCode.SQLITE_IOERR_DELETE.rawValue
            }
            if syncsFolder { certainEntries = entries }
            return SQLITE_OK
        }

        private func name(of file: Int) -> String { entries.first { $0.value == file }?.key ?? "a deleted file" }

        mutating func losePower(_ moment: String? = nil) {
            guard remains == nil else { return }
            if let moment { failure = (failure.map { $0 + "; " } ?? "") + moment }
            var remains: [String: [UInt8]] = [:]
            for name in Set(entries.keys).union(certainEntries.keys).sorted() {
                let (new, old) = (entries[name], certainEntries[name])
                if let file = Bool.random(using: &random) ? new : old {
                    remains[name] = files[file].afterPowerLoss(&random)
                }
            }
            self.remains = remains
        }
    }
}

/// A file's durable bytes, and the changes that the disk may or may not have.
struct FileOnDisk {
    enum Change {
        case write([UInt8], at: Int)
        case truncate(to: Int)
    }

    enum Certainty {
        /// The next sync makes it durable.
        case open
        /// Its sync failed; no later one makes it durable.
        case doubtful
        /// Durable, but not in `certain` yet, because a doubtful change precedes it.
        case certain
    }

    private(set) var certain: [UInt8]
    var changes: [(change: Change, certainty: Certainty)] = []

    /// Disks write sectors of 512 bytes whole or not at all.
    private static let sector = 512

    init(certain: [UInt8]) {
        self.certain = certain
    }

    mutating func sync() {
        for index in changes.indices where changes[index].certainty == .open { changes[index].certainty = .certain }
        let firstDoubt = changes.firstIndex { $0.certainty == .doubtful } ?? changes.endIndex
        for (change, _) in changes[..<firstDoubt] { Self.apply(change, to: &certain) { 0 } }
        changes.removeSubrange(..<firstDoubt)
    }

    mutating func failSync() {
        for index in changes.indices where changes[index].certainty == .open { changes[index].certainty = .doubtful }
    }

    /// - Parameter fill: Gives the bytes between the file's end and a write after it.
    private static func apply(_ change: Change, to bytes: inout [UInt8], fill: () -> UInt8) {
        switch change {
        case .truncate(let size):
            if size < bytes.count { bytes.removeSubrange(size...) } else { extend(&bytes, to: size, fill: fill) }
        case .write(let new, let offset):
            extend(&bytes, to: offset, fill: fill)
            let overlap = min(new.count, bytes.count - offset)
            bytes.replaceSubrange(offset..<offset + overlap, with: new.prefix(overlap))
            bytes.append(contentsOf: new.dropFirst(overlap))
        }
    }

    private static func extend(_ bytes: inout [UInt8], to size: Int, fill: () -> UInt8) {
        while bytes.count < size { bytes.append(fill()) }
    }

    /// The joint outcome of the changes that are not durable. Independent draws with even chances would rarely give the
    /// most relevant outcomes: all but the last, or only the last.
    private enum Fate: CaseIterable {
        case kept, lost, firstKept, lastKept, mixed, mostlyKept, mostlyLost
    }

    /// The file's bytes after a power loss.
    ///
    /// Kept changes reached the disk in their order. If a file grew but its data was not written, that part has zeros
    /// or old content of the disk.
    func afterPowerLoss(_ random: inout SplitMix64) -> [UInt8] {
        let fate = Fate.allCases.randomElement(using: &random)!
        let turn = Int.random(in: 0...changes.count, using: &random)
        let showsOldSectors = Bool.random(using: &random)
        var filling = random
        func fill() -> UInt8 { showsOldSectors ? UInt8.random(in: 0...255, using: &filling) : 0 }
        var bytes = certain
        for (index, (change, certainty)) in changes.enumerated() {
            let chance: Double
            switch fate {
            case _ where certainty == .certain: chance = 1
            case .kept: chance = 1
            case .lost: chance = 0
            case .firstKept: chance = index < turn ? 1 : index == turn ? 0.5 : 0
            case .lastKept: chance = index < turn ? 0 : index == turn ? 0.5 : 1
            case .mixed: chance = 0.5
            case .mostlyKept: chance = 0.9
            case .mostlyLost: chance = 0.1
            }
            switch change {
            case .truncate:
                if Double.random(in: 0..<1, using: &random) < chance { Self.apply(change, to: &bytes, fill: fill) }
            case .write(let new, let offset):
                let end = offset + new.count
                // A torn write keeps its first sectors, or any of them.
                let isTorn = chance > 0 && chance < 1 && Bool.random(using: &random)
                let cut = Bool.random(using: &random) ? Int.random(in: offset...end, using: &random) : nil
                let isKept = Double.random(in: 0..<1, using: &random) < chance
                if !isTorn, isKept {
                    Self.apply(change, to: &bytes, fill: fill)
                } else if isTorn {
                    var start = offset
                    while start < end {
                        let next = min(end, (start / Self.sector + 1) * Self.sector)
                        let isThere = cut.map { next <= $0 } ?? Bool.random(using: &random)
                        if isThere {
                            Self.apply(
                                .write(Array(new[start - offset..<next - offset]), at: start),
                                to: &bytes,
                                fill: fill
                            )
                        }
                        start = next
                    }
                }
                // The file's length may have reached the disk without its data.
                if chance < 1, Int.random(in: 0..<8, using: &random) == 0 {
                    Self.extend(&bytes, to: end, fill: fill)
                }
            }
        }
        return bytes
    }
}
