internal import Catalog

/// Converts values to JSON and back.
///
/// - A string is `.text`. `true` and `false` are `.boolean`; null is no value.
/// - An integer in canonical form that fits 64 bits is `.integer`. Any other number is `.decimal` as it is written.
/// - An array or object is `.json` as it is written, without the blanks outside strings. If it is nested deeper than
///   ``depthMax`` it is `.text` in both directions: JSON parsers have a depth limit, and an answer contains several
///   values.
/// - A value that JSON lacks, or would read back as another value, is an object with one member: `{"$bytes":"HEX"}`,
///   `{"$unknown":"HEX"}` (the bytes of a value of a later version), `{"$decimal":"TEXT"}` and `{"$json":"TEXT"}` (a
///   text that is not compact JSON, or that is itself such an object). Hexadecimal digits are in lower case.
enum JSONValue {
    /// The maximum nesting of arrays and objects in a structured value. A guess: far more than people write, and a
    /// small part of the 512 that Foundation reads.
    static let depthMax = 64

    /// Reads the next value; nil for null.
    static func read(_ scanner: inout JSONScanner) throws(JSONProblem) -> Value? {
        switch scanner.peek() {
        case UInt8(ascii: "\""):
            let range = try scanner.scanString()
            return .text(try scanner.text(of: range))
        case UInt8(ascii: "t"):
            try scanner.scanWord("true")
            return .boolean(true)
        case UInt8(ascii: "f"):
            try scanner.scanWord("false")
            return .boolean(false)
        case UInt8(ascii: "n"):
            try scanner.scanWord("null")
            return nil
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let start = scanner.index
            var compact: [UInt8] = []
            let depth = try scanner.scanCompact(into: &compact)
            let text = try compact.withUnsafeBufferPointer { bytes throws(JSONProblem) in
                try scanner.text(bytes, at: start)
            }
            return depth > depthMax ? .text(text) : unwrapped(compact) ?? .json(text)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return number(&scanner, try scanner.scanNumber())
        default: throw scanner.problem("expected a value")
        }
    }

    /// Reads a member's value for a field. A set is an array, or its only element.
    static func readInput(_ scanner: inout JSONScanner, isSet: Bool) throws(JSONProblem) -> FieldInput {
        guard isSet, scanner.peek() == UInt8(ascii: "[") else {
            let value = try read(&scanner)
            return value.map { isSet ? .elements([$0]) : .value($0) } ?? .absent
        }
        var elements: [Value] = []
        try scanner.readArray { (scanner) throws(JSONProblem) in
            if let element = try read(&scanner) { elements.append(element) }
        }
        return elements.isEmpty ? .absent : .elements(SetCell.unique(elements))
    }

    /// The nesting depth of arrays and objects in a text, counted by brackets outside strings. It is also defined for
    /// invalid JSON.
    static func nesting(of text: String) -> Int {
        var depth = 0
        var deepest = 0
        var isInString = false
        var isEscaped = false
        for byte in text.utf8 {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        return deepest
    }

    private static func number(_ scanner: inout JSONScanner, _ range: Range<Int>) -> Value {
        let digits = UnsafeBufferPointer(start: scanner.base + range.lowerBound, count: range.count)
        return integer(digits).map { .integer($0) } ?? .decimal(String(decoding: digits, as: UTF8.self))
    }

    /// The integer that JSON digits denote; nil for a decimal point or exponent, for -0, and beyond 64 bits.
    private static func integer(_ digits: some Collection<UInt8>) -> Int64? {
        var number: Int64 = 0
        let isNegative = digits.first == UInt8(ascii: "-")
        for digit in digits.dropFirst(isNegative ? 1 : 0) {
            guard digit &- UInt8(ascii: "0") < 10 else { return nil }
            let (tenfold, overflow) = number.multipliedReportingOverflow(by: 10)
            let unit = Int64(digit - UInt8(ascii: "0"))
            let (sum, overflowAgain) =
                isNegative ? tenfold.subtractingReportingOverflow(unit) : tenfold.addingReportingOverflow(unit)
            guard !overflow, !overflowAgain else { return nil }
            number = sum
        }
        return isNegative && number == 0 ? nil : number
    }

    /// Appends a value.
    ///
    /// - Parameter wrapsArrays: writes an array as `{"$json":…}`, for CSV cells.
    static func append(_ value: Value, to bytes: inout [UInt8], wrapsArrays: Bool = false) {
        switch value {
        case .text(let text): appendString(text, to: &bytes)
        case .integer(let number): bytes.append(contentsOf: String(number).utf8)
        case .boolean(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .decimal(let text):
            if reads(text, as: value) {
                bytes.append(contentsOf: text.utf8)
            } else {
                appendWrapped("$decimal", text, to: &bytes)
            }
        case .json(let text):
            if nesting(of: text) > depthMax {
                appendString(text, to: &bytes)
            } else if !(wrapsArrays && text.utf8.first == UInt8(ascii: "[")), reads(text, as: value) {
                bytes.append(contentsOf: text.utf8)
            } else {
                appendWrapped("$json", text, to: &bytes)
            }
        case .bytes(let content): appendWrapped("$bytes", Hex.string(content), to: &bytes)
        case .unknown(let content): appendWrapped("$unknown", Hex.string(content), to: &bytes)
        case .identity: appendString(value.displayText, to: &bytes)
        }
    }

    /// Appends a set as an array.
    static func append(elements: [Value], to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "["))
        for index in elements.indices {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(elements[index], to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// True if the whole text is the JSON form of `value`.
    private static func reads(_ text: String, as value: Value) -> Bool {
        var text = text
        return text.withUTF8 { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else { return false }
            var scanner = JSONScanner(base, from: 0, to: buffer.count)
            let read = (try? Self.read(&scanner)) ?? nil
            return read == value && scanner.index == buffer.count
        }
    }

    private static func unwrapped(_ compact: [UInt8]) -> Value? {
        guard compact.starts(with: [UInt8(ascii: "{"), UInt8(ascii: "\""), UInt8(ascii: "$")]) else { return nil }
        return compact.withUnsafeBufferPointer { buffer -> Value? in
            // Not empty, as checked above.
            var scanner = JSONScanner(buffer.baseAddress!, from: 0, to: buffer.count)
            scanner.index = 1
            guard let name = try? scanner.scanName(), let label = try? scanner.text(of: name),
                scanner.peek() == UInt8(ascii: "\""), let range = try? scanner.scanString(),
                let content = try? scanner.text(of: range), scanner.index == buffer.count - 1
            else { return nil }
            switch label {
            case "$bytes": return Hex.bytes(content).map { .bytes($0) }
            case "$unknown": return Hex.bytes(content).map { .unknown($0) }
            case "$decimal": return .decimal(content)
            case "$json": return nesting(of: content) > depthMax ? .text(content) : .json(content)
            default: return nil
            }
        }
    }

    private static func appendWrapped(_ label: String, _ content: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "{\"\(label)\":".utf8)
        appendString(content, to: &bytes)
        bytes.append(UInt8(ascii: "}"))
    }

    /// Appends a string with the escapes that RFC 8259 demands and no others.
    static func appendString(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8 { content in
            var start = 0
            for index in 0..<content.count {
                let byte = content[index]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
                bytes.append(contentsOf: content[start..<index])
                start = index + 1
                bytes.append(UInt8(ascii: "\\"))
                switch byte {
                case 0x0A: bytes.append(UInt8(ascii: "n"))
                case 0x0D: bytes.append(UInt8(ascii: "r"))
                case 0x09: bytes.append(UInt8(ascii: "t"))
                case 0..<0x20: bytes.append(contentsOf: "u00\(Hex.string([byte]))".utf8)
                default: bytes.append(byte)
                }
            }
            bytes.append(contentsOf: content[start...])
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
