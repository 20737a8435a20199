package import Catalog
import Foundation
import Interchange

/// A JSON value whose shape depends on the data.
package enum JSONValue: Codable, Hashable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(NamedValues)

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // Strings first: nearly all values are strings, and each wrong attempt costs an error.
        if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .boolean(flag)
        } else if let number = try? container.decode(Int64.self) {
            self = .integer(number)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let elements = try? container.decode([JSONValue].self) {
            self = .array(elements)
        } else {
            self = .object(try container.decode(NamedValues.self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let flag): try container.encode(flag)
        case .integer(let number): try container.encode(number)
        case .number(let number): try container.encode(number)
        case .string(let text): try container.encode(text)
        case .array(let elements): try container.encode(elements)
        case .object(let members): try container.encode(members)
        }
    }

    /// The JSON of a catalog value. Decimal numbers become strings, so that no digit is lost. So does JSON that
    /// programs read differently or not at all (``JSONDocument``).
    package init(_ value: Value) {
        switch value {
        case .integer(let number): self = .integer(number)
        case .boolean(let flag): self = .boolean(flag)
        case .json(let text): self = JSONDocument(text).map { JSONValue($0) } ?? .string(text)
        case .text, .decimal, .bytes, .identity, .unknown: self = .string(value.displayText)
        }
    }

    private init(_ document: JSONDocument) {
        switch document {
        case .null: self = .null
        case .boolean(let flag): self = .boolean(flag)
        case .number(let text): self = Self.number(text)
        case .text(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map { JSONValue($0) })
        case .object(let members):
            // Of members with the same name the first one is kept.
            var names: Set<ByteText> = []
            let first = members.filter { names.insert(ByteText($0.name)).inserted }
            self = .object(NamedValues(first.map { ($0.name, JSONValue($0.value)) }))
        }
    }

    /// The number of digits that every double keeps (IEEE 754, binary64).
    private static let exactDigits = 15

    /// The number as it is written; a string if a double would lose some of its digits, or all of them.
    private static func number(_ text: String) -> JSONValue {
        if let number = Int64(text), text != "-0" { return .integer(number) }
        let mantissa = text.prefix { $0 != "e" && $0 != "E" }.filter(\.isNumber)
        let digits = mantissa.drop { $0 == "0" }.count
        guard digits <= exactDigits, let number = Double(text), number.isFinite, digits == 0 || number.isNormal else {
            return .string(text)
        }
        return .number(number)
    }
}
