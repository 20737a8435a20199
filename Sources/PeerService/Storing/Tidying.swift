import Logging
import Replica
import Store
import Synchronization

/// Tidies the store while nothing is written: it merges segments of the index for search, checkpoints the write-ahead log and
/// gives freed memory back. Tells in the log of other programs' locks.
final class Tidying: Sendable {
    private let replica: Replica
    private let stop: NodeStop
    private let logger: Logger
    /// True while steps are queued, so that one is queued at a time.
    private let isTidying = Mutex(false)
    /// True while the log has told of another program's lock, and not yet of its end.
    private let isLockNoted = Mutex(false)

    /// How long nothing is written before the store is tidied. A second, a guess.
    private static let idlePause = Duration.seconds(1)
    /// How long a lock of another program is in the way before the log tells of it.
    private static let lockNoted = Duration.seconds(5)

    init(replica: Replica, stop: NodeStop, logger: Logger) {
        self.replica = replica
        self.stop = stop
        self.logger = logger
    }

    /// Looks at the store once a second, until the task is cancelled.
    func run() async {
        while (try? await Task.sleep(for: Self.idlePause)) != nil {
            watchLock()
            let isBegun = isTidying.withLock { isTidying in
                defer { isTidying = true }
                return isTidying
            }
            if !isBegun { tidy() }
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

    /// Tidies step by step: other writes come in between.
    private func tidy() {
        replica.enqueueOnWriter { [self] in
            do {
                if try replica.maintainNow(ifIdleFor: Self.idlePause) { return tidy() }
            } catch let error as StoreError where !error.isFatal {
                // Nobody has asked for it, so a full disk is no reason to stop; the next round tries again.
                logger.debug("not tidied", metadata: ["reason": "\(error.message)"])
            } catch {
                stop.fail(error)
            }
            isTidying.withLock { $0 = false }
        }
    }
}
