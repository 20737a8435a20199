import ArgumentParser

/// A span of time as people write it: `90s`, `30m`, `24h`, `7d`.
struct TimeSpan: ExpressibleByArgument {
    let seconds: UInt64

    /// About ten years.
    private static let secondsMax: UInt64 = 3650 * 86_400

    init?(argument: String) {
        let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = argument.last, let unit = units[last], let number = UInt64(argument.dropLast()), number > 0,
            number <= Self.secondsMax / unit
        else { return nil }
        seconds = number * unit
    }

    var defaultValueDescription: String {
        seconds.isMultiple(of: 3600) ? "\(seconds / 3600)h" : "\(seconds)s"
    }

    init(seconds: UInt64) { self.seconds = seconds }
}
