import Foundation

/// When two organizations' names are too alike.
package enum NameFolding {
    /// NFKC, then case folding, then runs of blanks to one: equal for names that people would confuse by their letters.
    package static func fold(_ name: String) -> String {
        name.precomposedStringWithCompatibilityMapping
            .folding(options: [.caseInsensitive, .widthInsensitive], locale: nil)
            .split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
    }
}
