/// How the deltas that are watched spread: who got each by how many hops, how often, and when.
package struct Spread: Sendable {
    /// The way of one delta.
    package struct Course: Sendable {
        package let author: Int
        /// Nanoseconds since the start.
        package let begunAt: UInt64
        /// By place: hops from the author when it first came; nil where it did not.
        package fileprivate(set) var hops: [Int?]
        /// By place: when it was on disk.
        package fileprivate(set) var storedAt: [UInt64?]
        /// How often it came, all nodes together.
        package fileprivate(set) var copies = 0
    }

    /// True while new deltas are watched.
    package var isWatching = false
    /// The places there are.
    package var placeCount = 0
    /// Courses in the order in which they began.
    package private(set) var courses: [Course] = []
    private var positions: [Int32: Int] = [:]

    /// An own delta is about to be committed.
    mutating func begun(_ index: Int32, at place: Int, now: UInt64) {
        guard isWatching else { return }
        var course = Course(
            author: place,
            begunAt: now,
            hops: Array(repeating: nil, count: placeCount),
            storedAt: Array(repeating: nil, count: placeCount)
        )
        course.hops[place] = 0
        course.storedAt[place] = now
        positions[index] = courses.count
        courses.append(course)
    }

    /// A message with the delta came to a node.
    mutating func received(_ index: Int32, at place: Int, from sender: Int) {
        guard let position = positions[index], place < placeCount, sender < placeCount else { return }
        courses[position].copies += 1
        if courses[position].hops[place] == nil {
            courses[position].hops[place] = (courses[position].hops[sender] ?? 0) + 1
        }
    }

    /// The delta is on a node's disk.
    mutating func stored(_ index: Int32, at place: Int, now: UInt64) {
        guard let position = positions[index], place < placeCount else { return }
        if courses[position].storedAt[place] == nil { courses[position].storedAt[place] = now }
    }

    /// Forgets what was watched so far.
    package mutating func reset() {
        courses = []
        positions = [:]
    }

    // MARK: - Figures

    /// Deliveries to those places, their own deltas not counted.
    package func deliveries(to places: [Int]) -> Int {
        courses.reduce(0) { sum, course in
            sum + places.count { $0 != course.author && course.storedAt[$0] != nil }
        }
    }

    /// Deliveries that those places still lack.
    package func missing(at places: [Int]) -> Int {
        courses.reduce(0) { sum, course in sum + places.count { course.storedAt[$0] == nil } }
    }

    /// Deltas that came in messages, each time that they came.
    package var copies: Int { courses.reduce(0) { $0 + $1.copies } }

    /// Relative message redundancy (Leitão, Pereira, Rodrigues 2007, "Epidemic Broadcast Trees", section 4.1): copies for
    /// each delivery, less the one that is needed.
    package func redundancy(to places: [Int]) -> Double {
        let deliveries = deliveries(to: places)
        return deliveries == 0 ? 0 : Double(copies) / Double(deliveries) - 1
    }

    /// The most hops that a delta took to any of its receivers (last delivery hop, same source).
    package var hopsMax: Int { courses.reduce(0) { max($0, $1.hops.compactMap { $0 }.max() ?? 0) } }

    /// The time from a write to its being on disk at the last of the places that has it, in milliseconds: the mean over all
    /// deltas.
    package func delayMeanMilliseconds(at places: [Int]) -> Double {
        let delays = courses.map { course in
            places.compactMap { course.storedAt[$0] }.map { Double($0 - course.begunAt) / 1e6 }.max() ?? 0
        }
        return delays.isEmpty ? 0 : delays.reduce(0, +) / Double(delays.count)
    }

    /// The longest time from a write to its being on disk at those of the places that have it, in milliseconds.
    package func delayMaxMilliseconds(at places: [Int]) -> UInt64 {
        courses.reduce(0) { longest, course in
            max(longest, places.compactMap { course.storedAt[$0] }.map { ($0 - course.begunAt) / 1_000_000 }.max() ?? 0)
        }
    }
}
