import Catalog

/// Values by name, as a part of an answer. Names are compared and sorted by their bytes.
///
/// Foundation encodes an answer and collects an object's members in a dictionary of Swift strings. Of two names with
/// different bytes that are canonically equivalent, one would be lost. So if a name is not ASCII, each name is encoded
/// after its number, in a form that no other name has. ``plainNames(in:)`` removes the numbers for people and scripts.
/// Names of ASCII alone differ as strings if their bytes differ, and most answers have no others.
package struct NamedValues: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        private let key: ByteText
        package let value: JSONValue
        package var name: String { key.text }

        fileprivate init(_ name: String, _ value: JSONValue) {
            key = ByteText(name)
            self.value = value
        }
    }

    /// The entries, ascending by the bytes of their names.
    package let entries: [Entry]

    /// - Parameter pairs: Pairs with different names, in any order.
    package init(_ pairs: some Sequence<(String, JSONValue)>) {
        entries = pairs.map { Entry($0.0, $0.1) }.sorted { $0.name.precedesByBytes($1.name) }
    }

    package var isEmpty: Bool { entries.isEmpty }
    package var values: [JSONValue] { entries.map(\.value) }

    /// The value of the name with exactly these bytes.
    package subscript(name: String) -> JSONValue? {
        entries.first { $0.name.hasSameBytes(as: name) }?.value
    }
}

/// Coded as a dictionary of strings, which Foundation codes in one step: a key for each member would take half as long
/// again.
extension NamedValues: Codable {
    package func encode(to encoder: any Encoder) throws {
        let isPlain = entries.allSatisfy { NumberedName.isPlain($0.name) }
        var members: [String: JSONValue] = Dictionary(minimumCapacity: entries.count)
        for (number, entry) in entries.enumerated() {
            members[isPlain ? entry.name : NumberedName.text(number, entry.name)] = entry.value
        }
        var container = encoder.singleValueContainer()
        try container.encode(members)
    }

    package init(from decoder: any Decoder) throws {
        let members = try decoder.singleValueContainer().decode([String: JSONValue].self)
        self.init(members.lazy.map { (NumberedName.name(in: $0.key), $0.value) })
    }
}

/// A name after its number: a zero character, eight digits and a colon.
private enum NumberedName {
    static let digitCount = 8

    /// True for a name that needs no number: only ASCII, without the character that marks numbers.
    static func isPlain(_ name: String) -> Bool { name.utf8.allSatisfy { $0 > 0 && $0 < 0x80 } }

    static func text(_ number: Int, _ name: String) -> String {
        let digits = String(number)
        return "\0" + String(repeating: "0", count: max(0, digitCount - digits.utf8.count)) + digits + ":" + name
    }

    /// The name in a text, which may be a plain name.
    static func name(in text: String) -> String {
        guard text.utf8.first == 0, text.utf8.count >= digitCount + 2 else { return text }
        return String(text.utf8.dropFirst(digitCount + 2)) ?? text
    }
}

/// JSON with the names of ``NamedValues`` without numbers.
///
/// - Parameter json: The indented output of an encoder.
package func plainNames(in json: [UInt8]) -> [UInt8] {
    let mark = Array("\"\\u0000".utf8)
    let quote = UInt8(ascii: "\"")
    var plain: [UInt8] = []
    plain.reserveCapacity(json.count)
    var index = 0
    while index < json.count {
        let start = index
        index += 1
        if json[start] == quote {
            while index < json.count, json[index] != quote { index += json[index] == UInt8(ascii: "\\") ? 2 : 1 }
            index = min(index + 1, json.count)
            // A name is followed by a colon; a string value with the same start is not.
            let isName = json[index...].starts(with: " :".utf8)
            if isName, json[start..<index].starts(with: mark) {
                plain.append(quote)
                plain += json[start..<index].dropFirst(mark.count + NumberedName.digitCount + 1)
                continue
            }
        }
        plain += json[start..<index]
    }
    return plain
}
