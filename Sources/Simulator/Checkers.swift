import Catalog
import DeltaLog

/// What is watched from outside the engines, step by step, over a whole run.
package final class Checkers {
    /// A promise that was broken.
    package struct Violation: Hashable, Sendable {
        package let what: String
        /// Nanoseconds since the start.
        package let at: UInt64
    }

    /// The place in a log that one delta can have.
    private struct Position: Hashable {
        let log: LogID
        let sequence: UInt64
    }

    /// Bytes that may be under way to one peer: what a node's transport holds before it gives the peer up.
    package static let outstandingBytesMax = 32 * 1024 * 1024
    /// Violations kept; the first is what matters.
    private static let violationsMax = 100
    /// Frontiers whose digests are remembered, in each of two generations.
    private static let frontiersMax = 50_000

    package private(set) var violations: [Violation] = []
    private var digests: [MixHash: (digest: CatalogDigest, place: Int)] = [:]
    private var olderDigests: [MixHash: (digest: CatalogDigest, place: Int)] = [:]
    private var written: [Position: Hash256] = [:]

    init() {}

    /// Notes that a promise was broken.
    func note(_ what: String, at now: UInt64) {
        guard violations.count < Self.violationsMax else { return }
        violations.append(Violation(what: what, at: now))
    }

    /// Compares a node's digest with that of whoever held the same frontier before it. Returns the place of a node whose
    /// digest differs.
    func compare(frontier: MixHash, digest: CatalogDigest, place: Int) -> Int? {
        if let known = digests[frontier] ?? olderDigests[frontier] {
            return known.digest == digest ? nil : known.place
        }
        if digests.count >= Self.frontiersMax {
            olderDigests = digests
            digests = [:]
        }
        digests[frontier] = (digest, place)
        return nil
    }

    /// Notes that an author's disk has taken an own delta. Returns the hash of another one that it had taken before with
    /// the same sequence of the same log: two honest deltas never share their place.
    func continued(_ delta: VerifiedDelta) -> Hash256? {
        let position = Position(log: delta.log, sequence: delta.header.sequence)
        if let other = written[position], other != delta.hash { return other }
        written[position] = delta.hash
        return nil
    }
}
