import Catalog
import DeltaLog
import Gossip
import Simulator

/// A delta signed by a hostile or an honest node, ready to send.
struct PooledDelta {
    let log: LogID
    let head: Head
    let bytes: [UInt8]
    let header: SignedHeader
}

/// All data that hostile nodes have signed, and the deltas of other nodes that they know; their messages consist of it.
/// The pool is bounded, so that the data which honest nodes must keep is bounded too.
struct HostilePool {
    /// The hostile nodes' own deltas, including those that continue no log.
    private(set) var signed: [PooledDelta] = []
    /// One branch of each log without gaps, from sequence 1.
    private(set) var chains: [LogID: [PooledDelta]] = [:]
    /// Other deltas for the same log positions.
    private(set) var twins: [PooledDelta] = []
    private(set) var signedBytes = 0
    /// Every known log.
    private(set) var logs: [LogID] = []
    var statements: [[UInt8]] = []
    var statementIDs: [Hash256] = []
    var announcements: [[UInt8]] = []
    /// Operations of any log that may be cited, with their records' keys.
    private(set) var operations: [(dot: Dot, prefix: UInt64, key: RecordKey)] = []
    /// Frames of honest nodes, which may be changed and sent back.
    private(set) var frames: [[UInt8]] = []

    /// The maximum number of signed deltas in one run, and their maximum total size.
    static let deltasMax = 250
    static let bytesMax = 12 * 1024 * 1024
    static let statementsMax = 120
    static let announcementsMax = 120

    var isFull: Bool { signed.count >= Self.deltasMax || signedBytes >= Self.bytesMax }

    mutating func know(_ log: LogID) {
        if chains[log] == nil {
            chains[log] = []
            logs.append(log)
        }
    }

    mutating func addSigned(_ delta: PooledDelta, _ operations: [(dot: Dot, prefix: UInt64, key: RecordKey)]) {
        signed.append(delta)
        signedBytes += delta.bytes.count
        add(delta, operations)
    }

    mutating func addTwin(_ delta: PooledDelta) {
        signed.append(delta)
        twins.append(delta)
        signedBytes += delta.bytes.count
    }

    /// Adds a delta; it becomes part of its log's branch if it continues it.
    mutating func add(_ delta: PooledDelta, _ operations: [(dot: Dot, prefix: UInt64, key: RecordKey)]) {
        know(delta.log)
        if delta.head.sequence == UInt64(chains[delta.log]?.count ?? 0) + 1 { chains[delta.log]?.append(delta) }
        self.operations += operations.prefix(4)
        if self.operations.count > 2_000 { self.operations.removeFirst(1_000) }
    }

    mutating func keep(frame: [UInt8], at nodeIndex: Int) {
        guard frame.count < 64 * 1024 else { return }
        if frames.count < 64 { frames.append(frame) } else { frames[nodeIndex % frames.count] = frame }
    }

    /// The deltas of a log's branch within a range.
    func slice(_ range: LogRange) -> ArraySlice<PooledDelta> {
        guard let chain = chains[range.log], range.from >= 1, range.from <= range.to, range.from <= UInt64(chain.count)
        else { return [] }
        return chain[Int(range.from - 1)..<Int(min(range.to, UInt64(chain.count)))]
    }
}
