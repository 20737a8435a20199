package import Catalog

extension RecordView {
    /// The record's title; without one, its local id or the beginning of its record id.
    ///
    /// The title is the first of ``CatalogSchema/titleFields`` that has a value. Of a field's languages, the first of
    /// `languages` with a value is used, then any other.
    package func displayName(languages: [String] = ["und", "en", "zh"]) -> String {
        for base in CatalogSchema.titleFields {
            for language in languages {
                if let text = self[FieldPath(unchecked: "\(base)/\(language)")]?.winner { return text.displayText }
            }
            if let field = fields.first(where: { $0.path.base == base }), let text = field.winner {
                return text.displayText
            }
        }
        return identity?.localID ?? id.short
    }
}
