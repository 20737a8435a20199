/// A field of one kind of record, or of all kinds.
///
/// A name means the same in every kind that has it as far as merging and search go: whether it holds a set, whether it
/// has languages, and its roles. Type and words may differ.
package struct Field: Sendable {
    /// The part of a path before its first slash, in ASCII.
    package let name: String
    /// What a value of the field, or an element of its set, stands for.
    package let type: ValueType
    /// True if it holds a set of elements rather than one value.
    package let isSet: Bool
    /// True if it has a register for each language, at `name/LANGUAGE`.
    package let isPerLanguage: Bool
    /// What the field does for its record.
    package let roles: Set<Role>
    /// The field's label and what it is for.
    package private(set) var words = Words()

    /// The kinds of record that a value may refer to; empty for a field that refers to none.
    package var reference: Set<Kind> {
        if case .reference(let kinds) = type { kinds } else { [] }
    }

    /// A field whose words are still to be given.
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

    /// The same field with its English words.
    func english(_ label: String, _ description: String) -> Field {
        var field = self
        field.words = words.english(label, description)
        return field
    }

    /// The same field with its Chinese words.
    func chinese(_ label: String, _ description: String) -> Field {
        var field = self
        field.words = words.chinese(label, description)
        return field
    }
}

/// What a field does for its record, beside holding a value.
package enum Role: Hashable, Sendable {
    /// Makes a record worth showing: a name or a description, by whatever name its kind gives it. An import and an edit
    /// demand one of these.
    case naming
    /// Tells how the record is called in lists; the first such field that has a value does.
    case title
    /// Another name of the record: search ranks it as it ranks a title, and lists do not show it.
    case alias
}

/// A kind's or field's label and description, in the languages of the alliance.
package struct Words: Hashable, Sendable {
    /// The words of one language.
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

    /// The same words with these English ones.
    func english(_ label: String, _ description: String) -> Words {
        var words = self
        words.english = Phrase(label: label, description: description)
        return words
    }

    /// The same words with these Chinese ones.
    func chinese(_ label: String, _ description: String) -> Words {
        var words = self
        words.chinese = Phrase(label: label, description: description)
        return words
    }
}
