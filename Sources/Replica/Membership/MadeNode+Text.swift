import Catalog

extension NodeFolder.Made {
    /// The alliance's id, 64 hexadecimal digits.
    package var allianceHex: String { alliance.hex }
    /// The organization's id, likewise.
    package var organizationHex: String { organization.hex }
    /// The node's key, likewise.
    package var nodeHex: String { node.hex }
}
