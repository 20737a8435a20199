import Foundation
import Glibc
import Synchronization

/// Whether the store can be written now, as far as is known.
package struct StoreHealth: Sendable {
    /// Another program's lock that a write waits for.
    package struct Lock: Sendable {
        /// How long it has been in the way.
        package let age: Duration
        /// Who holds it, as in `process 4711 (sqlite3)`; nil where the system does not tell.
        package let holder: String?
    }

    /// A write that failed, with none since that succeeded.
    package struct Failure: Sendable {
        package let error: StoreError
        /// How long ago it was.
        package let age: Duration
    }

    /// Free bytes below which writes are soon refused: 64 MiB, which the write-ahead log takes during a load.
    package static let freeBytesMin = 64 << 20

    package let lock: Lock?
    package let failure: Failure?
    /// Bytes that this user may still write to the folder's file system; nil where the system does not tell.
    package let freeBytes: Int?
    /// True where the folder's file system takes no writes at all.
    package let isReadOnly: Bool
}

/// What is noted of locks and failed writes. Any thread may call anything.
final class WriteObstacles: Sendable {
    private struct State {
        /// Since when a lock of another program is in the way; nil where none is.
        var lockedSince: ContinuousClock.Instant?
        /// When the wait for it that is under way began.
        var waitingSince = ContinuousClock.now
        var patience: Duration
        /// True once nothing is waited for any more.
        var isOver = false
        var failure: (error: StoreError, at: ContinuousClock.Instant)?
    }

    private let state: Mutex<State>
    private static let pauseMaxMilliseconds = 50

    /// - Parameter patience: How long one attempt waits for a lock.
    init(patience: Duration) {
        state = Mutex(State(patience: patience))
    }

    /// SQLite's busy handler: true after a pause where it shall try again.
    ///
    /// - Parameter tries: How often it has asked during this wait.
    func shouldTryAgain(after tries: Int) -> Bool {
        let isPatient = state.withLock { state in
            let now = ContinuousClock.now
            if tries == 0 { state.waitingSince = now }
            if state.lockedSince == nil { state.lockedSince = now }
            return !state.isOver && state.waitingSince.duration(to: now) < state.patience
        }
        if isPatient { usleep(UInt32(min(1 << min(tries, 10), Self.pauseMaxMilliseconds)) * 1000) }
        return isPatient
    }

    /// Notes that a write has the lock.
    func acquiredLock() { state.withLock { $0.lockedSince = nil } }

    /// Notes that something was written.
    func written() { state.withLock { $0.failure = nil } }

    /// Notes why a write failed; a lock is noted already.
    func failed(_ error: StoreError) {
        guard [.diskFull, .readOnly, .inputOutput].contains(error.code) else { return }
        state.withLock { $0.failure = (error, .now) }
    }

    var hasFailed: Bool { state.withLock { $0.failure != nil } }

    /// Runs a body that waits for no lock.
    func withoutWaiting<Result>(_ body: () throws -> Result) rethrows -> Result {
        let patience = state.withLock { state in
            defer { state.patience = .zero }
            return state.patience
        }
        defer { state.withLock { $0.patience = patience } }
        return try body()
    }

    /// Has all waiting end, now and later.
    func endWaiting() { state.withLock { $0.isOver = true } }

    func health(ofDatabase path: String) -> StoreHealth {
        let now = ContinuousClock.now
        let (lockedSince, failure) = state.withLock { ($0.lockedSince, $0.failure) }
        var facts = statvfs()
        let isKnown = statvfs(path, &facts) == 0
        return StoreHealth(
            lock: lockedSince.map {
                StoreHealth.Lock(age: $0.duration(to: now), holder: LockHolder.find(ofDatabase: path))
            },
            failure: failure.map { StoreHealth.Failure(error: $0.error, age: $0.at.duration(to: now)) },
            freeBytes: isKnown ? Int(clamping: UInt64(facts.f_bavail).multipliedFull(by: facts.f_frsize)) : nil,
            isReadOnly: isKnown && facts.f_flag & UInt(ST_RDONLY) != 0
        )
    }
}

extension UInt64 {
    /// The product; the greatest number where it is greater.
    fileprivate func multipliedFull(by factor: UInt) -> UInt64 {
        let (product, isGreater) = multipliedReportingOverflow(by: UInt64(factor))
        return isGreater ? .max : product
    }
}

/// Which process holds SQLite's lock for writing, by the system's list of locks.
///
/// The list is read instead of asking `fcntl`, which takes an open file: to close that file would drop all locks of this
/// process on it (POSIX, `fcntl`).
enum LockHolder {
    /// The byte of the shared-memory file that a writer locks (SQLite's documentation, "WAL-mode File Format", 2.3.1).
    private static let writerByte = 120

    /// As in `process 4711 (sqlite3)`; nil where it is not to be found.
    static func find(ofDatabase path: String) -> String? {
        var facts = stat()
        guard stat(path + "-shm", &facts) == 0, let locks = try? String(contentsOfFile: "/proc/locks", encoding: .utf8)
        else { return nil }
        for line in locks.split(separator: "\n") {
            // 3: POSIX  ADVISORY  WRITE 4711 fe:00:131245 120 120
            let parts = line.split(separator: " ")
            guard parts.count == 8, parts[1] == "POSIX", parts[3] == "WRITE",
                parts[5].split(separator: ":").last.flatMap({ UInt64($0) }) == UInt64(facts.st_ino),
                let first = Int(parts[6]), first <= writerByte, parts[7] == "EOF" || Int(parts[7]) ?? 0 >= writerByte,
                let process = Int32(parts[4]), process > 0, process != getpid()
            else { continue }
            let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
            let program = name?.trimmingCharacters(in: .whitespacesAndNewlines)
            return "process \(process)" + (program.map { " (\($0))" } ?? "")
        }
        return nil
    }
}
