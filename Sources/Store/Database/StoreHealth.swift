import Foundation
import Glibc
import Synchronization

/// Whether the store can be written now, as far as known.
package struct StoreHealth: Sendable {
    /// A lock of another program that a write waits for.
    package struct Lock: Sendable {
        /// How long it has blocked writes.
        package let age: Duration
        /// The process that holds it, as in `process 4711 (sqlite3)`; nil if the system does not tell.
        package let holder: String?
    }

    /// A failed write that no successful write has followed.
    package struct Failure: Sendable {
        package let error: StoreError
        /// How long ago it was.
        package let age: Duration
    }

    /// Free bytes below which writes are soon refused: 64 MiB, which the write-ahead log takes during a load.
    package static let freeBytesMin = 64 << 20

    package let lock: Lock?
    package let failure: Failure?
    /// Bytes that this user may still write to the folder's file system; nil if the system does not tell.
    package let freeBytes: Int?
    /// True if the folder's file system is read-only.
    package let isReadOnly: Bool
}

/// The record of locks and failed writes. Thread-safe.
final class WriteObstacles: Sendable {
    private struct State {
        /// When a lock of another program began to block writes; nil if none does.
        var lockedSince: ContinuousClock.Instant?
        /// When the present wait for it began.
        var waitingSince = ContinuousClock.now
        var patience: Duration
        /// True once no call waits for locks any more.
        var isOver = false
        var failure: (error: StoreError, at: ContinuousClock.Instant)?
    }

    private let state: Mutex<State>
    private static let pauseMaxMilliseconds = 50

    /// - Parameter patience: How long one attempt waits for a lock.
    init(patience: Duration) {
        state = Mutex(State(patience: patience))
    }

    /// SQLite's busy handler. Pauses and returns true if SQLite shall try again.
    ///
    /// - Parameter tries: The number of earlier calls during this wait.
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

    /// Records that a write has acquired the lock.
    func acquiredLock() { state.withLock { $0.lockedSince = nil } }

    /// Records a successful write.
    func written() { state.withLock { $0.failure = nil } }

    /// Records why a write failed. Locks are recorded by ``shouldTryAgain(after:)``.
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

    /// Ends all present and future waits.
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
    /// The product, or the maximum on overflow.
    fileprivate func multipliedFull(by factor: UInt) -> UInt64 {
        let (product, isGreater) = multipliedReportingOverflow(by: UInt64(factor))
        return isGreater ? .max : product
    }
}

/// Finds the process that holds SQLite's write lock, from the system's list of locks.
///
/// Reading the list avoids `fcntl`, which needs an open file: closing that file would drop all locks of this process on
/// it (POSIX, `fcntl`).
enum LockHolder {
    /// The byte of the shared-memory file that a writer locks (SQLite's documentation, "WAL-mode File Format", 2.3.1).
    private static let writerByte = 120

    /// As in `process 4711 (sqlite3)`; nil if it cannot be found.
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
