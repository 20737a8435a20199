import Commands
import Foundation
import Replica

/// Ids, times and amounts in the form for people.
enum Words {
    /// The first 12 digits of an id.
    static func short(_ id: String) -> String { String(id.prefix(12)) }

    /// A state's token for people: `in step` for `in-step`.
    static func state(_ token: String) -> String { token.replacing("-", with: " ") }

    /// `1 record`, `3 records`.
    static func count(_ number: some BinaryInteger, _ noun: String, _ plural: String? = nil) -> String {
        "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
    }

    /// Digits in groups of three.
    static func grouped(_ number: some BinaryInteger) -> String {
        let digits = Array("\(number)".reversed())
        var text: [Character] = []
        for (position, digit) in digits.enumerated() {
            if position > 0, position.isMultiple(of: 3), digit != "-" { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// `12 s`, `3 min`, `5 h`, `2 d`.
    static func duration(_ seconds: Double) -> String { TimeText.span(seconds: seconds) }

    /// `740 kB`, `12.3 MB`.
    static func size(_ bytes: Int) -> String {
        switch bytes {
        case ..<1_000_000: "\(bytes / 1000) kB"
        case ..<1_000_000_000: String(format: "%.1f MB", Double(bytes) / 1e6)
        default: String(format: "%.1f GB", Double(bytes) / 1e9)
        }
    }

    /// `12 s ago`, `never`.
    static func ago(_ seconds: Double?) -> String {
        guard let seconds else { return "never" }
        return seconds < 1 ? "now" : "\(duration(max(0, seconds))) ago"
    }

    /// The local time of an ISO 8601 text, to the second; the text itself if it is not ISO 8601.
    static func time(_ text: String) -> String {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        guard let date = (try? style.parse(text)) ?? (try? Date.ISO8601FormatStyle().parse(text)) else { return text }
        var seconds = time_t(date.timeIntervalSince1970)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%d %H:%M:%S", &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A value on one line.
    static func value(_ value: JSONValue) -> String {
        switch value {
        case .null: "(nothing)"
        case .boolean(let flag): flag ? "true" : "false"
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .string(let text): text
        case .array(let elements): elements.map(Words.value).joined(separator: "; ")
        case .object(let members):
            members.entries.map { "\($0.name): \(Words.value($0.value))" }.joined(separator: ", ")
        }
    }

    /// A word in the form that a shell reads as one word.
    static func quoted(_ word: String) -> String {
        let plain = word.unicodeScalars.allSatisfy { scalar in
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                || "/._-:,+@%=".unicodeScalars.contains(scalar)
        }
        return plain && !word.isEmpty ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
