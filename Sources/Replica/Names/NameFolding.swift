import Foundation

/// Decides when two organizations' names are too alike.
package enum NameFolding {
    /// NFKC, then case folding, then each run of blanks becomes one blank. Equal for names that differ only in such
    /// details.
    package static func fold(_ name: String) -> String {
        name.precomposedStringWithCompatibilityMapping
            .folding(options: [.caseInsensitive, .widthInsensitive], locale: nil)
            .split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
    }
}
