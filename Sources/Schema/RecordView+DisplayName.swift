package import Catalog

extension RecordView {
    /// The record's title: the first of ``CatalogSchema/titleFields`` that has a value, in the first of these languages
    /// in which it has one or else in any; without a title, its local id or the beginning of its id.
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
