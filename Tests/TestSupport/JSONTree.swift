package import Foundation

/// A JSON document for tests: any access to an absent part gives null or nil.
@dynamicMemberLookup
package enum JSONTree: Hashable, Sendable, CustomStringConvertible {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([JSONTree])
    case members([String: JSONTree])

    /// Null if the bytes are not JSON.
    package init(_ data: Data) {
        self = (try? JSONDecoder().decode(JSONTree.self, from: data)) ?? .null
    }

    package subscript(key: String) -> JSONTree {
        if case .members(let members) = self { members[key] ?? .null } else { .null }
    }

    package subscript(dynamicMember key: String) -> JSONTree { self[key] }

    package subscript(position: Int) -> JSONTree {
        if case .list(let list) = self, list.indices.contains(position) { list[position] } else { .null }
    }

    package var string: String? { if case .text(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .flag(let flag) = self { flag } else { nil } }
    package var int: Int? { if case .number(let number) = self { Int(exactly: number) } else { nil } }
    package var double: Double? { if case .number(let number) = self { number } else { nil } }
    package var array: [JSONTree] { if case .list(let list) = self { list } else { [] } }
    package var object: [String: JSONTree] { if case .members(let members) = self { members } else { [:] } }

    package var description: String {
        switch self {
        case .null: "null"
        case .flag(let flag): "\(flag)"
        case .number(let number): Int(exactly: number).map(String.init) ?? "\(number)"
        case .text(let text): "\"\(text)\""
        case .list(let list): "\(list)"
        case .members(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\($0): \($1)" }.joined(separator: ", ") + "}"
        }
    }
}

extension JSONTree: Decodable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let list = try? container.decode([JSONTree].self) {
            self = .list(list)
        } else {
            self = .members(try container.decode([String: JSONTree].self))
        }
    }
}
