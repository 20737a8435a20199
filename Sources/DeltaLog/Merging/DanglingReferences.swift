package import Catalog

/// The dangling references of a storage in memory: citations whose operation has not arrived.
package struct DanglingReferences: Hashable, Sendable {
    private var byDelta: [LogID: [UInt64: [UInt32: [DanglingReference]]]] = [:]

    package init() {}

    /// The dangling references by the operation that they cite.
    package var byDot: [Dot: [DanglingReference]] {
        var waiting: [Dot: [DanglingReference]] = [:]
        for (log, sequences) in byDelta {
            for (sequence, indices) in sequences {
                for (index, citations) in indices {
                    waiting[Dot(log: log, sequence: sequence, index: index)] = citations
                }
            }
        }
        return waiting
    }

    package mutating func add(_ citation: DanglingReference) {
        let dot = citation.supersession.citation.dot
        byDelta[dot.log, default: [:]][dot.sequence, default: [:]][dot.index, default: []].append(citation)
    }

    /// True if a dangling reference cites an operation of that delta.
    package func has(_ log: LogID, _ sequence: UInt64) -> Bool { byDelta[log]?[sequence] != nil }

    /// Removes and returns the references to operations of a delta, by the operation's index.
    package mutating func take(_ log: LogID, _ sequence: UInt64) -> [UInt32: [DanglingReference]] {
        byDelta[log]?.removeValue(forKey: sequence) ?? [:]
    }

    /// Removes the references of a record.
    ///
    /// - Complexity: Linear in all dangling references.
    package mutating func removeAll(of record: RecordID) {
        for (log, sequences) in byDelta {
            let left = sequences.compactMapValues { indices in
                let left = indices.compactMapValues { citations in
                    let others = citations.filter { $0.record != record }
                    return others.isEmpty ? nil : others
                }
                return left.isEmpty ? nil : left
            }
            byDelta[log] = left.isEmpty ? nil : left
        }
    }
}
