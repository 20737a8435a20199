import Catalog
import DeltaLog
import Simulator
import TestSupport
import Testing

/// Tests RFC 9162, section 2.1.1.
struct MerkleTreeTests {
    private let hasher = RealCryptography()

    /// The definition in the RFC: split at the largest power of two below the count.
    private func root(_ entries: ArraySlice<Hash256>) -> Hash256 {
        guard entries.count > 1 else { return hasher.hash([0] + entries[entries.startIndex].bytes) }
        var split = 1
        while split * 2 < entries.count { split *= 2 }
        let middle = entries.startIndex + split
        return hasher.hash([1] + root(entries[..<middle]).bytes + root(entries[middle...]).bytes)
    }

    @Test func matchesTheDefinition() {
        var random = SplitMix64(seed: 1)
        let entries = (0..<130).map { _ in Hash256.random(using: &random) }
        for count in 1...130 {
            #expect(MerkleTree.root(of: Array(entries[..<count]), hasher: hasher) == root(entries[..<count]))
        }
        #expect(
            MerkleTree.root(of: [], hasher: hasher).hex
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )
    }
}
