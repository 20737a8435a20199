internal import Catalog

/// The form of a set in one CSV cell.
///
/// People write `a; b；c`: elements separated by semicolons, including the full-width one. Blanks around elements,
/// empty elements and repetitions are dropped. An element needs another form if it contains a semicolon, begins or
/// ends with a blank, is empty, or is structured. Such a set is written as a JSON array of strings and objects,
/// `["a;b",{"scheme":"ROR"}]`, and a cell with such an array is read as one.
enum SetCell {
    /// The elements of a cell.
    static func elements(_ cell: String) -> [Value] {
        if cell.utf8.first == UInt8(ascii: "["), let elements = arrayElements(cell) { return elements }
        // Most cells hold one plain element.
        if isPlain(cell) { return [.text(cell)] }
        return split(cell)
    }

    /// The cell for a set. ``elements(_:)`` reads the same elements back, except that integers, decimals, booleans
    /// and bytes come back as texts.
    static func cell(_ elements: [Value]) -> String {
        if elements.count == 1, case .text(let text) = elements[0], isPlain(text) { return text }
        let texts = elements.map { element -> String? in
            switch element {
            case .json: nil
            default: element.displayText
            }
        }
        let joined = texts.compactMap(\.self).joined(separator: ";")
        if !texts.contains(nil), self.elements(joined) == unique(texts.compactMap(\.self).map { .text($0) }) {
            return joined
        }
        var array: [UInt8] = [UInt8(ascii: "[")]
        for (element, text) in zip(elements, texts) {
            if array.count > 1 { array.append(UInt8(ascii: ",")) }
            JSONValue.append(text.map { .text($0) } ?? element, to: &array, wrapsArrays: true)
        }
        array.append(UInt8(ascii: "]"))
        return String(decoding: array, as: UTF8.self)
    }

    /// True for non-empty ASCII without blanks and semicolons that does not begin with a bracket.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "[") else { return false }
        return text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x80 && $0 != UInt8(ascii: ";") }
    }

    static func unique(_ values: [Value]) -> [Value] {
        guard values.count > 1 else { return values }
        if values.count <= 8 {
            var kept: [Value] = []
            for value in values where !kept.contains(value) { kept.append(value) }
            return kept
        }
        var seen: Set<Value> = []
        return values.filter { seen.insert($0).inserted }
    }

    private static func arrayElements(_ cell: String) -> [Value]? {
        let bytes = Array(cell.utf8)
        return bytes.withUnsafeBufferPointer { buffer -> [Value]? in
            // Not empty: it begins with a bracket.
            var scanner = JSONScanner(buffer.baseAddress!, from: 0, to: buffer.count)
            do throws(JSONProblem) {
                var elements: [Value] = []
                try scanner.readArray { (scanner) throws(JSONProblem) in
                    let first = scanner.peek()
                    guard first == UInt8(ascii: "\"") || first == UInt8(ascii: "{"),
                        let element = try JSONValue.read(&scanner)
                    else { throw scanner.problem("neither text nor an object") }
                    elements.append(element)
                }
                return scanner.peek() == 0 && scanner.index == buffer.count ? unique(elements) : nil
            } catch {
                return nil
            }
        }
    }

    /// The elements between semicolons, without repetitions.
    private static func split(_ cell: String) -> [Value] {
        var cell = cell
        return cell.withUTF8 { bytes in
            var elements: [Value] = []
            var start = 0
            var index = 0
            while index <= bytes.count {
                var width = 0
                if index == bytes.count || bytes[index] == UInt8(ascii: ";") {
                    width = 1
                } else if index + 2 < bytes.count, bytes[index] == 0xEF, bytes[index + 1] == 0xBC,
                    bytes[index + 2] == 0x9B
                {
                    // U+FF1B, the full-width semicolon.
                    width = 3
                }
                if width == 0 {
                    index += 1
                    continue
                }
                let element = trimmed(UnsafeBufferPointer(rebasing: bytes[start..<index]))
                if !element.isEmpty { elements.append(.text(String(decoding: element, as: UTF8.self))) }
                index += width
                start = index
            }
            return unique(elements)
        }
    }

    /// The bytes without ASCII blanks, U+00A0 and U+3000 at both ends.
    private static func trimmed(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        var start = 0
        var end = bytes.count
        while start < end {
            if bytes[start] == 0x20 || (bytes[start] >= 0x09 && bytes[start] <= 0x0D) {
                start += 1
            } else if end - start >= 2, bytes[start] == 0xC2, bytes[start + 1] == 0xA0 {
                start += 2
            } else if end - start >= 3, bytes[start] == 0xE3, bytes[start + 1] == 0x80, bytes[start + 2] == 0x80 {
                start += 3
            } else {
                break
            }
        }
        while start < end {
            if bytes[end - 1] == 0x20 || (bytes[end - 1] >= 0x09 && bytes[end - 1] <= 0x0D) {
                end -= 1
            } else if end - start >= 2, bytes[end - 2] == 0xC2, bytes[end - 1] == 0xA0 {
                end -= 2
            } else if end - start >= 3, bytes[end - 3] == 0xE3, bytes[end - 2] == 0x80, bytes[end - 1] == 0x80 {
                end -= 3
            } else {
                break
            }
        }
        return UnsafeBufferPointer(rebasing: bytes[start..<end])
    }
}
