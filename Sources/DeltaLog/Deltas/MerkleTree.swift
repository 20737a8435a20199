package import Catalog

/// The Merkle tree hash (RFC 9162, section 2.1.1) over the hashes of operations.
package enum MerkleTree {
    /// Computes the root: a leaf is SHA-256(0x00 ‖ entry), an inner node SHA-256(0x01 ‖ left ‖ right).
    ///
    /// - Complexity: Linear in the entries.
    package static func root(of entries: [Hash256], hasher: some CatalogHasher) -> Hash256 {
        guard !entries.isEmpty else { return hasher.hash([UInt8]()) }
        var level = entries.map { entry in
            withUnsafeTemporaryAllocation(byteCount: 1 + Hash256.byteCount, alignment: 8) { leaf in
                leaf[0] = 0
                entry.withUnsafeBytes { leaf[1...].copyBytes(from: $0) }
                return hasher.hash(UnsafeRawBufferPointer(leaf))
            }
        }
        // The loop pairs neighbours level by level and carries an odd last node up. The RFC splits at the largest power
        // of two, which gives the same tree.
        while level.count > 1 {
            var above: [Hash256] = []
            above.reserveCapacity((level.count + 1) / 2)
            for position in stride(from: 0, to: level.count - 1, by: 2) {
                above.append(
                    withUnsafeTemporaryAllocation(byteCount: 1 + 2 * Hash256.byteCount, alignment: 8) { node in
                        node[0] = 1
                        level[position].withUnsafeBytes { node[1...].copyBytes(from: $0) }
                        level[position + 1].withUnsafeBytes { node[(1 + Hash256.byteCount)...].copyBytes(from: $0) }
                        return hasher.hash(UnsafeRawBufferPointer(node))
                    }
                )
            }
            if !level.count.isMultiple(of: 2) { above.append(level[level.count - 1]) }
            level = above
        }
        return level[0]
    }
}
