/// Counts a listener's connections whose handshake is not done, in all and per remote IP address. A pure value.
struct AdmissionLimiter {
    private let totalMax: Int
    private let perAddressMax: Int
    private(set) var total = 0
    private var perAddress: [String: Int] = [:]

    init(totalMax: Int, perAddressMax: Int) {
        self.totalMax = totalMax
        self.perAddressMax = perAddressMax
    }

    /// Counts one more from `host`; false, and nothing counted, at a limit.
    mutating func admit(_ host: String) -> Bool {
        guard total < totalMax, perAddress[host, default: 0] < perAddressMax else { return false }
        total += 1
        perAddress[host, default: 0] += 1
        return true
    }

    /// Counts one less from `host`. Once for each admission.
    mutating func leave(_ host: String) {
        total -= 1
        let rest = perAddress[host, default: 1] - 1
        perAddress[host] = rest == 0 ? nil : rest
    }
}
