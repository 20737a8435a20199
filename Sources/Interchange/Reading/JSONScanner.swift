/// The reason why a text is not the expected JSON.
struct JSONProblem: Error {
    enum Kind { case bad, notAnObject, badEncoding, endOfText }
    let kind: Kind
    /// The byte offset in the text at which the scanner noticed the fault.
    let offset: Int
    let reason: String
}

/// A strict scanner of RFC 8259 over bytes. It refuses comments, trailing commas, repeated names in an object and lone
/// surrogates. Numbers stay as they are written.
///
/// The caller keeps the memory valid and unmoved. The scanner checks UTF-8 when it makes text.
struct JSONScanner {
    /// The maximum nesting of arrays and objects that the scanner reads: a value of 64 KiB cannot have more.
    static let nestingMax = 32 * 1024

    let base: UnsafePointer<UInt8>
    let end: Int
    var index: Int
    /// True if all bytes are known to be UTF-8, so that no part needs a check.
    private let isValid: Bool
    /// The names of all open objects, in one array for all levels: this saves an allocation per object.
    private var names: [NameRange] = []

    /// The range of a string's content between its quotes.
    struct NameRange {
        let start: Int
        let end: Int
        let isEscaped: Bool
    }

    init(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int, isValid: Bool = false) {
        self.isValid = isValid
        self.base = base
        self.end = end
        index = start
    }

    func problem(_ reason: String, kind: JSONProblem.Kind = .bad, at offset: Int? = nil) -> JSONProblem {
        let offset = offset ?? index
        return JSONProblem(kind: kind == .bad && offset >= end ? .endOfText : kind, offset: offset, reason: reason)
    }

    @inline(__always)
    mutating func skipBlanks() {
        while index < end {
            switch base[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return
            }
        }
    }

    /// The next byte that is not blank, without consuming it; 0 at the end (JSON has no zero byte outside strings).
    @inline(__always)
    mutating func peek() -> UInt8 {
        skipBlanks()
        return index < end ? base[index] : 0
    }

    /// Consumes a punctuation mark.
    @inline(__always)
    mutating func expect(_ byte: UInt8, _ what: StaticString) throws(JSONProblem) {
        guard peek() == byte else { throw problem("expected \(what)") }
        index += 1
    }

    /// Consumes a string and checks its escapes; returns its content's range.
    mutating func scanString() throws(JSONProblem) -> NameRange {
        try expect(UInt8(ascii: "\""), "a quote")
        let start = index
        var isEscaped = false
        while true {
            // Skips eight bytes at a time if none is a quote, a backslash or a control character. The bit trick finds
            // zero bytes of the difference; a false positive only ends the fast loop.
            while index + 8 <= end {
                let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
                let quotes = word ^ 0x2222_2222_2222_2222
                let slashes = word ^ 0x5C5C_5C5C_5C5C_5C5C
                let stops =
                    (quotes &- 0x0101_0101_0101_0101) & ~quotes | (slashes &- 0x0101_0101_0101_0101) & ~slashes
                    | (word &- 0x2020_2020_2020_2020) & ~word
                if stops & 0x8080_8080_8080_8080 != 0 { break }
                index += 8
            }
            guard index < end else { throw problem("a string is not closed") }
            let byte = base[index]
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                isEscaped = true
                try scanEscape()
            } else if byte < 0x20 {
                throw problem("a control character in a string; it must be escaped")
            } else {
                index += 1
            }
        }
        index += 1
        return NameRange(start: start, end: index - 1, isEscaped: isEscaped)
    }

    private mutating func scanEscape() throws(JSONProblem) {
        let start = index
        guard index + 1 < end else { throw problem("a string is not closed", at: end) }
        switch base[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 2
        case UInt8(ascii: "u"):
            let first = try hexUnit(at: index + 2)
            index += 6
            if first & 0xFC00 == 0xD800 {
                guard index + 1 < end || index >= end else { throw problem("a string is not closed", at: end) }
                guard index + 1 < end else { throw problem("a string is not closed", at: end) }
                guard base[index] == UInt8(ascii: "\\"), base[index + 1] == UInt8(ascii: "u"),
                    try hexUnit(at: index + 2) & 0xFC00 == 0xDC00
                else { throw problem("half of a surrogate pair", at: start) }
                index += 6
            } else if first & 0xFC00 == 0xDC00 {
                throw problem("half of a surrogate pair", at: start)
            }
        default: throw problem("an escape that JSON does not have", at: start)
        }
    }

    private func hexUnit(at start: Int) throws(JSONProblem) -> UInt32 {
        guard start + 4 <= end else { throw problem("a string is not closed", at: end) }
        var unit: UInt32 = 0
        for position in start..<start + 4 {
            guard let digit = Self.hexDigit(base[position]) else {
                throw problem("four hexadecimal digits must follow \\u", at: position)
            }
            unit = unit << 4 | digit
        }
        return unit
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// The text of a scanned string.
    func text(of range: NameRange) throws(JSONProblem) -> String {
        if range.isEscaped {
            return try unescaped(range).withUnsafeBufferPointer { bytes throws(JSONProblem) in
                try text(bytes, at: range.start)
            }
        }
        return try text(UnsafeBufferPointer(start: base + range.start, count: range.end - range.start), at: range.start)
    }

    /// Decodes bytes as text. `start` is their offset, or that of the string from which they were unescaped.
    @inline(__always)
    func text(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int) throws(JSONProblem) -> String {
        guard isValid || isUTF8(bytes) else {
            throw problem("bytes that are not UTF-8", kind: .badEncoding, at: start)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The unescaped bytes of a scanned string; ``scanString()`` has checked its escapes.
    func unescaped(_ range: NameRange) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.end - range.start)
        var position = range.start
        while position < range.end {
            let byte = base[position]
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                position += 1
                continue
            }
            let letter = base[position + 1]
            position += 2
            switch letter {
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "f"): bytes.append(0x0C)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = unit(at: position)
                position += 4
                if scalar & 0xFC00 == 0xD800 {
                    scalar = 0x10000 + (scalar & 0x3FF) << 10 + unit(at: position + 2) & 0x3FF
                    position += 6
                }
                // Surrogates come in pairs, so this is a scalar.
                bytes.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
            default: bytes.append(letter)
            }
        }
        return bytes
    }

    private func unit(at start: Int) -> UInt32 {
        (start..<start + 4).reduce(0) { $0 << 4 | (Self.hexDigit(base[$1]) ?? 0) }
    }

    /// Consumes a number by the grammar of RFC 8259, section 6.
    mutating func scanNumber() throws(JSONProblem) -> Range<Int> {
        let start = index
        if base[index] == UInt8(ascii: "-") { index += 1 }
        guard index < end, isDigit(base[index]) else { throw problem("a number needs digits") }
        if base[index] == UInt8(ascii: "0") {
            index += 1
            if index < end, isDigit(base[index]) { throw problem("a number begins with 0", at: start) }
        } else {
            scanDigits()
        }
        if index < end, base[index] == UInt8(ascii: ".") {
            index += 1
            guard index < end, isDigit(base[index]) else { throw problem("a number needs digits behind its point") }
            scanDigits()
        }
        if index < end, base[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < end, base[index] == UInt8(ascii: "+") || base[index] == UInt8(ascii: "-") { index += 1 }
            guard index < end, isDigit(base[index]) else { throw problem("a number needs digits in its exponent") }
            scanDigits()
        }
        return start..<index
    }

    @inline(__always)
    private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    private mutating func scanDigits() {
        while index < end, isDigit(base[index]) { index += 1 }
    }

    /// Consumes `true`, `false` or `null`.
    mutating func scanWord(_ word: StaticString) throws(JSONProblem) {
        let bytes = word.utf8Start
        for position in 0..<word.utf8CodeUnitCount {
            guard index + position < end else { throw problem("expected a value", at: end) }
            guard base[index + position] == bytes[position] else { throw problem("expected a value") }
        }
        index += word.utf8CodeUnitCount
    }

    /// An array or object that is open.
    private struct Container {
        let isObject: Bool
        /// The index of its first name in ``names``.
        let firstName: Int
        var seen: Set<[UInt8]> = []
        var closing: UInt8 { isObject ? UInt8(ascii: "}") : UInt8(ascii: "]") }
    }

    /// Consumes any value and appends it to `compact` as it is written, without the blanks outside strings.
    ///
    /// The method is not recursive, so no depth exhausts the stack.
    ///
    /// - Returns: the nesting depth of arrays and objects in the value; 0 for a value that is neither.
    @discardableResult
    mutating func scanCompact(into compact: inout [UInt8]) throws(JSONProblem) -> Int {
        var open: [Container] = []
        var deepest = 0
        repeat {
            let byte = peek()
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                guard open.count < Self.nestingMax else { throw problem("nested deeper than \(Self.nestingMax)") }
                open.append(Container(isObject: byte == UInt8(ascii: "{"), firstName: names.count))
                deepest = max(deepest, open.count)
                index += 1
                compact.append(byte)
                if peek() != open[open.count - 1].closing {
                    try scanMemberName(of: &open[open.count - 1], into: &compact)
                    continue
                }
            } else {
                try scanPlain(byte, into: &compact)
            }
            while let innermost = open.last {
                let next = peek()
                if next == UInt8(ascii: ",") {
                    index += 1
                    compact.append(next)
                    try scanMemberName(of: &open[open.count - 1], into: &compact)
                    break
                }
                guard next == innermost.closing else {
                    throw problem(innermost.isObject ? "expected a comma or }" : "expected a comma or ]")
                }
                index += 1
                compact.append(next)
                names.removeSubrange(innermost.firstName...)
                open.removeLast()
            }
        } while !open.isEmpty
        return deepest
    }

    /// Consumes a value that is neither an array nor an object.
    private mutating func scanPlain(_ byte: UInt8, into compact: inout [UInt8]) throws(JSONProblem) {
        let start = index
        switch byte {
        case UInt8(ascii: "\""): _ = try scanString()
        case UInt8(ascii: "t"): try scanWord("true")
        case UInt8(ascii: "f"): try scanWord("false")
        case UInt8(ascii: "n"): try scanWord("null")
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): _ = try scanNumber()
        default: throw problem("expected a value")
        }
        compact.append(contentsOf: UnsafeBufferPointer(start: base + start, count: index - start))
    }

    /// Consumes the name and the colon before an object's next value; does nothing in an array.
    private mutating func scanMemberName(
        of container: inout Container,
        into compact: inout [UInt8]
    ) throws(JSONProblem) {
        guard container.isObject else { return }
        let name = try scanName()
        compact.append(
            contentsOf: UnsafeBufferPointer(start: base + name.start - 1, count: name.end - name.start + 2)
        )
        compact.append(UInt8(ascii: ":"))
        try checkRepeated(name, since: container.firstName, &container.seen)
    }

    /// Consumes an object. `read` receives each member's name and consumes its value.
    mutating func readObject(
        _ read: (inout JSONScanner, String) throws(JSONProblem) -> Void
    ) throws(JSONProblem) {
        try expect(UInt8(ascii: "{"), "an object")
        guard peek() != UInt8(ascii: "}") else {
            index += 1
            return
        }
        let firstName = names.count
        var seen: Set<[UInt8]> = []
        while true {
            let name = try scanName()
            try checkRepeated(name, since: firstName, &seen)
            try read(&self, try text(of: name))
            let next = peek()
            guard next == UInt8(ascii: ",") || next == UInt8(ascii: "}") else { throw problem("expected a comma or }") }
            index += 1
            if next == UInt8(ascii: "}") { break }
        }
        names.removeSubrange(firstName...)
    }

    /// Consumes an array: `read` consumes each element.
    mutating func readArray(_ read: (inout JSONScanner) throws(JSONProblem) -> Void) throws(JSONProblem) {
        try expect(UInt8(ascii: "["), "an array")
        guard peek() != UInt8(ascii: "]") else {
            index += 1
            return
        }
        while true {
            try read(&self)
            let next = peek()
            guard next == UInt8(ascii: ",") || next == UInt8(ascii: "]") else { throw problem("expected a comma or ]") }
            index += 1
            if next == UInt8(ascii: "]") { return }
        }
    }

    /// Consumes a member's name and its colon.
    @inline(__always)
    mutating func scanName() throws(JSONProblem) -> NameRange {
        guard peek() == UInt8(ascii: "\"") else { throw problem("expected a name in quotes") }
        let name = try scanString()
        try expect(UInt8(ascii: ":"), "a colon")
        return name
    }

    private mutating func checkRepeated(
        _ name: NameRange,
        since first: Int,
        _ seen: inout Set<[UInt8]>
    ) throws(JSONProblem) {
        names.append(name)
        let count = names.count - first
        if count <= 16 {
            let length = name.end - name.start
            for earlier in names[first..<names.count - 1] {
                if earlier.isEscaped || name.isEscaped {
                    guard unescaped(earlier) == unescaped(name) else { continue }
                } else {
                    guard earlier.end - earlier.start == length,
                        UnsafeBufferPointer(start: base + earlier.start, count: length).elementsEqual(
                            UnsafeBufferPointer(start: base + name.start, count: length)
                        )
                    else { continue }
                }
                throw problem("a name occurs twice in one object", at: name.start)
            }
        } else {
            if seen.isEmpty { seen = Set(names[first..<names.count - 1].map { unescaped($0) }) }
            guard seen.insert(unescaped(name)).inserted else {
                throw problem("a name occurs twice in one object", at: name.start)
            }
        }
    }
}
