import Logging
import Replica
import Store
import Synchronization

/// Maintains the store while nothing is written: merges segments of the search index, checkpoints the write-ahead log, and
/// returns freed memory. Reports other programs' locks in the log.
final class Maintenance: Sendable {
    private let replica: Replica
    private let stop: NodeStop
    private let logger: Logger
    /// True while steps are queued, so that one is queued at a time.
    private let isMaintaining = Mutex(false)
    /// True after the log has reported another program's lock, until it reports the lock's end.
    private let isLockNoted = Mutex(false)

    /// The time without writes after which maintenance begins. A second, a guess.
    private static let idlePause = Duration.seconds(1)
    /// The time after which the log reports another program's lock.
    private static let lockNoted = Duration.seconds(5)

    init(replica: Replica, stop: NodeStop, logger: Logger) {
        self.replica = replica
        self.stop = stop
        self.logger = logger
    }

    /// Checks the store once a second, until the task is cancelled.
    func run() async {
        while (try? await Task.sleep(for: Self.idlePause)) != nil {
            watchLock()
            let isBegun = isMaintaining.withLock { isMaintaining in
                defer { isMaintaining = true }
                return isMaintaining
            }
            if !isBegun { optimize() }
        }
    }

    private func watchLock() {
        let lock = replica.health.lock
        isLockNoted.withLock { isNoted in
            if let lock, !isNoted, lock.age >= Self.lockNoted {
                isNoted = true
                logger.warning(
                    "another program holds a lock on the database; nothing can be written until it is gone",
                    metadata: ["holder": "\(lock.holder ?? "unknown")"]
                )
            } else if lock == nil, isNoted {
                isNoted = false
                logger.info("the lock on the database is gone")
            }
        }
    }

    /// Maintains the store in steps, so that other writes run between them.
    private func optimize() {
        replica.enqueueOnWriter { [self] in
            do {
                if try replica.maintainNow(ifIdleFor: Self.idlePause) { return optimize() }
            } catch let error as StoreError where !error.isFatal {
                // Nobody has asked for it, so a full disk does not stop the node; the next round tries again.
                logger.debug("not optimized", metadata: ["reason": "\(error.message)"])
            } catch {
                stop.fail(error)
            }
            isMaintaining.withLock { $0 = false }
        }
    }
}
