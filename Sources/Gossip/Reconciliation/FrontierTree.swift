package import Catalog
package import DeltaLog

/// A frontier in the order of its logs that gives the sum and number of entries of any range in logarithmic time.
///
/// A treap (Seidel, Aragon 1996, "Randomized Search Trees") in one array. It is ordered by log; its priorities come
/// from a seed, so nobody can make it deep by a choice of log names. Each node keeps the sum and the number of its
/// subtree; both are maintained along the path of a change and never recomputed by a scan. A single head is looked up
/// in a hash table: in the tree each level would cost a cache miss.
package struct FrontierTree: Sendable {
    private struct Node: Sendable {
        let log: LogID
        var head: Head
        /// The head's part of the sums.
        var fingerprint: Hash256
        /// The sum of the subtree.
        var sum: HashSum
        var count: Int32 = 1
        var left: Int32 = -1
        var right: Int32 = -1
        let priority: UInt64
    }

    private var nodes: [Node] = []
    /// The index of each log's node.
    private var slots: [LogID: Int32] = [:]
    private var free: [Int32] = []
    private var root: Int32 = -1
    private var seed: UInt64

    /// - Parameter seed: A number drawn by the owner; peers must not be able to guess it.
    package init(seed: UInt64) {
        self.seed = seed
    }

    /// The number of logs.
    package var count: Int { root < 0 ? 0 : Int(nodes[Int(root)].count) }

    /// The sum of all entries.
    package var sum: HashSum { root < 0 ? HashSum() : nodes[Int(root)].sum }

    /// The head of a log. Constant time.
    package subscript(log: LogID) -> Head? { slots[log].map { nodes[Int($0)].head } }

    // MARK: - Changing

    /// Sets or, with nil, removes a log's head. Logarithmic expected time.
    package mutating func set(_ head: Head?, of log: LogID, hasher: some CatalogHasher) {
        guard let head else {
            slots[log] = nil
            root = removing(log, from: root)
            return
        }
        let fingerprint = head.fingerprint(of: log, hasher: hasher)
        guard let slot = slots[log] else {
            let new = makeNode(log, head, fingerprint)
            slots[log] = new
            root = inserting(new, below: root)
            return
        }
        let before = nodes[Int(slot)].fingerprint
        nodes[Int(slot)].head = head
        nodes[Int(slot)].fingerprint = fingerprint
        var position = root
        while true {
            let index = Int(position)
            nodes[index].sum.subtract(before)
            nodes[index].sum.add(fingerprint)
            if position == slot { return }
            position = log < nodes[index].log ? nodes[index].left : nodes[index].right
        }
    }

    private mutating func makeNode(_ log: LogID, _ head: Head, _ fingerprint: Hash256) -> Int32 {
        // SplitMix64's step and mixing (Steele, Lea, Flood 2014).
        seed &+= 0x9E37_79B9_7F4A_7C15
        var priority = seed
        priority = (priority ^ (priority >> 30)) &* 0xBF58_476D_1CE4_E5B9
        priority = (priority ^ (priority >> 27)) &* 0x94D0_49BB_1331_11EB
        let node = Node(
            log: log,
            head: head,
            fingerprint: fingerprint,
            sum: HashSum(sum: fingerprint),
            priority: priority ^ (priority >> 31)
        )
        if let slot = free.popLast() {
            nodes[Int(slot)] = node
            return slot
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    /// Derives a node's count and sum from its children.
    private mutating func update(_ position: Int32) {
        let index = Int(position)
        var sum = HashSum(sum: nodes[index].fingerprint)
        var count: Int32 = 1
        for child in [nodes[index].left, nodes[index].right] where child >= 0 {
            sum.add(nodes[Int(child)].sum)
            count += nodes[Int(child)].count
        }
        nodes[index].sum = sum
        nodes[index].count = count
    }

    private mutating func inserting(_ new: Int32, below position: Int32) -> Int32 {
        guard position >= 0 else { return new }
        let index = Int(position)
        if nodes[Int(new)].log < nodes[index].log {
            let left = inserting(new, below: nodes[index].left)
            nodes[index].left = left
            return nodes[Int(left)].priority > nodes[index].priority ? rotatingRight(position) : updated(position)
        }
        let right = inserting(new, below: nodes[index].right)
        nodes[index].right = right
        return nodes[Int(right)].priority > nodes[index].priority ? rotatingLeft(position) : updated(position)
    }

    private mutating func updated(_ position: Int32) -> Int32 {
        update(position)
        return position
    }

    /// Rotates right: the left child replaces its parent.
    private mutating func rotatingRight(_ position: Int32) -> Int32 {
        let up = nodes[Int(position)].left
        nodes[Int(position)].left = nodes[Int(up)].right
        nodes[Int(up)].right = position
        update(position)
        return updated(up)
    }

    private mutating func rotatingLeft(_ position: Int32) -> Int32 {
        let up = nodes[Int(position)].right
        nodes[Int(position)].right = nodes[Int(up)].left
        nodes[Int(up)].left = position
        update(position)
        return updated(up)
    }

    private mutating func removing(_ log: LogID, from position: Int32) -> Int32 {
        guard position >= 0 else { return position }
        let index = Int(position)
        if log == nodes[index].log {
            free.append(position)
            return merging(nodes[index].left, nodes[index].right)
        }
        if log < nodes[index].log {
            nodes[index].left = removing(log, from: nodes[index].left)
        } else {
            nodes[index].right = removing(log, from: nodes[index].right)
        }
        return updated(position)
    }

    /// Joins two trees, of which all logs of the left one are lower.
    private mutating func merging(_ left: Int32, _ right: Int32) -> Int32 {
        guard left >= 0 else { return right }
        guard right >= 0 else { return left }
        if nodes[Int(left)].priority > nodes[Int(right)].priority {
            nodes[Int(left)].right = merging(nodes[Int(left)].right, right)
            return updated(left)
        }
        nodes[Int(right)].left = merging(left, nodes[Int(right)].left)
        return updated(right)
    }

    // MARK: - Ranges

    /// The sum and number of the entries before a bound. Logarithmic expected time.
    private func prefix(before bound: RangeBound) -> (sum: HashSum, count: Int) {
        var sum = HashSum()
        var count = 0
        var position = root
        while position >= 0 {
            let node = nodes[Int(position)]
            if bound.isAfter(node.log) {
                sum.add(node.fingerprint)
                count += 1
                if node.left >= 0 {
                    sum.add(nodes[Int(node.left)].sum)
                    count += Int(nodes[Int(node.left)].count)
                }
                position = node.right
            } else {
                position = node.left
            }
        }
        return (sum, count)
    }

    /// The sum and number of the entries from `lower` on and before `upper`. Logarithmic expected time.
    package func summary(from lower: RangeBound, to upper: RangeBound) -> (sum: HashSum, count: Int) {
        let low = prefix(before: lower)
        let high = prefix(before: upper)
        guard high.count > low.count else { return (HashSum(), 0) }
        var sum = high.sum
        sum.subtract(low.sum.sum)
        return (sum, high.count - low.count)
    }

    /// The number of entries before a bound. Logarithmic expected time.
    package func rank(of bound: RangeBound) -> Int { prefix(before: bound).count }

    /// The entry at a position in order. Logarithmic expected time.
    package func entry(at rank: Int) -> LogHead? {
        var rest = rank
        var position = root
        while position >= 0, rest >= 0 {
            let node = nodes[Int(position)]
            let left = node.left >= 0 ? Int(nodes[Int(node.left)].count) : 0
            if rest < left {
                position = node.left
            } else if rest == left {
                return LogHead(log: node.log, head: node.head)
            } else {
                rest -= left + 1
                position = node.right
            }
        }
        return nil
    }

    /// The entries at a range of positions, ascending. Linear in their number, plus a logarithm.
    package func entries(_ ranks: Range<Int>) -> [LogHead] {
        var found: [LogHead] = []
        collect(ranks.clamped(to: 0..<count), below: root, offset: 0, into: &found)
        return found
    }

    private func collect(_ ranks: Range<Int>, below position: Int32, offset: Int, into found: inout [LogHead]) {
        guard position >= 0 else { return }
        let node = nodes[Int(position)]
        let own = offset + (node.left >= 0 ? Int(nodes[Int(node.left)].count) : 0)
        if ranks.lowerBound < own { collect(ranks, below: node.left, offset: offset, into: &found) }
        if ranks.contains(own) { found.append(LogHead(log: node.log, head: node.head)) }
        if ranks.upperBound > own + 1 { collect(ranks, below: node.right, offset: own + 1, into: &found) }
    }

    /// All entries, ascending.
    package var sorted: [LogHead] { entries(0..<count) }
}
