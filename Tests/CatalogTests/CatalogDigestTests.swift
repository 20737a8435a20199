import Catalog
import Simulator
import TestSupport
import Testing

struct CatalogDigestTests {
    @Test(arguments: 0..<50 as Range<UInt64>)
    func sumsInAnyOrderAndSubtractsWhatItAdded(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let hashes = (0..<8).map { _ in
            Bool.random(using: &random) ? Hash256(.max, .max, .max, .max) : Hash256.random(using: &random)
        }
        var one = CatalogDigest()
        for hash in hashes { one.add(hash) }
        var other = CatalogDigest()
        for hash in hashes.shuffled(using: &random) { other.add(hash) }
        #expect(one == other, "seed \(seed)")
        for hash in hashes.shuffled(using: &random) { other.subtract(hash) }
        #expect(other == CatalogDigest(), "seed \(seed)")
    }

    @Test func carriesThroughAllWords() {
        var digest = CatalogDigest(sum: Hash256(0, .max, .max, .max))
        digest.add(Hash256(0, 0, 0, 1))
        #expect(digest.sum == Hash256(1, 0, 0, 0))
        digest.subtract(Hash256(0, 0, 0, 1))
        #expect(digest.sum == Hash256(0, .max, .max, .max))
        digest = CatalogDigest(sum: Hash256(.max, .max, .max, .max))
        digest.add(Hash256(0, 0, 0, 1))
        #expect(digest == CatalogDigest())
        digest.add(nil)
        #expect(digest == CatalogDigest())
    }
}
