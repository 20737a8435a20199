/// An identifier of 32 bytes. Each kind of thing has its own type, so they cannot be confused.
package protocol Identifier256: Hashable, Comparable, Sendable, CustomStringConvertible {
    var hash: Hash256 { get }
    init(_ hash: Hash256)
}

extension Identifier256 {
    /// Takes exactly 32 bytes; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        guard let hash = Hash256(bytes) else { return nil }
        self.init(hash)
    }

    /// Takes exactly 32 bytes; nil for any other number.
    package init?(bytes: ArraySlice<UInt8>) {
        guard let hash = Hash256(bytes) else { return nil }
        self.init(hash)
    }

    /// Parses 64 hexadecimal digits; nil for anything else.
    package init?(hex: String) {
        guard let hash = Hash256(hex: hex) else { return nil }
        self.init(hash)
    }

    package var bytes: [UInt8] { hash.bytes }
    package var hex: String { hash.hex }
    /// The first 8 hexadecimal digits, for display.
    package var short: String { String(hash.hex.prefix(8)) }
    package var description: String { hex }
    @inlinable package static func == (left: Self, right: Self) -> Bool { left.hash == right.hash }
    @inlinable package static func < (left: Self, right: Self) -> Bool { left.hash < right.hash }
    @inlinable package func hash(into hasher: inout Hasher) { hash.hash(into: &hasher) }
}

/// An alliance's id: the hash of its charter.
package struct AllianceID: Identifier256 {
    @usableFromInline package let hash: Hash256
    @inlinable package init(_ hash: Hash256) { self.hash = hash }
}

/// An organization's id: the hash of its first organization key, so key rotation does not change it.
package struct OrganizationID: Identifier256 {
    @usableFromInline package let hash: Hash256
    @inlinable package init(_ hash: Hash256) { self.hash = hash }
}

/// A node's Ed25519 public key, which is also its TLS identity.
package struct NodeKey: Identifier256 {
    @usableFromInline package let hash: Hash256
    @inlinable package init(_ hash: Hash256) { self.hash = hash }
}

/// A record's id: the hash of alliance, owner and key (see ``RecordIdentity``).
package struct RecordID: Identifier256 {
    @usableFromInline package let hash: Hash256
    @inlinable package init(_ hash: Hash256) { self.hash = hash }
}

/// The hash of a record's kind and local id; every operation carries it.
///
/// Alliance, owner and this key give the ``RecordID``. An operation names its record by this key, and its owner unless
/// that is the author's organization. The operation alone therefore shows whether its author may write the record, even
/// after everything else about the record was erased.
package struct RecordKey: Identifier256 {
    @usableFromInline package let hash: Hash256
    @inlinable package init(_ hash: Hash256) { self.hash = hash }
}

/// Identifies a log: the deltas that a node wrote under one incarnation.
///
/// A node starts a new incarnation if it cannot prove after a start that its data continues the old log.
package struct LogID: Hashable, Comparable, Sendable {
    /// The author: the node whose key signs this log.
    @usableFromInline package let author: NodeKey
    /// A random number, drawn when the log was created.
    @usableFromInline package let incarnation: UInt64

    @inlinable package init(author: NodeKey, incarnation: UInt64) {
        self.author = author
        self.incarnation = incarnation
    }

    /// The size of ``bytes``.
    package static let byteCount = 40

    /// The author, then the incarnation in big-endian order.
    package var bytes: [UInt8] {
        author.bytes + withUnsafeBytes(of: incarnation.bigEndian) { Array($0) }
    }

    /// Parses ``bytes``; nil unless there are 40 of them.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount, let author = NodeKey(bytes: bytes.prefix(32)) else { return nil }
        self.author = author
        incarnation = bytes.dropFirst(32).reduce(0) { $0 << 8 | UInt64($1) }
    }

    @inlinable package static func == (left: LogID, right: LogID) -> Bool {
        left.author == right.author && left.incarnation == right.incarnation
    }

    @inlinable package func hash(into hasher: inout Hasher) {
        author.hash(into: &hasher)
        hasher.combine(incarnation)
    }

    @inlinable package static func < (left: LogID, right: LogID) -> Bool {
        left.author != right.author ? left.author < right.author : left.incarnation < right.incarnation
    }
}

/// Identifies an operation. Dots are unique, and ordered by log, sequence and index.
package struct Dot: Hashable, Comparable, Sendable {
    package let log: LogID
    /// The number of the delta in its log, from 1.
    package let sequence: UInt64
    /// The index of the operation in its delta, from 0.
    package let index: UInt32

    package init(log: LogID, sequence: UInt64, index: UInt32) {
        self.log = log
        self.sequence = sequence
        self.index = index
    }

    package static func < (left: Dot, right: Dot) -> Bool {
        if left.log != right.log { return left.log < right.log }
        if left.sequence != right.sequence { return left.sequence < right.sequence }
        return left.index < right.index
    }
}
