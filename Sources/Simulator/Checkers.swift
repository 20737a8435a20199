import Catalog
import DeltaLog

/// Checks that run outside the engines at each step, over a whole run.
package final class Checkers {
    /// A broken promise.
    package struct Violation: Hashable, Sendable {
        package let what: String
        /// Nanoseconds since the start.
        package let at: UInt64
    }

    /// A position in a log, which at most one delta can have.
    private struct Position: Hashable {
        let log: LogID
        let sequence: UInt64
    }

    /// The maximum number of bytes in flight to one peer: a node's transport drops the peer at this amount.
    package static let outstandingBytesMax = 32 * 1024 * 1024
    /// The maximum number of stored violations; the first one matters most.
    private static let violationsMax = 100
    /// The number of frontiers with remembered digests, in each of two generations.
    private static let frontiersMax = 50_000

    package private(set) var violations: [Violation] = []
    private var digests: [MixHash: (digest: CatalogDigest, nodeIndex: Int)] = [:]
    private var olderDigests: [MixHash: (digest: CatalogDigest, nodeIndex: Int)] = [:]
    private var written: [Position: Hash256] = [:]

    init() {}

    /// Records a broken promise.
    func note(_ what: String, at now: UInt64) {
        guard violations.count < Self.violationsMax else { return }
        violations.append(Violation(what: what, at: now))
    }

    /// Compares a node's digest with the digest of an earlier node with the same frontier. Returns that node's index if
    /// the digests differ.
    func compare(frontier: MixHash, digest: CatalogDigest, nodeIndex: Int) -> Int? {
        if let known = digests[frontier] ?? olderDigests[frontier] {
            return known.digest == digest ? nil : known.nodeIndex
        }
        if digests.count >= Self.frontiersMax {
            olderDigests = digests
            digests = [:]
        }
        digests[frontier] = (digest, nodeIndex)
        return nil
    }

    /// Records that an author's disk has stored an own delta. If the disk stored a different delta before at the same
    /// position of the log, returns its hash: two honest deltas never share a position.
    func continued(_ delta: VerifiedDelta) -> Hash256? {
        let position = Position(log: delta.log, sequence: delta.header.sequence)
        if let other = written[position], other != delta.hash { return other }
        written[position] = delta.hash
        return nil
    }
}
