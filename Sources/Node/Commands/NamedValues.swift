import Catalog

/// Values by name, as a part of an answer: names are told apart by their bytes, and ascend by them.
///
/// An answer is encoded by Foundation, which gathers an object's members in a dictionary of Swift's strings: of two names that
/// differ in their bytes and are canonically equivalent one would be lost. So each name is encoded behind its number, in a
/// form that no other name has; ``plainNames(in:)`` takes the numbers out of what people and scripts get.
package struct NamedValues<Value: Codable & Hashable & Sendable>: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        private let key: ByteText
        package let value: Value
        package var name: String { key.text }

        fileprivate init(_ name: String, _ value: Value) {
            key = ByteText(name)
            self.value = value
        }
    }

    /// Ascending by the bytes of the names.
    package let entries: [Entry]

    /// - Parameter pairs: With different names, in any order.
    package init(_ pairs: some Sequence<(String, Value)>) {
        entries = pairs.map { Entry($0.0, $0.1) }.sorted { $0.name.precedesByBytes($1.name) }
    }

    package var isEmpty: Bool { entries.isEmpty }
    package var values: [Value] { entries.map(\.value) }

    /// The value of a name with these bytes.
    package subscript(name: String) -> Value? {
        entries.first { $0.name.hasSameBytes(as: name) }?.value
    }
}

extension NamedValues: Codable {
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: NumberedName.self)
        for (number, entry) in entries.enumerated() {
            try container.encode(entry.value, forKey: NumberedName(number: number, name: entry.name))
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NumberedName.self)
        self.init(try container.allKeys.map { ($0.name, try container.decode(Value.self, forKey: $0)) })
    }
}

/// A name behind its number: a zero character, eight digits and a colon.
private struct NumberedName: CodingKey {
    static let digitCount = 8

    let stringValue: String
    let name: String
    var intValue: Int? { nil }

    init(number: Int, name: String) {
        let digits = String(number)
        stringValue =
            "\0" + String(repeating: "0", count: max(0, Self.digitCount - digits.utf8.count)) + digits + ":" + name
        self.name = name
    }

    init?(stringValue: String) {
        let start = Self.digitCount + 2
        guard stringValue.utf8.first == 0, stringValue.utf8.count >= start else { return nil }
        self.stringValue = stringValue
        name = String(stringValue[stringValue.utf8.index(stringValue.startIndex, offsetBy: start)...])
    }

    init?(intValue: Int) { nil }
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
