import Simulator

// Random draws of hostile peers.

extension SplitMix64 {
    /// True with a probability of one in `count`.
    mutating func isOne(in count: Int) -> Bool { Int.random(in: 0..<max(1, count), using: &self) == 0 }

    /// A random element; nil if there is none.
    mutating func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &self) }

    /// A random element of a non-empty list.
    mutating func pick<Element>(of first: Element, _ others: Element...) -> Element {
        let nodeIndex = Int.random(in: 0...others.count, using: &self)
        return nodeIndex == 0 ? first : others[nodeIndex - 1]
    }

    /// A number below a bound; small numbers are far more frequent.
    mutating func small(below bound: Int) -> Int {
        var bound = bound
        while bound > 1, Bool.random(using: &self) { bound = (bound + 3) / 4 }
        return Int.random(in: 0..<max(1, bound), using: &self)
    }

    /// The limits of integer types, and their neighbours.
    private static let ends: [UInt64] = [
        0, 1, 2, 127, 128, 255, 256, 4_095, 4_096, 4_097, 65_535, 65_536, 1 << 31 - 1, 1 << 31, 1 << 31 + 1,
        1 << 32 - 1, 1 << 32, 1 << 48 - 1, 1 << 48, 1 << 53, 1 << 63 - 1, 1 << 63, 1 << 63 + 1, .max - 1, .max,
    ]

    mutating func extreme() -> UInt64 { pick(Self.ends) ?? 0 }
    mutating func extreme32() -> UInt32 { UInt32(truncatingIfNeeded: isOne(in: 8) ? next() : extreme()) }

    /// A number near `held`, or an extreme one.
    mutating func number(near held: UInt64) -> UInt64 {
        switch Int.random(in: 0..<10, using: &self) {
        case 0, 1, 2: held
        case 3, 4: held &+ 1
        case 5: held &- 1
        case 6: held &+ 2
        case 7: held == 0 ? 0 : UInt64.random(in: 0...held, using: &self)
        default: extreme()
        }
    }

    /// Texts that often cause errors in programs.
    private static let texts: [String] = [
        "", " ", "a", "é", "e\u{301}", "K", "\u{212A}", "测试", "line\nbreak\r", "\u{0}", "\u{1B}[2J", "\u{202E}x",
        "/", "//", "a/", "/a", "@", "@/x", "name/und", "name/zh", "ext/Column é", "ext/", "tags", "%s%n", "\"'`;--",
        "\u{FEFF}a", "\u{10FFFF}", "\u{E000}k1", "a b c AND OR NOT NEAR(", "*", "𝒳𝒴", "0012", "=1+1",
    ]

    mutating func text() -> String {
        if isOne(in: 60) { return String(repeating: pick(Self.texts) ?? "x", count: small(below: 3_000)) }
        return pick(Self.texts) ?? ""
    }
}

extension SplitMix64 {
    /// The bytes with a few changes: flipped, inserted, removed, truncated, repeated, or with varints of maximum
    /// length.
    mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...small(below: 4) {
            guard !bytes.isEmpty else { return [UInt8(truncatingIfNeeded: next())] }
            let nodeIndex = Int.random(in: 0..<bytes.count, using: &self)
            let end = min(bytes.count, nodeIndex + 1 + small(below: 40))
            switch Int.random(in: 0..<8, using: &self) {
            case 0: bytes[nodeIndex] ^= 1 << UInt8.random(in: 0..<8, using: &self)
            case 1: bytes[nodeIndex] = UInt8(truncatingIfNeeded: next())
            case 2: bytes.insert(UInt8(truncatingIfNeeded: next()), at: nodeIndex)
            case 3: bytes.removeSubrange(nodeIndex..<end)
            case 4: bytes.removeSubrange(nodeIndex...)
            case 5: bytes.insert(contentsOf: Array(bytes[nodeIndex..<end]), at: nodeIndex)
            case 6: bytes.replaceSubrange(nodeIndex...nodeIndex, with: Array(repeating: 0xFF, count: 9) + [1])
            default: bytes[nodeIndex] = pick(of: 0, 1, 0x7F, 0x80, 0xFF)
            }
        }
        return bytes
    }
}
