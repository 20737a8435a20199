package import Catalog

/// What the declarations say of a field's name, for those who ask often. All of it binds the node that writes, never the
/// one that merges.
///
/// Names are asked for without their kind where records of all kinds are read: a name means the same in all of them (see
/// ``Field``). The sets are built once.
package enum CatalogSchema {
    private static let allFields = Field.common + Kind.allCases.flatMap(\.ownFields)

    private static func names(where isIncluded: (Field) -> Bool) -> Set<String> {
        Set(allFields.filter(isIncluded).map(\.name))
    }

    /// The names of the kinds, in the order in which they are shown.
    package static let kinds = Kind.allCases.map(\.rawValue)

    /// Names of texts that have a register for each language.
    package static let languageFields = names(where: \.isPerLanguage)

    /// Names of fields that hold a set of elements.
    package static let setFields = names(where: \.isSet)

    /// Names of fields with role ``Role/naming``.
    package static let namingFields = names { $0.roles.contains(.naming) }

    /// Names of fields with role ``Role/title``, each once, in the order in which a record's title is looked for.
    package static let titleFields: [String] = {
        var titles: [String] = []
        for field in allFields where field.roles.contains(.title) && !titles.contains(field.name) {
            titles.append(field.name)
        }
        return titles
    }()

    /// Few enough to compare with one after the other, which takes less time than hashing.
    private static let searchNames: [Substring] = names {
        !$0.roles.isDisjoint(with: [.title, .alias])
    }.sorted().map { Substring($0) }

    private static let commonFields = Set(Field.common.map(\.name))
    private static let fieldsByKind = Dictionary(
        uniqueKeysWithValues: Kind.allCases.map { kind in
            (kind.rawValue, commonFields.union(kind.ownFields.map(\.name)))
        }
    )

    /// The names of the fields of a kind, those of all kinds among them; an unknown kind has only the latter.
    package static func fields(of kind: String) -> Set<String> { fieldsByKind[kind] ?? commonFields }

    /// True if the path holds a set of elements rather than one value.
    package static func isSet(_ path: FieldPath) -> Bool {
        path.key == nil && setFields.contains(path.text)
    }

    /// True if search ranks the path's values as names of the record: its titles and its other names. The index for
    /// search depends on it.
    package static func isSearchName(_ path: FieldPath) -> Bool { searchNames.contains(path.base) }
}
