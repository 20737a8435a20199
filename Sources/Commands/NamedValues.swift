import Catalog

/// Values by name, as a part of an answer: names are told apart by their bytes, and ascend by them.
///
/// An answer is encoded by Foundation, which gathers an object's members in a dictionary of Swift's strings: of two names that
/// differ in their bytes and are canonically equivalent one would be lost. So where a name is not ASCII each name is encoded
/// behind its number, in a form that no other name has; ``plainNames(in:)`` takes the numbers out of what people and scripts
/// get. Names of ASCII alone differ as strings where their bytes do, and most answers have no others.
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

    /// Ascending by the bytes of the names.
    package let entries: [Entry]

    /// - Parameter pairs: With different names, in any order.
    package init(_ pairs: some Sequence<(String, JSONValue)>) {
        entries = pairs.map { Entry($0.0, $0.1) }.sorted { $0.name.precedesByBytes($1.name) }
    }

    package var isEmpty: Bool { entries.isEmpty }
    package var values: [JSONValue] { entries.map(\.value) }

    /// The value of a name with these bytes.
    package subscript(name: String) -> JSONValue? {
        entries.first { $0.name.hasSameBytes(as: name) }?.value
    }
}

/// Coded as a dictionary of strings, which Foundation codes in one step: with a key for each member that takes half as long again.
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

/// A name behind its number: a zero character, eight digits and a colon.
private enum NumberedName {
    static let digitCount = 8

    /// True for a name that needs no number: of ASCII alone, and without the character that marks numbers.
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

/// JSON with the names of ``NamedValues`` as they are.
///
/// - Parameter json: What an encoder wrote, indented.
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
            // A name is followed by a colon; a text that begins alike is not.
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
