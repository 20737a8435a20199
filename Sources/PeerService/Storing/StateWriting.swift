import Replica
import Store
import Synchronization

/// Writes the node's own state: statements, announcements, refusals. Waiting small writes share one transaction, since a
/// transaction costs more than its content.
///
/// Isolation: any task may call ``write(_:then:)``; the writes keep the order of the calls.
final class StateWriting: Sendable {
    private struct Write: Sendable {
        let body: @Sendable (inout WriteTransaction) throws -> Void
        let then: @Sendable () -> Void
    }

    private let replica: Replica
    private let stop: NodeStop
    private let waiting = Mutex<[Write]>([])

    init(replica: Replica, stop: NodeStop) {
        self.replica = replica
        self.stop = stop
    }

    /// Queues a write.
    ///
    /// - Parameter then: Called on the writer's queue when the write is on disk.
    func write(
        _ body: @escaping @Sendable (inout WriteTransaction) throws -> Void,
        then: @escaping @Sendable () -> Void = {}
    ) {
        let isFirst = waiting.withLock { writes in
            writes.append(Write(body: body, then: then))
            return writes.count == 1
        }
        guard isFirst else { return }
        replica.enqueueOnWriter { [self] in
            let writes = waiting.withLock { writes in
                defer { writes = [] }
                return writes
            }
            do {
                try replica.awaitingLock {
                    try replica.writeNow { transaction in
                        for write in writes { try write.body(&transaction) }
                    }
                }
                for write in writes { write.then() }
            } catch {
                stop.failUnlessStopping(error)
            }
        }
    }
}
