package import Catalog
import DeltaLog
import SwiftProtobuf
package import Wire

/// The alliance's founding document: its name, its founders and its policy.
package struct Charter: Hashable, Sendable {
    /// An organization that is a member from the start.
    package struct Founder: Hashable, Sendable {
        package let name: String
        package let key: Hash256

        package init(name: String, key: Hash256) {
            self.name = name
            self.key = key
        }
    }

    package let name: String
    package let founders: [Founder]
    /// The number of sponsor organizations that an admission needs.
    package let sponsors: UInt32
    /// The share of all voters, in percent, that a removal must exceed. 50 to 99.
    package let removalPercent: UInt32
    /// 16 random bytes.
    package let nonce: [UInt8]

    package init(name: String, founders: [Founder], sponsors: UInt32 = 1, removalPercent: UInt32 = 50, nonce: [UInt8]) {
        self.name = name
        self.founders = founders
        self.sponsors = sponsors
        self.removalPercent = removalPercent
        self.nonce = nonce
    }

    /// The alliance's id.
    ///
    /// Computed as SHA-256 of "hansa/charter\0", the name, the number of founders, each founder's name and key, the
    /// policy's two numbers and the nonce. Texts and bytes have a length prefix.
    package func alliance(_ hasher: some CatalogHasher) -> AllianceID {
        var fields = TaggedFields("hansa/charter")
        fields.append(name)
        fields.append(UInt32(founders.count))
        for founder in founders {
            fields.append(founder.name)
            fields.append(founder.key)
        }
        fields.append(sponsors)
        fields.append(removalPercent)
        fields.append(nonce)
        return AllianceID(hasher.hash(fields.bytes))
    }

    package var message: Hansa_V0_Charter {
        .with {
            $0.name = name
            $0.founders = founders.map { founder in
                .with {
                    $0.name = founder.name
                    $0.organizationKey = founder.key.data
                }
            }
            $0.policy.sponsors = sponsors
            $0.policy.removalPercent = removalPercent
            $0.nonce = nonce.data
        }
    }

    /// Reads a Charter message; nil if a key, name or number in it is invalid.
    package init?(_ message: Hansa_V0_Charter) {
        var founders: [Founder] = []
        for founder in message.founders {
            guard let key = Hash256(founder.organizationKey) else { return nil }
            founders.append(Founder(name: founder.name, key: key))
        }
        guard !founders.isEmpty, Set(founders.map(\.key)).count == founders.count, message.nonce.count == 16,
            message.policy.sponsors > 0, (50..<100).contains(message.policy.removalPercent),
            Statement.isName(message.name), founders.allSatisfy({ Statement.isName($0.name) })
        else { return nil }
        self.init(
            name: message.name,
            founders: founders,
            sponsors: message.policy.sponsors,
            removalPercent: message.policy.removalPercent,
            nonce: Array(message.nonce)
        )
    }
}

extension OrganizationID {
    /// SHA-256 of "hansa/organization\0" and the organization's first key with a length prefix.
    package init(firstKey: Hash256, hasher: some CatalogHasher) {
        var fields = TaggedFields("hansa/organization")
        fields.append(firstKey)
        self.init(hasher.hash(fields.bytes))
    }
}
