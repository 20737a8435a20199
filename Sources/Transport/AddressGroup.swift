#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Remote addresses that count as one: an IPv4 address, or a 56-bit IPv6 network, the usual size for a provider's
/// customer (RFC 6177).
///
/// An IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) counts as the IPv4 address.
package struct AddressGroup: Hashable, Sendable, CustomStringConvertible {
    /// 4 bytes for IPv4, 7 bytes for IPv6, empty for other texts.
    private let bytes: [UInt8]

    /// - Parameter host: An IP address in text, without brackets. A zone (`%eth0`) is ignored. All texts that are no IP
    ///   address form one group.
    package init(host: String) {
        let text = String(host.prefix { $0 != "%" })
        var short = in_addr()
        var long = in6_addr()
        if inet_pton(AF_INET, text, &short) == 1 {
            bytes = withUnsafeBytes(of: short) { Array($0) }
        } else if inet_pton(AF_INET6, text, &long) == 1 {
            let all = withUnsafeBytes(of: long) { Array($0) }
            let isMapped = all.prefix(10).allSatisfy { $0 == 0 } && all[10] == 0xFF && all[11] == 0xFF
            bytes = isMapped ? Array(all.suffix(4)) : Array(all.prefix(7))
        } else {
            bytes = []
        }
    }

    /// `10.0.0.1`, or `2001:db8:0:1200::/56`.
    package var description: String {
        switch bytes.count {
        case 4: return bytes.map(String.init).joined(separator: ".")
        case 7:
            var address = in6_addr()
            withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: bytes) }
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            guard inet_ntop(AF_INET6, &address, &text, socklen_t(text.count)) != nil else { return "unknown" }
            let length = text.firstIndex(of: 0) ?? text.endIndex
            return String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/56"
        default: return "unknown"
        }
    }
}
