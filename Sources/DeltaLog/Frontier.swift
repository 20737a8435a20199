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

    /// SHA-256 of "hansa/frontier\0" and, ascending by log: author and incarnation, sequence, hash of the head.
    /// Equal for equal frontiers of head hashes. Linear in the number of logs.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/frontier")
        for (log, head) in sorted {
            fields.append(log.author.hash)
            fields.append(log.incarnation)
            fields.append(head.sequence)
            fields.append(head.hash)
        }
        return hasher.hash(fields.bytes)
    }
}
