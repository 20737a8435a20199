package import Catalog

/// Prebuilt lookups of the declarations by field name. These rules bind the node that writes, never the nodes that
/// merge.
///
/// Lookups without a kind serve readers of all kinds; a name means the same in every kind (see ``Field``).
package enum CatalogSchema {
    private static let allFields = Field.common + Kind.allCases.flatMap(\.ownFields)

    private static func names(where isIncluded: (Field) -> Bool) -> Set<String> {
        Set(allFields.filter(isIncluded).map(\.name))
    }

    /// The names of the kinds, in display order.
    package static let kinds = Kind.allCases.map(\.rawValue)

    /// The names of text fields with a register for each language.
    package static let languageFields = names(where: \.isPerLanguage)

    /// The names of fields that hold a set.
    package static let setFields = names(where: \.isSet)

    /// The names of fields with role ``Role/naming``.
    package static let namingFields = names { $0.roles.contains(.naming) }

    /// The names of fields with role ``Role/title``, each once. A record's title is the first of these that has a
    /// value.
    package static let titleFields: [String] = {
        var titles: [String] = []
        for field in allFields where field.roles.contains(.title) && !titles.contains(field.name) {
            titles.append(field.name)
        }
        return titles
    }()

    /// The list is short, so comparing names one by one is faster than hashing.
    private static let searchNames: [Substring] = names {
        !$0.roles.isDisjoint(with: [.title, .alias])
    }.sorted().map { Substring($0) }

    private static let commonFields = Set(Field.common.map(\.name))
    private static let fieldsByKind = Dictionary(
        uniqueKeysWithValues: Kind.allCases.map { kind in
            (kind.rawValue, commonFields.union(kind.ownFields.map(\.name)))
        }
    )

    /// The names of a kind's fields, including the common fields. An unknown kind has only the common fields.
    package static func fields(of kind: String) -> Set<String> { fieldsByKind[kind] ?? commonFields }

    /// True if the path holds a set, not a register.
    package static func isSet(_ path: FieldPath) -> Bool {
        path.key == nil && setFields.contains(path.text)
    }

    /// True if search ranks the path's values as names of the record: its titles and other names. The search index
    /// depends on it.
    package static func isSearchName(_ path: FieldPath) -> Bool { searchNames.contains(path.base) }
}
