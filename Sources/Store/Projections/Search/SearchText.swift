import Foundation

/// Converts text to the terms of the index, and a query to the terms to search for.
///
/// Text is normalized to Unicode's form NFKC (which makes full-width letters narrow), and its case is folded. Letters,
/// digits and their marks form words; everything else separates. In scripts that are written without blanks (Han, Kana,
/// Hangul, Bopomofo), each pair of adjacent characters is a term, and so is the last character of a run. So a query of
/// two or more characters is found as a phrase of pairs, and a single character as the beginning of a term. Text and
/// queries pass through the same code; FTS5 only splits the result at blanks (its `ascii` tokenizer).
package enum SearchText {
    /// The maximum bytes of one value that are indexed; later text is not found. A guess: as long as a field may be.
    static let valueBytesMax = 64 * 1024

    /// The role of a character.
    enum Role { case word, unspaced, separator, ignored }

    /// Appends the terms of a text, each followed by a blank.
    package static func append(_ text: String, to terms: inout [UInt8]) {
        var text = text
        if !text.withUTF8({ appendUsual($0, to: &terms) }) { appendAny(text, to: &terms) }
    }

    /// Appends the terms of a text that is given as its UTF-8.
    static func append(utf8 text: ArraySlice<UInt8>, to terms: inout [UInt8]) {
        if !text.withUnsafeBufferPointer({ appendUsual($0, to: &terms) }) {
            appendAny(String(decoding: text, as: UTF8.self), to: &terms)
        }
    }

    /// The indexed part of a value, cut at a whole character.
    static func indexed(_ text: String) -> String {
        guard text.utf8.count > valueBytesMax else { return text }
        let scalars = text.unicodeScalars
        let cut = text.utf8.index(text.startIndex, offsetBy: valueBytesMax)
        let whole = cut.samePosition(in: scalars) ?? scalars.index(before: cut)
        return String(text[..<whole])
    }

    private static func appendAny(_ text: String, to terms: inout [UInt8]) {
        var run: [Unicode.Scalar] = []
        for segment in segments(of: indexed(text)) {
            switch segment {
            case .word(let word):
                terms.append(contentsOf: word.utf8)
                terms.append(blank)
            case .unspaced(let scalars):
                run = scalars
                for position in run.indices {
                    terms.append(contentsOf: UTF8.encode(run[position])!)
                    if position + 1 < run.endIndex { terms.append(contentsOf: UTF8.encode(run[position + 1])!) }
                    terms.append(blank)
                }
            }
        }
    }

    private static let blank = UInt8(ascii: " ")

    // MARK: - The usual characters

    /// For each ASCII byte its lower case, or 0 for a separator.
    private static let narrow: [UInt8] = (0..<128).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): UInt8(byte)
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt8(byte) + 32
        default: 0
        }
    }

    /// Handles texts of ASCII, Han, Kana, Hangul, full-width forms and their punctuation. NFKC leaves these unchanged
    /// or narrows them one by one, so no Unicode table is needed. For other characters it returns false and appends
    /// nothing.
    private static func appendUsual(_ bytes: UnsafeBufferPointer<UInt8>, to terms: inout [UInt8]) -> Bool {
        let bytes = UnsafeBufferPointer(rebasing: bytes.prefix(valueBytesMax))
        // A character of three bytes gives at most seven bytes, and the last of a run four more. Reserving the maximum
        // here avoids a check per byte.
        let start = terms.count
        terms.append(contentsOf: repeatElement(0, count: 3 * bytes.count + 8))
        var end = start
        let isDone = terms.withUnsafeMutableBufferPointer { terms in
            narrow.withUnsafeBufferPointer { narrow in
                appendUsual(bytes, to: terms, at: &end, narrow: narrow)
            }
        }
        terms.removeLast(terms.count - (isDone ? end : start))
        return isDone
    }

    private static func appendUsual(
        _ bytes: UnsafeBufferPointer<UInt8>,
        to terms: UnsafeMutableBufferPointer<UInt8>,
        at end: inout Int,
        narrow: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        var position = 0
        var next = end
        defer { end = next }
        // The byte offset of the last character of a run in a script without blanks, or -1.
        var before = -1
        var isInWord = false
        func put(_ byte: UInt8) {
            terms[next] = byte
            next += 1
        }
        func put(characterAt position: Int) {
            put(bytes[position])
            put(bytes[position + 1])
            put(bytes[position + 2])
        }
        func closeRun() {
            guard before >= 0 else { return }
            put(characterAt: before)
            put(blank)
            before = -1
        }
        func take(ascii byte: UInt8) {
            let folded = narrow[Int(byte)]
            if folded != 0 {
                closeRun()
                put(folded)
                isInWord = true
            } else {
                if isInWord { put(blank) } else { closeRun() }
                isInWord = false
            }
        }
        while position < bytes.count {
            let byte = bytes[position]
            if byte < 0x80 {
                take(ascii: byte)
                position += 1
                continue
            }
            guard byte & 0xF0 == 0xE0 else { return false }
            // The last character may be incomplete if the text was cut.
            guard position + 3 <= bytes.count else { break }
            let scalar =
                UInt32(byte & 0x0F) << 12 | UInt32(bytes[position + 1] & 0x3F) << 6
                | UInt32(bytes[position + 2] & 0x3F)
            switch scalar {
            case _ where isUsualUnspaced(scalar):
                if isInWord { put(blank) }
                isInWord = false
                if before >= 0 {
                    put(characterAt: before)
                    put(characterAt: position)
                    put(blank)
                }
                before = position
            case 0xFF01...0xFF5E:
                take(ascii: UInt8(scalar - 0xFEE0))
            case 0x3000...0x3003, 0x3008...0x3011, 0x3014...0x301F, 0x2012...0x2016, 0x2018...0x2023, 0x2026:
                take(ascii: blank)
            default:
                return false
            }
            position += 3
        }
        if isInWord { put(blank) }
        closeRun()
        return true
    }

    // MARK: - All characters

    /// A part of a text between separators.
    enum Segment: Equatable {
        case word(String)
        case unspaced([Unicode.Scalar])

        /// True if a query's segment is found in this one: a word by its beginning, a run anywhere.
        func holds(_ query: Segment) -> Bool {
            switch (self, query) {
            case (.word(let word), .word(let beginning)):
                word.unicodeScalars.starts(with: beginning.unicodeScalars)
            case (.unspaced(let run), .unspaced(let part)):
                part.count <= run.count
                    && (0...run.count - part.count).contains { run[$0..<$0 + part.count].elementsEqual(part) }
            case (.word, .unspaced), (.unspaced, .word): false
            }
        }
    }

    /// The words and runs of a text, normalized.
    static func segments(of text: String) -> [Segment] {
        var segments: [Segment] = []
        var word = String.UnicodeScalarView()
        var run: [Unicode.Scalar] = []
        func close() {
            if !word.isEmpty { segments.append(.word(String(word))) }
            if !run.isEmpty { segments.append(.unspaced(run)) }
            word = String.UnicodeScalarView()
            run = []
        }
        // NFKC in two steps: Foundation's single method leaves marks after half-width Kana uncomposed.
        let normal =
            text.unicodeScalars.allSatisfy(isNormal)
            ? text : text.decomposedStringWithCompatibilityMapping.precomposedStringWithCanonicalMapping
        for scalar in normal.unicodeScalars {
            switch role(of: scalar) {
            case .ignored: continue
            case .separator: close()
            case .unspaced:
                if !word.isEmpty { close() }
                run.append(scalar)
            case .word:
                if !run.isEmpty { close() }
                if scalar.value < 0x80 {
                    word.append(Unicode.Scalar(narrow[Int(scalar.value)]))
                } else {
                    word.append(contentsOf: folded(scalar))
                }
            }
        }
        close()
        return segments
    }

    /// True for characters that NFKC leaves unchanged in any sequence of such characters: ASCII, Han, Kana, Hangul
    /// syllables and their punctuation.
    private static func isNormal(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x80, 0x3001...0x3003, 0x3008...0x3011: true
        default: isUsualUnspaced(scalar.value)
        }
    }

    /// Han, Kana and Hangul syllables that NFKC leaves unchanged.
    @inline(__always)
    private static func isUsualUnspaced(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x3041...0x3096, 0x30A1...0x30FA, 0x30FC, 0xAC00...0xD7A3, 0x3005,
            0x3007:
            true
        default: false
        }
    }

    private static func folded(_ scalar: Unicode.Scalar) -> String.UnicodeScalarView {
        // The lower case of the upper case: so letters with two lower cases (ς and σ) or a longer upper case (ß) fold
        // to one text. Swift's standard library has no table of case folding.
        let upper = scalar.properties.uppercaseMapping
        var result = String.UnicodeScalarView()
        for scalar in upper.unicodeScalars {
            result.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
        }
        return result
    }

    static func role(of scalar: Unicode.Scalar) -> Role {
        switch scalar.value {
        case 0..<0x80: return narrow[Int(scalar.value)] == 0 ? .separator : .word
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x3FFFF, 0xF900...0xFAFF, 0x3005, 0x3007, 0x3041...0x3096,
            0x309D...0x309F, 0x30A1...0x30FA, 0x30FC...0x30FF, 0x31F0...0x31FF, 0x3105...0x312F, 0x31A0...0x31BF,
            0xAC00...0xD7A3, 0x1100...0x11FF, 0xA960...0xA97F, 0xD7B0...0xD7FF:
            return .unspaced
        default: break
        }
        let properties = scalar.properties
        if properties.isDefaultIgnorableCodePoint { return .ignored }
        if properties.isAlphabetic || properties.numericType != nil { return .word }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: return .word
        default: return .separator
        }
    }

    // MARK: - Queries

    /// The maximum number of words and runs of a query; the rest is ignored.
    static let queryTermsMax = 16

    /// The FTS5 expression for texts that contain every word of the query as the beginning of a word, and every run of
    /// unspaced characters exactly. Nil if the query has no words.
    ///
    /// - Parameter areWhole: True to match whole words only, which avoids reading all words with the same beginning.
    static func expression(for query: String, areWhole: Bool = false) -> String? {
        let beginning = areWhole ? "" : " *"
        let terms = segments(of: String(query.prefix(1000))).prefix(queryTermsMax).map { segment -> String in
            switch segment {
            case .word(let word): return "\"\(word)\"\(beginning)"
            case .unspaced(let run):
                guard run.count > 1 else { return "\"\(String(String.UnicodeScalarView(run)))\" *" }
                let pairs = zip(run, run.dropFirst()).map { String(String.UnicodeScalarView([$0, $1])) }
                return "\"" + pairs.joined(separator: " ") + "\""
            }
        }
        return terms.isEmpty ? nil : terms.joined(separator: " AND ")
    }
}
