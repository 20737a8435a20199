import Foundation
import Node

/// Answers as JSON for people and scripts.
enum JSONText {
    /// Indented, with sorted keys.
    static func pretty(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Answers hold no number that JSON lacks.
        guard let data = try? encoder.encode(value) else { return "null" }
        return String(decoding: plainNames(in: Array(data)), as: UTF8.self)
    }
}
