import Foundation

/// Times as text.
package enum TimeText {
    /// ISO 8601 in UTC with milliseconds.
    package static func iso(milliseconds: UInt64) -> String {
        let date = Date(timeIntervalSince1970: Double(min(milliseconds, 253_402_300_799_999)) / 1000)
        return date.formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted)
        )
    }

    /// `2026-07-30 12:05 UTC`, for sentences.
    package static func minute(milliseconds: UInt64) -> String {
        let text = iso(milliseconds: milliseconds)
        guard text.count > 16 else { return text }
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5)) UTC"
    }

    /// `12 s`, `3 min`, `5 h`, `2 d`, `25 years`; without a sign.
    package static func span(seconds: Double) -> String {
        switch abs(seconds) {
        case ..<120: "\(Int(abs(seconds).rounded())) s"
        case ..<7200: "\(Int((abs(seconds) / 60).rounded())) min"
        case ..<172_800: "\(Int((abs(seconds) / 3600).rounded())) h"
        case ..<(730 * 86_400): "\(Int((abs(seconds) / 86_400).rounded())) d"
        case ..<1e12: "\(Int((abs(seconds) / (365.2425 * 86_400)).rounded())) years"
        default: "ages"
        }
    }
}
