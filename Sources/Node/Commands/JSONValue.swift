package import Catalog
import Foundation

/// A piece of JSON whose shape is the data's.
package enum JSONValue: Codable, Hashable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(NamedValues<JSONValue>)

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // Texts first: nearly all values are, and what is not the type asked for costs an error.
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
            self = .object(try container.decode(NamedValues<JSONValue>.self))
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

    /// A catalog value. Decimal numbers are strings here, so that no digit is lost.
    package init(_ value: Value) {
        switch value {
        case .integer(let number): self = .integer(number)
        case .boolean(let flag): self = .boolean(flag)
        case .json(let text):
            self = (try? JSONDecoder().decode(PlainJSON.self, from: Data(text.utf8)))?.value ?? .string(text)
        case .text, .decimal, .bytes, .identity, .unknown: self = .string(value.displayText)
        }
    }
}

/// JSON as members write it, whose objects have plain names.
private struct PlainJSON: Decodable {
    let value: JSONValue

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let elements = try? container.decode([PlainJSON].self) {
            value = .array(elements.map(\.value))
        } else if let members = try? container.decode([String: PlainJSON].self) {
            value = .object(NamedValues(members.map { ($0.key, $0.value.value) }))
        } else {
            value = try container.decode(JSONValue.self)
        }
    }
}
