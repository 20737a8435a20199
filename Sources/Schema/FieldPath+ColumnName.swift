package import Catalog

extension FieldPath {
    /// The path's form for columns and the command line, where a slash is inconvenient: `name.zh` for `name/zh`, `name`
    /// for `name/und`. Paths that begin with `ext/` do not change.
    package var columnName: String {
        guard let key, base != "ext" else { return text }
        return key == "und" ? String(base) : "\(base).\(key)"
    }

    /// Parses a path as people write it; nil if users may not write the path.
    ///
    /// For fields with languages, `name` gives `name/und` and `name.zh` gives `name/zh`. A path with a slash is used
    /// unchanged.
    package init?(written text: String) {
        if text.utf8.contains(UInt8(ascii: "/")) {
            self.init(text)
        } else if CatalogSchema.languageFields.contains(text) {
            self.init(text + "/und")
        } else if let dot = text.utf8.firstIndex(of: UInt8(ascii: ".")),
            CatalogSchema.languageFields.contains(String(text[..<dot]))
        {
            let language = text[text.utf8.index(after: dot)...]
            guard !language.isEmpty else { return nil }
            self.init(text[..<dot] + "/" + language)
        } else {
            self.init(text)
        }
    }
}
