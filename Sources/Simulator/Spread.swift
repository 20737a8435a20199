/// Measures how watched deltas spread: their receivers, hops, copies and times.
package struct Spread: Sendable {
    /// The spread of one delta.
    package struct Course: Sendable {
        package let author: Int
        /// Nanoseconds since the start.
        package let begunAt: UInt64
        /// By node index: the hops from the author at the first arrival; nil if it did not arrive.
        package fileprivate(set) var hops: [Int?]
        /// By node index: the time at which it was on disk.
        package fileprivate(set) var storedAt: [UInt64?]
        /// The number of arrivals at all nodes together.
        package fileprivate(set) var copies = 0
    }

    /// True while new deltas are watched.
    package var isWatching = false
    /// The number of nodes.
    package var nodeCount = 0
    /// The courses, ordered by their start.
    package private(set) var courses: [Course] = []
    private var positions: [Int32: Int] = [:]

    /// Starts the course of an own delta that is about to be committed.
    mutating func begun(_ index: Int32, at nodeIndex: Int, now: UInt64) {
        guard isWatching else { return }
        var course = Course(
            author: nodeIndex,
            begunAt: now,
            hops: Array(repeating: nil, count: nodeCount),
            storedAt: Array(repeating: nil, count: nodeCount)
        )
        course.hops[nodeIndex] = 0
        course.storedAt[nodeIndex] = now
        positions[index] = courses.count
        courses.append(course)
    }

    /// Records the arrival of the delta at a node.
    mutating func received(_ index: Int32, at nodeIndex: Int, from sender: Int) {
        guard let position = positions[index], nodeIndex < nodeCount, sender < nodeCount else { return }
        courses[position].copies += 1
        if courses[position].hops[nodeIndex] == nil {
            courses[position].hops[nodeIndex] = (courses[position].hops[sender] ?? 0) + 1
        }
    }

    /// Records that the delta is on a node's disk.
    mutating func stored(_ index: Int32, at nodeIndex: Int, now: UInt64) {
        guard let position = positions[index], nodeIndex < nodeCount else { return }
        if courses[position].storedAt[nodeIndex] == nil { courses[position].storedAt[nodeIndex] = now }
    }

    /// Discards all courses.
    package mutating func reset() {
        courses = []
        positions = [:]
    }

    // MARK: - Figures

    /// The number of deliveries to these nodes, without their own deltas.
    package func deliveries(to nodeIndices: [Int]) -> Int {
        courses.reduce(0) { sum, course in
            sum + nodeIndices.count { $0 != course.author && course.storedAt[$0] != nil }
        }
    }

    /// The number of deliveries that these nodes still lack.
    package func missing(at nodeIndices: [Int]) -> Int {
        courses.reduce(0) { sum, course in sum + nodeIndices.count { course.storedAt[$0] == nil } }
    }

    /// The number of deltas in messages, counted at each arrival.
    package var copies: Int { courses.reduce(0) { $0 + $1.copies } }

    /// Relative message redundancy (Leitão, Pereira, Rodrigues 2007, "Epidemic Broadcast Trees", section 4.1): copies
    /// per delivery, minus the necessary one.
    package func redundancy(to nodeIndices: [Int]) -> Double {
        let deliveries = deliveries(to: nodeIndices)
        return deliveries == 0 ? 0 : Double(copies) / Double(deliveries) - 1
    }

    /// The maximum number of hops of a delta to any of its receivers (last delivery hop, same source).
    package var hopsMax: Int { courses.reduce(0) { max($0, $1.hops.compactMap { $0 }.max() ?? 0) } }

    /// The time from a write until the delta is on disk at the last of the nodes that have it, in milliseconds: the
    /// mean over all deltas.
    package func delayMeanMilliseconds(at nodeIndices: [Int]) -> Double {
        let delays = courses.map { course in
            nodeIndices.compactMap { course.storedAt[$0] }.map { Double($0 - course.begunAt) / 1e6 }.max() ?? 0
        }
        return delays.isEmpty ? 0 : delays.reduce(0, +) / Double(delays.count)
    }

    /// The longest time from a write until the delta is on disk at a node that has it, in milliseconds.
    package func delayMaxMilliseconds(at nodeIndices: [Int]) -> UInt64 {
        courses.reduce(0) { longest, course in
            max(
                longest,
                nodeIndices.compactMap { course.storedAt[$0] }.map { ($0 - course.begunAt) / 1_000_000 }.max() ?? 0
            )
        }
    }
}
