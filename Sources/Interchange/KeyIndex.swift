internal import Catalog

/// Finds keys that repeat in a file, in bounded memory a record: 16 bytes a slot at a load of 80 % at most, so 20 to 40
/// bytes a key.
///
/// Holds 64 bits of a keyed hash (SipHash, Swift's own, whose seed changes with each process), 32 bits of a second one,
/// and the line; not the key itself. Two of a million different keys collide with a probability of some 10⁻¹⁷.
struct KeyIndex {
    private struct Slot {
        var high: UInt64 = 0
        var low: UInt32 = 0
        /// 0 marks a free slot; lines beyond 2³² − 1 are shown as that.
        var line: UInt32 = 0
    }

    private var slots = [Slot](repeating: Slot(), count: 1024)
    private(set) var count = 0
    /// True once the file is read again: its keys are known.
    private var isAgain = false

    /// The file is read once more from its beginning: now a key is one that repeats unless it stands on the line on which it
    /// stood the first time.
    mutating func beginAgain() { isAgain = true }

    /// Notes that a key stands on `line`; the line on which it stood before, if it did.
    mutating func insert(kind: String, key: String, line: Int) -> Int? {
        var one = Hasher()
        one.combine(bytesOf: kind)
        one.combine(bytesOf: key)
        // FNV-1a (Fowler, Noll, Vo) over the key; SipHash alone would do for all but millions of keys.
        var low: UInt32 = 2_166_136_261
        for byte in key.utf8 { low = (low ^ UInt32(byte)) &* 16_777_619 }
        let new = Slot(
            high: UInt64(bitPattern: Int64(one.finalize())),
            low: low,
            line: UInt32(clamping: max(1, line))
        )
        if count * 5 >= slots.count * 4 { grow() }
        let position = Self.position(of: new, in: slots)
        if slots[position].line != 0 {
            return isAgain && slots[position].line == new.line ? nil : Int(slots[position].line)
        }
        slots[position] = new
        count += 1
        return nil
    }

    private static func position(of slot: Slot, in slots: [Slot]) -> Int {
        // The number of slots is a power of two.
        let mask = slots.count - 1
        var position = Int(truncatingIfNeeded: slot.high) & mask
        while slots[position].line != 0, slots[position].high != slot.high || slots[position].low != slot.low {
            position = (position + 1) & mask
        }
        return position
    }

    private mutating func grow() {
        var larger = [Slot](repeating: Slot(), count: slots.count * 2)
        for slot in slots where slot.line != 0 {
            larger[Self.position(of: slot, in: larger)] = slot
        }
        slots = larger
    }
}
