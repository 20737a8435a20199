/// A value of a field: one of a closed set of types that later versions may extend.
package enum Value: Hashable, Sendable {
    case text(String)
    case integer(Int64)
    /// A decimal number, kept as it was written.
    case decimal(String)
    case boolean(Bool)
    /// A structured value, as JSON text.
    case json(String)
    case bytes([UInt8])
    /// The value of ``FieldPath/identity``.
    case identity(RecordIdentity)
    /// The exact bytes of a value whose type this version does not know. Nodes keep, relay and export them.
    case unknown([UInt8])

    /// Two values are equal if they have the same type and the same bytes.
    package static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.text(let one), .text(let other)), (.decimal(let one), .decimal(let other)),
            (.json(let one), .json(let other)):
            one.hasSameBytes(as: other)
        case (.integer(let one), .integer(let other)): one == other
        case (.boolean(let one), .boolean(let other)): one == other
        case (.bytes(let one), .bytes(let other)), (.unknown(let one), .unknown(let other)): one == other
        case (.identity(let one), .identity(let other)): one == other
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .text(let text), .decimal(let text), .json(let text): hasher.combine(bytesOf: text)
        case .integer(let number): hasher.combine(number)
        case .boolean(let flag): hasher.combine(flag)
        case .bytes(let bytes), .unknown(let bytes): hasher.combine(bytes)
        case .identity(let identity): hasher.combine(identity)
        }
    }

    /// The value's text for display.
    package var displayText: String {
        switch self {
        case .text(let text), .decimal(let text), .json(let text): text
        case .integer(let number): String(number)
        case .boolean(let flag): flag ? "true" : "false"
        case .bytes(let bytes): Hex.string(bytes)
        case .identity(let identity): "\(identity.kind)/\(identity.localID)"
        case .unknown: "(needs a newer node)"
        }
    }
}

/// The kind and the owner's own id, from which a record's key is computed.
package struct RecordIdentity: Hashable, Sendable {
    package let kind: String
    /// The owner's own id: 1 to 1,024 bytes of UTF-8, any characters, kept byte for byte.
    package let localID: String

    package init(kind: String, localID: String) {
        self.kind = kind
        self.localID = localID
    }

    /// Compares byte for byte.
    package static func == (left: RecordIdentity, right: RecordIdentity) -> Bool {
        left.kind.hasSameBytes(as: right.kind) && left.localID.hasSameBytes(as: right.localID)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(bytesOf: kind)
        hasher.combine(bytesOf: localID)
    }

    /// SHA-256 of "hansa/key\0", kind and local id, each with a length prefix.
    package func key(_ hasher: some CatalogHasher) -> RecordKey {
        var (kind, localID) = (kind, localID)
        return kind.withUTF8 { kind in
            localID.withUTF8 { localID in
                RecordKey(
                    ofKind: UnsafeRawBufferPointer(kind),
                    localID: UnsafeRawBufferPointer(localID),
                    hasher: hasher
                )
            }
        }
    }
}

extension RecordKey {
    /// Like ``RecordIdentity/key(_:)``, for texts in UTF-8.
    package init(ofKind kind: UnsafeRawBufferPointer, localID: UnsafeRawBufferPointer, hasher: some CatalogHasher) {
        var fields = TaggedFields("hansa/key")
        fields.append(kind)
        fields.append(localID)
        self.init(hasher.hash(fields.bytes))
    }
}

extension RecordID {
    /// SHA-256 of "hansa/record\0", alliance, owner and key, each with a length prefix. Constant time.
    package init(alliance: AllianceID, owner: OrganizationID, key: RecordKey, hasher: some CatalogHasher) {
        var fields = TaggedFields("hansa/record")
        fields.append(alliance.hash)
        fields.append(owner.hash)
        fields.append(key.hash)
        self.init(hasher.hash(fields.bytes))
    }
}
