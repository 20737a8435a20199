import Catalog
import DeltaLog

/// The terms of a record in the search index, by column; each term is followed by a blank.
struct SearchTerms: Equatable, Sendable {
    var rest: [UInt8] = []
    var name: [UInt8] = []

    /// No further value is indexed after this number of bytes of terms in a column. A guess: an average book chapter.
    static let bytesMax = 64 * 1024

    /// True if no further value is indexed.
    var isFull: Bool { rest.count >= Self.bytesMax && name.count >= Self.bytesMax }

    var byteCount: Int { rest.count + name.count }

    mutating func removeAll() {
        rest.removeAll(keepingCapacity: true)
        name.removeAll(keepingCapacity: true)
    }

    /// Adds the terms of one encoded value: texts, JSON, and an identity's local id.
    ///
    /// - Parameter identity: The decoded value, if it is an identity.
    mutating func append(encoded value: ArraySlice<UInt8>, _ identity: RecordIdentity?, isNaming: Bool) {
        if let text = Value.textBytes(of: value) {
            if isNaming {
                if name.count < Self.bytesMax { SearchText.append(utf8: text, to: &name) }
            } else if rest.count < Self.bytesMax {
                SearchText.append(utf8: text, to: &rest)
            }
        } else if let identity, rest.count < Self.bytesMax {
            SearchText.append(identity.localID, to: &rest)
        }
    }

    /// Replaces the content by the terms of a state; a record that is not visible has none.
    ///
    /// - Parameter filter: The terms that restrict searches to its kind and owner.
    mutating func collect(_ facts: RecordChange.Facts, _ filter: [UInt8], _ operations: OperationReader) throws {
        removeAll()
        guard facts.isVisible else { return }
        for live in facts.state.operations.prefix(try operations.reach(of: facts.state)) {
            if isFull { break }
            try operations.appendTerms(of: live, to: &self)
        }
        rest += filter
    }

    /// A term that stands for a kind. It begins with a private-use character, which no terms of texts contain.
    static func filter(kind: Int64) -> String { "\u{E000}k\(kind)" }
    /// A term that stands for an owner.
    static func filter(owner: Int64) -> String { "\u{E000}o\(owner)" }
}
