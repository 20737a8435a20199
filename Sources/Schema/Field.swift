/// A field of one kind of record, or of all kinds.
///
/// Kinds that share a field's name agree on everything that merging and search use: sets, languages and roles. Type and
/// words may differ.
package struct Field: Sendable {
    /// The part of a path before its first slash, in ASCII.
    package let name: String
    /// The type of the field's value, or of an element of its set.
    package let type: ValueType
    /// True if the field holds a set, not a register.
    package let isSet: Bool
    /// True if the field has a register for each language, at `name/LANGUAGE`.
    package let isPerLanguage: Bool
    /// The purposes of the field for its record.
    package let roles: Set<Role>
    /// The field's label and description.
    package private(set) var words = Words()

    /// The kinds of record that a value may refer to; empty if values are no references.
    package var reference: Set<Kind> {
        if case .reference(let kinds) = type { kinds } else { [] }
    }

    /// Creates a field without words.
    init(
        _ name: String,
        _ type: ValueType,
        set isSet: Bool = false,
        perLanguage isPerLanguage: Bool = false,
        roles: Set<Role> = []
    ) {
        self.name = name
        self.type = type
        self.isSet = isSet
        self.isPerLanguage = isPerLanguage
        self.roles = roles
    }

    /// Returns a copy with English words.
    func english(_ label: String, _ description: String) -> Field {
        var field = self
        field.words = words.english(label, description)
        return field
    }

    /// Returns a copy with Chinese words.
    func chinese(_ label: String, _ description: String) -> Field {
        var field = self
        field.words = words.chinese(label, description)
        return field
    }
}

/// The purpose of a field for its record, in addition to holding a value.
package enum Role: Hashable, Sendable {
    /// A name or a description under any field name. Imports and edits require one such field, since a record without
    /// it is useless to readers.
    case naming
    /// A title of the record. Lists show the first such field that has a value.
    case title
    /// Another name of the record. Search ranks it like a title; lists do not show it.
    case alias
}

/// The label and description of a kind or field in the languages of the alliance.
package struct Words: Hashable, Sendable {
    /// The words in one language.
    package struct Phrase: Hashable, Sendable {
        /// A few words, without a full stop.
        package let label: String
        /// One sentence.
        package let description: String
    }

    /// In English.
    package private(set) var english = Phrase(label: "", description: "")
    /// In simplified Chinese.
    package private(set) var chinese = Phrase(label: "", description: "")

    /// Returns a copy with these English words.
    func english(_ label: String, _ description: String) -> Words {
        var words = self
        words.english = Phrase(label: label, description: description)
        return words
    }

    /// Returns a copy with these Chinese words.
    func chinese(_ label: String, _ description: String) -> Words {
        var words = self
        words.chinese = Phrase(label: label, description: description)
        return words
    }
}
