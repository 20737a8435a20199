/// A dictionary of bounded weight: entries without recent use are dropped, so no peer can fill the memory.
///
/// There are two generations. When the younger one is full, it replaces the older one, and the entries of the older one
/// are dropped. An entry of the older generation that is looked up moves to the younger one. So at most twice
/// ``weightMax`` is kept. The most recently used entries are present, up to a total weight of ``weightMax``.
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

    /// Keeps a value and replaces any earlier value of the key. A value that weighs more than ``weightMax`` is not
    /// kept.
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

    /// Removes a key and returns its value, if there was one.
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
