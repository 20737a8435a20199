import Foundation
import GRDB
import GRDBSQLite
import Simulator
import Synchronization
import TestSupport

/// A disk that fails as disks do, under the database files of one folder.
///
/// SQLite meets it through ``FaultyVFS``. What the process writes goes to the real files at once, as to the system's
/// cache, so the process reads what it wrote. Beside them this keeps what a real disk would hold for certain, and what
/// was changed since the last sync, of each file and of the folder's list of files. When the power fails, every such
/// change is kept, lost or torn, drawn from a seed, and ``remains`` is what the next boot finds. The wal-index is memory:
/// it is never among it.
///
/// A disk is there for its folder as long as it is referenced, or a file in the folder is open.
final class FaultyDisk: Sendable {
    /// What goes wrong; calls are counted from 1, over all files of the folder.
    enum Fault: Equatable {
        /// The power fails at a call that changes something (write, truncate, sync, delete), which may have had its
        /// effect or a part of it. Every call after it fails.
        case powerLoss(call: Int)
        /// A sync fails, and later ones seem to work. What it should have made certain stays uncertain for good: Linux
        /// takes pages for written once their sync has failed, and does not write them again.
        case failedSync(number: Int)
        /// From a write on there is no room, until ``makeRoom()``. Of that write a part may fit.
        case full(write: Int)
    }

    /// Calls that changed something.
    struct Counts: Hashable {
        /// All of them, and those that were writes and syncs.
        var calls = 0
        var writes = 0
        var syncs = 0
    }

    let folder: String
    private let state: Mutex<State>

    /// A disk with what lies in the folder now, all of it certain.
    ///
    /// - Parameter folder: A folder that exists, and whose files nobody has open.
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

    /// The call at which the fault came, for people; nil before it.
    var failure: String? { state.withLock { $0.failure } }

    /// Room for further writes.
    func makeRoom() { state.withLock { $0.isFull = false } }

    /// Takes note of files that were deleted otherwise than through SQLite.
    func noteDeletions() {
        state.withLock { state in
            state.entries = state.entries.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0.key)") }
        }
    }

    /// Runs `body`, which closes what is open, as if the process were killed instead: no call has an effect meanwhile.
    func killing(_ body: () -> Void) {
        state.withLock { $0.isKilled = true }
        body()
        state.withLock { $0.isKilled = false }
    }

    /// Takes the power away now, unless it is gone already.
    func losePower() { state.withLock { $0.losePower("between two calls") } }

    /// Has the power fail some calls from now on.
    func losePower(afterCalls count: Int) { state.withLock { $0.lastCall = $0.counts.calls + count } }

    /// The files after the loss of power, by name; nil before it.
    var remains: [String: [UInt8]]? { state.withLock { $0.remains } }

    /// Runs SQL on every connection that has the database open, behind the back of whoever opened it. None may be at
    /// work.
    func tamper(_ sql: String) {
        for address in state.withLock({ Array($0.connections.values) }) {
            precondition(sqlite3_exec(OpaquePointer(bitPattern: address), sql, nil, nil, nil) == SQLITE_OK)
        }
    }

    /// For ``FaultyVFS``, which also does what is to be done to the real files.
    func withState<Result>(_ body: (inout State) -> Result) -> Result where Result: Sendable {
        state.withLock { state in body(&state) }
    }
}

extension FaultyDisk {
    /// What a disk is made of. Its methods answer with SQLite's codes.
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
        /// Every file that there ever was; entries lead to them.
        var files: [FileOnDisk] = []
        /// The folder as the process sees it.
        var entries: [String: Int] = [:]
        /// The folder as it was at its last sync.
        var certainEntries: [String: Int] = [:]
        /// Addresses of connections, by those of their open files.
        var connections: [UInt: UInt] = [:]

        init(random: SplitMix64, fault: Fault?) {
            self.random = random
            self.fault = fault
            if case .powerLoss(let call) = fault { lastCall = call }
        }

        var isAnswering: Bool { remains == nil && !isKilled }

        /// The number of the file with a name, which is made where there is none.
        mutating func file(named name: String) -> Int {
            if let known = entries[name] { return known }
            files.append(FileOnDisk(certain: []))
            entries[name] = files.count - 1
            return files.count - 1
        }

        /// True if the power goes with this call.
        private mutating func count(_ what: String) -> Bool {
            counts.calls += 1
            guard counts.calls == lastCall else { return false }
            failure = (failure.map { $0 + "; " } ?? "") + "call \(counts.calls), \(what)"
            return true
        }

        /// - Parameter write: Writes so many of the bytes to the real file.
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

        /// - Parameter syncsFolder: True if SQLite syncs the folder too with this call.
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

/// A file's bytes: those that the disk holds for certain, and changes that it may or may not have by now.
struct FileOnDisk {
    enum Change {
        case write([UInt8], at: Int)
        case truncate(to: Int)
    }

    enum Certainty {
        /// The next sync makes it certain.
        case open
        /// Its sync failed: no later one makes it certain.
        case doubtful
        /// Certain, and not in `certain` yet because something doubtful came before it.
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

    /// - Parameter fill: Gives the bytes between the file's end and a write behind it.
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

    /// How changes that are not certain fare as a whole. Were each drawn on its own with even chances, what matters most
    /// would hardly come up: all but the last, or the last alone.
    private enum Fate: CaseIterable {
        case kept, lost, firstKept, lastKept, mixed, mostlyKept, mostlyLost
    }

    /// The file's bytes after a loss of power.
    ///
    /// Changes that were kept came to the disk in their order. Where a file became longer without its data having been
    /// written, there are zeros or whatever the disk held there before.
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
                // Of a torn write its first sectors are there, or any.
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
                // The file's length may have come to the disk without its data.
                if chance < 1, Int.random(in: 0..<8, using: &random) == 0 {
                    Self.extend(&bytes, to: end, fill: fill)
                }
            }
        }
        return bytes
    }
}
