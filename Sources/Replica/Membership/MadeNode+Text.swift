import Catalog

extension NodeFolder.Made {
    /// The alliance's id, 64 hexadecimal digits.
    package var allianceHex: String { alliance.hex }
    /// The organization's id, 64 hexadecimal digits.
    package var organizationHex: String { organization.hex }
    /// The node's key, 64 hexadecimal digits.
    package var nodeHex: String { node.hex }
}
