import Catalog
import DeltaLog

/// What the index for search holds of a record, by column: terms, each followed by a blank.
struct SearchTerms: Equatable, Sendable {
    var rest: [UInt8] = []
    var name: [UInt8] = []

    /// Bytes of terms in a column beyond which no further value is indexed. A guess: an average book chapter.
    static let bytesMax = 64 * 1024

    /// True if no further value is indexed.
    var isFull: Bool { rest.count >= Self.bytesMax && name.count >= Self.bytesMax }

    var byteCount: Int { rest.count + name.count }

    mutating func removeAll() {
        rest.removeAll(keepingCapacity: true)
        name.removeAll(keepingCapacity: true)
    }

    /// Takes in the terms of one value, given as its message: texts, JSON, and an identity's local id.
    ///
    /// - Parameter identity: What `value` is, where it is one.
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

    /// Takes in the terms of a state, and nothing else; none of a record that is not visible.
    ///
    /// - Parameter filter: The terms by which searches are narrowed to its kind and owner.
    mutating func collect(_ facts: RecordChange.Facts, _ filter: [UInt8], _ operations: OperationReader) throws {
        removeAll()
        guard facts.isVisible else { return }
        for live in facts.state.operations.prefix(try operations.reach(of: facts.state)) {
            if isFull { break }
            try operations.appendTerms(of: live, to: &self)
        }
        rest += filter
    }

    /// A term that stands for a kind. It begins with a character for private use, which no text's terms hold.
    static func filter(kind: Int64) -> String { "\u{E000}k\(kind)" }
    /// A term that stands for an owner.
    static func filter(owner: Int64) -> String { "\u{E000}o\(owner)" }
}
