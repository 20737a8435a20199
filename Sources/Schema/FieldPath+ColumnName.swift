package import Catalog

extension FieldPath {
    /// How a path is written where the slash is awkward (columns, the command line): `name.zh` for `name/zh`,
    /// `name` for `name/und`, `ext/X` as it is.
    package var columnName: String {
        guard let key, base != "ext" else { return text }
        return key == "und" ? String(base) : "\(base).\(key)"
    }

    /// Reads a path as people write it: `name` gives `name/und` for a text that has languages, `name.zh` gives
    /// `name/zh`; a path with a slash is taken as it is. Nil where no user may name it.
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
