package import Catalog
package import DeltaLog
package import Gossip

/// Stores each delta of a run once, independent of how many nodes have it. It also stores data derived from deltas
/// alone: the numbers of logs, records and record states, and the locations of operations. A node's disk refers to them
/// by number.
///
/// Confined to the thread of its run.
package final class DeltaPool {
    /// A delta with its exact bytes.
    package struct Entry {
        package let delta: VerifiedDelta
        package let bytes: [UInt8]
        /// The number of its log.
        package let log: Int32
        /// The location of its first operation.
        package let base: Int64
    }

    package let alliance: AllianceID
    package let cryptography: SimulatedCryptography
    package private(set) var entries: [Entry] = []
    private var indexByBytes: [MixHash: Int32] = [:]
    private var indexByHead: [Hash256: Int32] = [:]

    package private(set) var logs: [LogID] = []
    private var logNumbers: [LogID: Int32] = [:]
    /// The branches of logs: the deltas by sequence. A forked log has more than one.
    private var branches: [[Int32]] = []
    /// The branches of each log.
    private var branchesOfLog: [[Int32]] = []

    package private(set) var records: [RecordID] = []
    private var recordNumbers: [RecordID: Int32] = [:]
    package private(set) var states: [StoredRecord] = []
    private var stateNumbers: [MixHash: Int32] = [:]
    package private(set) var organizations: [OrganizationID] = []
    private var organizationNumbers: [OrganizationID: Int] = [:]
    package private(set) var fields = FieldTable()
    /// The delta of each location, as ranges: the first location of every entry, ascending.
    private var bases: [Int64] = []
    private var nextBase: Int64 = 0

    package init(alliance: AllianceID, cryptography: SimulatedCryptography) {
        self.alliance = alliance
        self.cryptography = cryptography
    }

    // MARK: - Deltas

    /// The number of a delta; assigns one if the delta is new.
    package func add(_ delta: VerifiedDelta, bytes: [UInt8]? = nil) -> Int32 {
        if let index = indexByHead[delta.hash] { return index }
        let bytes = bytes ?? delta.encoded()
        let index = Int32(entries.count)
        entries.append(Entry(delta: delta, bytes: bytes, log: number(of: delta.log), base: nextBase))
        bases.append(nextBase)
        nextBase += Int64(delta.operations.count)
        indexByHead[delta.hash] = index
        indexByBytes[Self.key(bytes)] = index
        return index
    }

    /// The number of the delta with this head's hash; nil if the pool has never seen it.
    package func index(ofHead hash: Hash256) -> Int32? { indexByHead[hash] }

    /// The number of the delta with these bytes; nil if the pool has never seen them.
    package func index(of bytes: [UInt8]) -> Int32? {
        guard let index = indexByBytes[Self.key(bytes)], entries[Int(index)].bytes == bytes else { return nil }
        return index
    }

    private static func key(_ bytes: [UInt8]) -> MixHash {
        var key = MixHash()
        key.add(bytes)
        return key
    }

    /// Checks bytes as a node does before its engine sees them. Deltas in the pool were checked before.
    package func received(_ bytes: [UInt8]) -> ReceivedDelta {
        if let index = index(of: bytes) { return .verified(entries[Int(index)].delta) }
        let received = ReceivedDelta(checking: bytes, alliance: alliance, cryptography: cryptography)
        if case .verified(let delta) = received { _ = add(delta, bytes: bytes) }
        return received
    }

    // MARK: - Logs

    /// The number of a log; assigns one if the log is new.
    package func number(of log: LogID) -> Int32 {
        if let number = logNumbers[log] { return number }
        let number = Int32(logs.count)
        logs.append(log)
        branchesOfLog.append([])
        logNumbers[log] = number
        return number
    }

    /// The number of a log; nil if the pool has never seen it.
    package func knownNumber(of log: LogID) -> Int32? { logNumbers[log] }

    /// The delta at a sequence of a branch.
    package func delta(on branch: Int32, sequence: Int) -> Int32 { branches[Int(branch)][sequence - 1] }

    /// The branch that continues the first `count` deltas of branch `held` with this delta; creates one if there is
    /// none.
    package func branch(of log: Int32, continuing held: Int32?, count: Int, with delta: Int32) -> Int32 {
        for branch in branchesOfLog[Int(log)] {
            let deltas = branches[Int(branch)]
            guard deltas.count >= count,
                count == 0 || held.map({ deltas[count - 1] == self.delta(on: $0, sequence: count) }) == true
            else { continue }
            if deltas.count == count {
                branches[Int(branch)].append(delta)
                return branch
            }
            if deltas[count] == delta { return branch }
        }
        let number = Int32(branches.count)
        branches.append((held.map { Array(branches[Int($0)].prefix(count)) } ?? []) + [delta])
        branchesOfLog[Int(log)].append(number)
        return number
    }

    // MARK: - Records

    /// The number of a record; assigns one if the record is new.
    package func number(of record: RecordID) -> Int {
        if let number = recordNumbers[record] { return Int(number) }
        let number = records.count
        records.append(record)
        recordNumbers[record] = Int32(number)
        return number
    }

    /// The number of a record; nil if no node has saved it.
    package func knownNumber(of record: RecordID) -> Int? { recordNumbers[record].map(Int.init) }

    /// The number of a record in this state; assigns one if the state is new.
    package func number(of state: StoredRecord) -> Int32 {
        var key = MixHash(seed: 3)
        key.add(state.id.hash)
        for operation in state.state.operations {
            key.add(UInt64(bitPattern: operation.location))
            key.add(operation.hash.word0)
            for write in operation.writes {
                key.add(UInt64(write.number) << 32 | UInt64(UInt32(bitPattern: write.field.rawValue)))
            }
        }
        if let number = stateNumbers[key] {
            precondition(states[Int(number)] == state, "two states of record \(state.id) with one hash")
            return number
        }
        let number = Int32(states.count)
        states.append(state)
        stateNumbers[key] = number
        return number
    }

    /// The number of an organization; assigns one if the organization is new.
    package func number(of organization: OrganizationID) -> Int {
        if let number = organizationNumbers[organization] { return number }
        let number = organizations.count
        organizations.append(organization)
        organizationNumbers[organization] = number
        return number
    }

    /// The number of a field's path. All nodes of the run share it, so equal states are equal values.
    package func number(of field: FieldPath) -> FieldNumber { fields.number(of: field) }

    /// The operation at a location. Logarithmic.
    package func operation(at location: Int64) -> VerifiedOperation {
        var low = 0
        var high = bases.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if bases[middle] <= location { low = middle } else { high = middle }
        }
        return entries[low].delta.operations[Int(location - bases[low])]
    }
}

extension ReceivedDelta {
    /// Checks a delta's bytes, as a node does before it hands them to its engine.
    package init(checking bytes: [UInt8], alliance: AllianceID, cryptography: some Cryptography) {
        do throws(DeltaRefusal) {
            self = .verified(
                try VerifiedDelta(verifying: bytes[...], alliance: alliance, cryptography: cryptography)
            )
        } catch {
            let raw = try? RawDelta(decoding: bytes[...])
            let header = raw.flatMap { try? Header(decoding: $0.header) }
            self = .refused(log: header?.log, sequence: header?.sequence ?? 0, error)
        }
    }

    /// Checks a delta's bytes by the rules of an alliance.
    package init(checking bytes: [UInt8], in alliance: VirtualAlliance) {
        self.init(checking: bytes, alliance: alliance.id, cryptography: alliance.cryptography)
    }
}
