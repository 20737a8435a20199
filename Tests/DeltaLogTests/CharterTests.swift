import Catalog
import Foundation
import Governance
import Simulator
import TestSupport
import Testing
import Wire

struct CharterTests {
    private let charter = TestAlliance(founders: [1, 2]).charter

    @Test func aCharterIsReadBackAndItsIDCoversEveryField() throws {
        #expect(Charter(charter.message) == charter)
        let hasher = RealCryptography()
        let changes: [(inout Hansa_V0_Charter) -> Void] = [
            { $0.name = "Tesu" }, { $0.founders[0].name = "X" }, { $0.founders.swapAt(0, 1) },
            { $0.policy.sponsors = 2 },
            { $0.policy.removalPercent = 60 }, { $0.nonce = Data(repeating: 8, count: 16) },
            { $0.founders.removeLast() },
        ]
        for change in changes {
            var message = charter.message
            change(&message)
            let other = try #require(Charter(message))
            #expect(other.alliance(hasher) != charter.alliance(hasher))
        }
    }

    @Test func impossibleChartersAreRefused() {
        let changes: [(inout Hansa_V0_Charter) -> Void] = [
            { $0.founders = [] }, { $0.founders[0].organizationKey = Data() }, { $0.founders[0] = $0.founders[1] },
            { $0.policy.sponsors = 0 }, { $0.policy.removalPercent = 49 }, { $0.policy.removalPercent = 100 },
            { $0.nonce = Data() }, { $0.name = "a/b" }, { $0.founders[0].name = " a" },
        ]
        for change in changes {
            var message = charter.message
            change(&message)
            #expect(Charter(message) == nil)
        }
    }
}
