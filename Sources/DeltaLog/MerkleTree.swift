package import Catalog

/// The Merkle tree hash of RFC 9162, section 2.1.1, over operations' hashes.
package enum MerkleTree {
    /// The root; the leaf of an entry is SHA-256(0x00 ‖ entry), a node SHA-256(0x01 ‖ left ‖ right). Linear.
    package static func root(of entries: [Hash256], hasher: some CatalogHasher) -> Hash256 {
        guard !entries.isEmpty else { return hasher.hash([UInt8]()) }
        var level = entries.map { entry in
            var leaf: [UInt8] = [0]
            leaf.reserveCapacity(33)
            entry.withUnsafeBytes { leaf.append(contentsOf: $0) }
            return hasher.hash(leaf)
        }
        // Joining neighbours level by level, with an odd last one carried up as it is, gives the very tree of the RFC,
        // which splits at the largest power of two.
        while level.count > 1 {
            var above: [Hash256] = []
            above.reserveCapacity((level.count + 1) / 2)
            for position in stride(from: 0, to: level.count - 1, by: 2) {
                var node: [UInt8] = [1]
                node.reserveCapacity(65)
                level[position].withUnsafeBytes { node.append(contentsOf: $0) }
                level[position + 1].withUnsafeBytes { node.append(contentsOf: $0) }
                above.append(hasher.hash(node))
            }
            if !level.count.isMultiple(of: 2) { above.append(level[level.count - 1]) }
            level = above
        }
        return level[0]
    }
}
