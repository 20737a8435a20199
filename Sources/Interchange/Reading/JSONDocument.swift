/// A JSON text as a tree, for display.
package indirect enum JSONDocument: Sendable {
    case null
    case boolean(Bool)
    /// The number as it is written.
    case number(String)
    case text(String)
    case array([JSONDocument])
    /// In the order of the text; no name occurs twice.
    case object([(name: String, value: JSONDocument)])

    /// Parses a text strictly (RFC 8259). Returns nil for invalid JSON, a name that occurs twice in an object, half a
    /// surrogate pair, and nesting deeper than 64. Text from other members may contain any of these.
    package init?(_ text: String) {
        guard JSONValue.nesting(of: text) <= JSONValue.depthMax else { return nil }
        let read = Array(text.utf8).withUnsafeBufferPointer { bytes -> JSONDocument? in
            guard let base = bytes.baseAddress else { return nil }
            var scanner = JSONScanner(base, from: 0, to: bytes.count, isValid: true)
            guard let tree = try? Self.read(&scanner), scanner.peek() == 0, scanner.index == bytes.count else {
                return nil
            }
            return tree
        }
        guard let read else { return nil }
        self = read
    }

    /// The caller has checked the depth.
    private static func read(_ scanner: inout JSONScanner) throws(JSONProblem) -> JSONDocument {
        switch scanner.peek() {
        case UInt8(ascii: "{"):
            var members: [(name: String, value: JSONDocument)] = []
            try scanner.readObject { (scanner, name) throws(JSONProblem) in
                members.append((name, try read(&scanner)))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONDocument] = []
            try scanner.readArray { (scanner) throws(JSONProblem) in elements.append(try read(&scanner)) }
            return .array(elements)
        case UInt8(ascii: "\""): return .text(try scanner.text(of: scanner.scanString()))
        case UInt8(ascii: "t"):
            try scanner.scanWord("true")
            return .boolean(true)
        case UInt8(ascii: "f"):
            try scanner.scanWord("false")
            return .boolean(false)
        case UInt8(ascii: "n"):
            try scanner.scanWord("null")
            return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let range = try scanner.scanNumber()
            let digits = UnsafeBufferPointer(start: scanner.base + range.lowerBound, count: range.count)
            return .number(String(decoding: digits, as: UTF8.self))
        default: throw scanner.problem("expected a value")
        }
    }
}
