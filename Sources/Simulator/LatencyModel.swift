#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The travel time of a packet in one direction.
package enum LatencyModel: Hashable, Sendable {
    /// The same time for all packets, in milliseconds.
    case constant(UInt64)
    /// A new random time for every packet, in milliseconds.
    case uniform(ClosedRange<UInt64>)
    /// Nodes are in cities of the earth; times follow the speed of light in glass.
    case earth

    /// Cities by latitude and longitude in degrees. Nodes are assigned to them in turn.
    static let cities: [(name: String, latitude: Double, longitude: Double)] = [
        ("Beijing", 39.9, 116.4), ("Shanghai", 31.2, 121.5), ("Shenzhen", 22.5, 114.1), ("Singapore", 1.35, 103.8),
        ("Berlin", 52.5, 13.4), ("Paris", 48.9, 2.35), ("London", 51.5, -0.1), ("New York", 40.7, -74.0),
        ("San Francisco", 37.8, -122.4), ("São Paulo", -23.6, -46.6), ("Nairobi", -1.3, 36.8), ("Sydney", -33.9, 151.2),
    ]

    /// The nanoseconds from each city to each other. The distance is the great circle on a sphere of 6,371 km, times
    /// 1.4 for longer cables. The speed is two thirds of the speed of light; the ends add 0.3 ms.
    static let passages: [[UInt64]] = cities.map { from in
        cities.map { to in
            let degree = Double.pi / 180
            let latitude = sin((to.latitude - from.latitude) * degree / 2)
            let longitude = sin((to.longitude - from.longitude) * degree / 2)
            let half =
                latitude * latitude
                + cos(from.latitude * degree) * cos(to.latitude * degree) * longitude * longitude
            let kilometres = 2 * 6371 * asin(half.squareRoot())
            return UInt64(kilometres * 1.4 / 199_861.6 * 1e9) + 300_000
        }
    }

    /// The nanoseconds for one packet between two nodes, by their indices.
    package func nanoseconds(from: Int, to: Int, using random: inout SplitMix64) -> UInt64 {
        switch self {
        case .constant(let milliseconds): return milliseconds * 1_000_000
        case .uniform(let range):
            return UInt64.random(in: range.lowerBound * 1_000_000...range.upperBound * 1_000_000, using: &random)
        case .earth:
            let passage = Self.passages[from % Self.cities.count][to % Self.cities.count]
            // Jitter of at most a tenth of the travel time. The product of two draws makes most values small and some
            // large.
            let draw = ((random.next() >> 44) * (random.next() >> 44)) >> 20
            return passage + 200_000 + ((passage / 10 * draw) >> 20)
        }
    }
}
