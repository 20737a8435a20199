/// A dictionary that forgets what was not asked for lately, so that no peer can fill the memory with what it names.
///
/// Two generations: when the younger one is full it takes the place of the older one, whose entries are forgotten unless they
/// were asked for meanwhile. So at most twice ``weightMax`` is kept, and whatever was asked for among the last entries that
/// weigh so much is there.
struct BoundedCache<Key: Hashable, Value> {
    /// The weight of one generation; the unit is that of ``insert(_:for:weight:)``.
    let weightMax: Int
    private var young: [Key: (value: Value, weight: Int)] = [:]
    private var old: [Key: (value: Value, weight: Int)] = [:]
    private var youngWeight = 0
    private var oldWeight = 0

    init(weightMax: Int) { self.weightMax = weightMax }

    var count: Int { young.count + old.count }
    /// The weight of all entries; at most twice ``weightMax``.
    var weight: Int { youngWeight + oldWeight }

    /// The value kept for a key. Constant expected time.
    mutating func find(_ key: Key) -> Value? {
        if let entry = young[key] { return entry.value }
        guard !old.isEmpty, let entry = old.removeValue(forKey: key) else { return nil }
        oldWeight -= entry.weight
        insert(entry.value, for: key, weight: entry.weight)
        return entry.value
    }

    /// Keeps a value, in the place of the one kept for the key. One that weighs more than ``weightMax`` is not kept.
    mutating func insert(_ value: Value, for key: Key, weight: Int) {
        remove(key)
        guard weight <= weightMax else { return }
        if youngWeight + weight > weightMax {
            (old, oldWeight) = (young, youngWeight)
            (young, youngWeight) = ([:], 0)
        }
        young[key] = (value, weight)
        youngWeight += weight
    }

    /// Forgets a key; what was kept for it.
    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        if let entry = young.removeValue(forKey: key) {
            youngWeight -= entry.weight
            return entry.value
        }
        guard let entry = old.removeValue(forKey: key) else { return nil }
        oldWeight -= entry.weight
        return entry.value
    }
}
