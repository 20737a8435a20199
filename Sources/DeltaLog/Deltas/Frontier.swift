package import Catalog

/// The last delta that a node holds of a log.
package struct Head: Hashable, Sendable {
    package let sequence: UInt64
    /// The hash of the delta's header with its signature.
    package let hash: Hash256

    package init(sequence: UInt64, hash: Hash256) {
        self.sequence = sequence
        self.hash = hash
    }
}

/// The heads of all logs that a node holds. Each log is held without gaps.
package struct Frontier: Hashable, Sendable {
    package private(set) var heads: [LogID: Head]

    package init(_ heads: [LogID: Head] = [:]) {
        self.heads = heads
    }

    package subscript(log: LogID) -> Head? {
        get { heads[log] }
        set { heads[log] = newValue }
    }

    /// The heads in ascending order of their logs.
    package var sorted: [(log: LogID, head: Head)] {
        heads.map { (log: $0.key, head: $0.value) }.sorted { $0.log < $1.log }
    }

    /// A hash of all heads; equal frontiers have equal fingerprints.
    ///
    /// - Complexity: Linear in the number of logs.
    package func fingerprint(hasher: some CatalogHasher) -> Hash256 {
        var sum = HashSum()
        for (log, head) in heads { sum.add(head.fingerprint(of: log, hasher: hasher)) }
        return Self.fingerprint(sum: sum, count: heads.count, hasher: hasher)
    }

    /// The fingerprint of a frontier, given the sum of its heads' fingerprints.
    ///
    /// Computed as SHA-256 of "hansa/frontier\0", the sum and the number of logs.
    package static func fingerprint(sum: HashSum, count: Int, hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/frontier")
        fields.append(sum.sum)
        fields.append(UInt64(count))
        return hasher.hash(fields.bytes)
    }
}

extension Head {
    /// The head's contribution to a frontier's sum: SHA-256 of "hansa/entry\0", author, incarnation, sequence and hash.
    package func fingerprint(of log: LogID, hasher: some CatalogHasher) -> Hash256 {
        var fields = TaggedFields("hansa/entry")
        fields.append(log.author.hash)
        fields.append(log.incarnation)
        fields.append(sequence)
        fields.append(hash)
        return hasher.hash(fields.bytes)
    }
}
