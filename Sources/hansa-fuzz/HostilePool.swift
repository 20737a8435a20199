import Catalog
import DeltaLog
import Gossip
import Simulator

/// A delta that hostile nodes or honest ones have signed, as it may be sent.
struct PooledDelta {
    let log: LogID
    let head: Head
    let bytes: [UInt8]
    let header: SignedHeader
}

/// All that hostile nodes have signed, and what they know of others' deltas: what their messages are made of. Bounded, so
/// that what honest nodes rightly keep stays bounded too.
struct HostilePool {
    /// Deltas of hostile nodes' own, whether they continue a log or not.
    private(set) var signed: [PooledDelta] = []
    /// Of each log one course without gaps, from sequence 1.
    private(set) var chains: [LogID: [PooledDelta]] = [:]
    /// Second deltas for places in those.
    private(set) var twins: [PooledDelta] = []
    private(set) var signedBytes = 0
    /// Every log ever heard of, and the first one of each author.
    private(set) var logs: [LogID] = []
    var statements: [[UInt8]] = []
    var statementIDs: [Hash256] = []
    var announcements: [[UInt8]] = []
    /// Operations that may be cited, of any log, and the records that they are about.
    private(set) var operations: [(dot: Dot, prefix: UInt64, key: RecordKey)] = []
    /// Frames that honest nodes sent, to be changed and sent back.
    private(set) var frames: [[UInt8]] = []

    /// Deltas signed in one run at most, and their bytes together.
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

    /// Takes in a delta, which is part of its log's course where it continues that.
    mutating func add(_ delta: PooledDelta, _ operations: [(dot: Dot, prefix: UInt64, key: RecordKey)]) {
        know(delta.log)
        if delta.head.sequence == UInt64(chains[delta.log]?.count ?? 0) + 1 { chains[delta.log]?.append(delta) }
        self.operations += operations.prefix(4)
        if self.operations.count > 2_000 { self.operations.removeFirst(1_000) }
    }

    mutating func keep(frame: [UInt8], at place: Int) {
        guard frame.count < 64 * 1024 else { return }
        if frames.count < 64 { frames.append(frame) } else { frames[place % frames.count] = frame }
    }

    /// The deltas of a log's course within a range.
    func stretch(_ range: LogRange) -> ArraySlice<PooledDelta> {
        guard let chain = chains[range.log], range.from >= 1, range.from <= range.to, range.from <= UInt64(chain.count)
        else { return [] }
        return chain[Int(range.from - 1)..<Int(min(range.to, UInt64(chain.count)))]
    }
}
