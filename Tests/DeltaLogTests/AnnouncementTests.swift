import Catalog
import Governance
import Simulator
import TestSupport
import Testing

struct AnnouncementTests {
    private let alliance = TestAlliance()

    private func announcement(_ version: UInt64, _ addresses: [String], by node: UInt64 = 11) throws -> Announcement {
        try Announcement(
            verifying: Announcement.sign(
                addresses: addresses,
                version: version,
                alliance: alliance.id,
                node: KeyedHashSigner(number: node)
            ),
            alliance: alliance.id,
            cryptography: alliance.cryptography
        )
    }

    @Test func theNewestOfEachNodeCountsInEveryOrder() throws {
        let all = [
            try announcement(1, ["a:1"]), try announcement(2, ["b:1"]), try announcement(2, ["c:1"]),
            try announcement(1, ["d:1"], by: 12),
        ]
        var expected: AnnouncementSet?
        for order in permutations(of: all.count) {
            var set = AnnouncementSet()
            for number in order { _ = set.insert(all[number]) }
            for number in order {
                let isNew = set.insert(all[number])
                #expect(!isNew)
            }
            #expect(set.latest[alliance.node(11)]?.version == 2)
            #expect(set == expected ?? set)
            #expect(
                set.fingerprint(hasher: alliance.cryptography)
                    == (expected ?? set).fingerprint(hasher: alliance.cryptography)
            )
            expected = set
        }
        #expect(expected?.sorted.count == 2)
    }

    @Test func unusableAddressesAndVersionsAreRefused() {
        for addresses in [
            [""], ["a b:1"], ["a\n:1"], ["é:1"], [String(repeating: "a", count: 301)],
            Array(repeating: "a:1", count: 17),
        ] {
            #expect(throws: StatementRefusal.malformed) { try announcement(1, addresses) }
        }
        #expect(throws: StatementRefusal.malformed) { try announcement(Announcement.versionMax + 1, []) }
        #expect(throws: Never.self) { try announcement(Announcement.versionMax, []) }
    }

    @Test func anotherAlliancesOrKeysAnnouncementIsRefused() throws {
        let bytes = try announcement(1, ["a:1"]).encoded
        #expect(throws: StatementRefusal.foreignAlliance) {
            try Announcement(
                verifying: bytes,
                alliance: AllianceID(.zero),
                cryptography: alliance.cryptography
            )
        }
        #expect(throws: StatementRefusal.tooLarge) {
            try Announcement(
                verifying: [UInt8](repeating: 0, count: Statement.bytesMax + 1),
                alliance: alliance.id,
                cryptography: alliance.cryptography
            )
        }
    }
}
