import Glibc

/// `HOST:PORT`, with an IPv6 address in brackets. The host is an IP address or a name (RFC 1123, and `_`).
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; the port is 0 to 65535. Does not check whether the address can be dialled or listened at.
    ///
    /// - Throws: ``Failure`` with ``Reason/badAddress``.
    package init(_ text: String) throws {
        let parts: (host: String, port: String)?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]"), text[end...].hasPrefix("]:") {
            parts = (String(text[text.index(after: text.startIndex)..<end]), String(text[end...].dropFirst(2)))
        } else if let colon = text.lastIndex(of: ":"), !text[..<colon].contains(":") {
            parts = (String(text[..<colon]), String(text[text.index(after: colon)...]))
        } else {
            parts = nil
        }
        guard let parts, let port = UInt16(parts.port), parts.port.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            Self.kind(of: parts.host) != nil, text.hasPrefix("[") == parts.host.contains(":")
        else {
            throw Failure(
                .badAddress,
                "'\(text)' is not HOST:PORT (as in node.example.org:4267, 192.0.2.7:4267, [2001:db8::7]:4267)"
            )
        }
        host = parts.host
        self.port = Int(port)
    }

    /// Reads an address that other machines can dial.
    ///
    /// - Throws: ``Failure`` with ``Reason/badAddress`` and the reason.
    package init(dialable text: String) throws {
        self = try HostPort(text)
        if let reason = undialableReason { throw Failure(.badAddress, "nobody can dial '\(text)': \(reason)") }
    }

    /// Reads an address to listen at. Accepts the wildcard addresses, and port 0 for any free port.
    ///
    /// - Throws: ``Failure`` with ``Reason/badAddress`` and the reason.
    package init(listening text: String) throws {
        self = try HostPort(text)
        if !isWildcard, let reason = unusableReason {
            throw Failure(.badAddress, "cannot listen at '\(text)': \(reason)")
        }
    }

    /// True for a wildcard address: it stands for all addresses of a machine, and nobody can dial it.
    package var isWildcard: Bool {
        switch Self.kind(of: host) {
        case .short(let bytes): bytes.allSatisfy { $0 == 0 }
        case .long(let bytes): bytes.allSatisfy { $0 == 0 }
        case .name, nil: false
        }
    }

    /// The reason why others cannot dial it; nil if they can.
    package var undialableReason: String? {
        if port == 0 { return "port 0 stands for any free port" }
        if isWildcard { return "\(host) stands for all addresses of a machine; name one that others reach" }
        if host.contains("%") { return "the part behind '%' names a network of one machine only" }
        if case .long(let bytes) = Self.kind(of: host), bytes[0] == 0xFE, bytes[1] & 0xC0 == 0x80 {
            return "it is a link-local address, which has a meaning within one network only"
        }
        return unusableReason
    }

    /// The reason why no single machine has it; nil if one can.
    private var unusableReason: String? {
        switch Self.kind(of: host) {
        case .short(let bytes):
            switch bytes[0] {
            case 0: "addresses from 0.0.0.0 to 0.255.255.255 name no machine"
            case 224..<240: "it is a multicast address, of a group of machines"
            case 240...255: "it is a broadcast or reserved address"
            default: nil
            }
        case .long(let bytes): bytes[0] == 0xFF ? "it is a multicast address, of a group of machines" : nil
        case .name, nil: nil
        }
    }

    private enum Kind {
        /// The 4 bytes of an IPv4 address, also of one that is written as IPv6 (`::ffff:a.b.c.d`).
        case short([UInt8])
        /// The 16 bytes of an IPv6 address.
        case long([UInt8])
        case name
    }

    /// Nil for a text that is no host. Also nil for a text that ends like a number and is no address (`127.1`,
    /// `0x7f000001`), since systems interpret it differently.
    private static func kind(of host: String) -> Kind? {
        var short = in_addr()
        if inet_pton(AF_INET, host, &short) == 1 { return .short(withUnsafeBytes(of: short) { Array($0) }) }
        if host.contains(":") {
            let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
            var long = in6_addr()
            guard inet_pton(AF_INET6, String(parts[0]), &long) == 1,
                parts.count == 1 || !parts[1].isEmpty && parts[1].utf8.allSatisfy({ (0x21...0x7E).contains($0) })
            else { return nil }
            let bytes = withUnsafeBytes(of: long) { Array($0) }
            let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            return isMapped ? .short(Array(bytes.suffix(4))) : .long(bytes)
        }
        let name = host.hasSuffix(".") ? host.dropLast() : host[...]
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard name.utf8.count <= 253, labels.allSatisfy(isLabel), let last = labels.last,
            !last.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !last.lowercased().hasPrefix("0x")
        else { return nil }
        return .name
    }

    private static func isLabel(_ label: Substring) -> Bool {
        guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return false }
        return label.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
