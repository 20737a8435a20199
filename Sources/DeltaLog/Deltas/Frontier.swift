package import Catalog

/// The last delta of a log that is held.
package struct Head: Hashable, Sendable {
    package let sequence: UInt64
    /// The hash of its header with its signature.
    package let hash: Hash256

    package init(sequence: UInt64, hash: Hash256) {
        self.sequence = sequence
        self.hash = hash
    }
}

/// The heads of all logs held: what a node has, without gaps, log by log.
package struct Frontier: Hashable, Sendable {
    package private(set) var heads: [LogID: Head]

    package init(_ heads: [LogID: Head] = [:]) {
        self.heads = heads
    }

    package subscript(log: LogID) -> Head? {
        get { heads[log] }
        set { heads[log] = newValue }
    }

    /// Ascending by log.
    package var sorted: [(log: LogID, head: Head)] {
        heads.map { (log: $0.key, head: $0.value) }.sorted { $0.log < $1.log }
    }

    /// Equal for equal frontiers of head hashes. Linear in the number of logs.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var sum = HashSum()
        for (log, head) in heads { sum.add(head.fingerprint(of: log, hasher: hasher)) }
        return Self.fingerprint(sum: sum, count: heads.count, hasher: hasher)
    }

    /// The fingerprint of a frontier whose heads' fingerprints have that sum: SHA-256 of "hansa/frontier\0", the sum and
    /// the number of logs.
    package static func fingerprint(sum: HashSum, count: Int, hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/frontier")
        fields.append(sum.sum)
        fields.append(UInt64(count))
        return hasher.hash(fields.bytes)
    }
}

extension Head {
    /// What a log's head adds to a frontier's sum: SHA-256 of "hansa/entry\0", author, incarnation, sequence and hash.
    package func fingerprint(of log: LogID, hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/entry")
        fields.append(log.author.hash)
        fields.append(log.incarnation)
        fields.append(sequence)
        fields.append(hash)
        return hasher.hash(fields.bytes)
    }
}
