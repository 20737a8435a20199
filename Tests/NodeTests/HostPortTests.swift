import PeerService
import Replica
import Testing

@Suite struct HostPortTests {
    @Test(arguments: [
        "127.0.0.1:4267", "192.0.2.7:1", "[2001:db8::7]:65535", "[::1]:4267", "[::ffff:192.0.2.7]:4267",
        "node.example.org:4267", "node:4267", "my_host-1.example.:4267", "xn--bcher-kva.example:4267", "1host:4267",
    ])
    func `dialable addresses are accepted`(text: String) throws {
        #expect(try HostPort(dialable: text).description == text)
        #expect(try HostPort(listening: text).description == text)
    }

    @Test(arguments: [
        "0.0.0.0:4267", "[::]:4267", "[::ffff:0.0.0.0]:4267", "127.0.0.1:0", "node:0", "0.1.2.3:4267",
        "224.0.0.1:4267", "239.255.255.255:4267", "255.255.255.255:4267", "240.0.0.1:4267", "[ff02::1]:4267",
        "[::ffff:224.0.0.1]:4267", "[fe80::1]:4267", "[fe80::1%eth0]:4267",
    ])
    func `undialable addresses are refused with the reason`(text: String) {
        let error = #expect(throws: Failure.self) { try HostPort(dialable: text) }
        #expect(error?.reason == .badAddress && error?.message.hasPrefix("nobody can dial '\(text)': ") == true)
    }

    @Test(arguments: ["0.0.0.0:4267", "[::]:0", "127.0.0.1:0", "[fe80::1%eth0]:4267"])
    func `a machine may listen at all its addresses, and at any free port`(text: String) throws {
        #expect(try HostPort(listening: text).description == text)
    }

    @Test(arguments: ["224.0.0.1:4267", "255.255.255.255:4267", "[ff02::1]:4267", "0.1.2.3:4267"])
    func `no machine listens at an address of many`(text: String) {
        let error = #expect(throws: Failure.self) { try HostPort(listening: text) }
        #expect(error?.message.hasPrefix("cannot listen at '\(text)': ") == true)
    }

    @Test(arguments: [
        "", "node", "node:", ":4267", "node:65536", "node:-1", "node:+1", "node:4 2", "a b:4267", "no/de:4267",
        "http://node:4267", "::1:4267", "[::1]", "[::1]4267", "[node]:4267", "[127.0.0.1]:4267", "[::1%]:4267",
        "[:::1]:4267", "300.1.1.1:4267", "127.1:4267", "1.2.3.4.5:4267", "0x7f000001:4267", "2130706433:4267",
        "-node:4267", "node-:4267", "no..de:4267", ".node:4267", "nöde:4267", "node:４267",
    ])
    func `malformed addresses are refused`(text: String) {
        let error = #expect(throws: Failure.self) { try HostPort(text) }
        #expect(error?.reason == .badAddress && error?.message.contains("is not HOST:PORT") == true)
    }

    @Test func `labels and names have a maximum length`() throws {
        let label = String(repeating: "a", count: 63)
        _ = try HostPort("\(label).example:1")
        #expect(throws: Failure.self) { try HostPort("\(label)a.example:1") }
        #expect(throws: Failure.self) {
            try HostPort(Array(repeating: label, count: 4).joined(separator: ".") + ":1")
        }
    }
}

@Suite struct NearestNameTests {
    @Test(arguments: [
        ("lsiten", "listen"), ("Listen", "listen"), ("listn", "listen"), ("listens", "listen"),
        ("advertize", "advertise"),
        ("advertised", "advertise"), ("adress", nil), ("", nil), ("x", nil), ("port", nil),
    ])
    func `a misspelling is recognized, another word is not`(name: String, meant: String?) {
        #expect(NearestName.of(name, in: ["listen", "advertise"]) == meant)
    }
}

@Suite struct ConnectionLimitsTests {
    @Test(arguments: [256, 512, 1024, 8192, 1_048_576], [1, 2, 64])
    func `descriptors suffice for everything that may be open at once`(descriptors: Int, processors: Int) {
        let limits = ConnectionLimits(descriptors: descriptors, processors: processors)
        #expect(limits.unauthenticated >= 16 && limits.members >= 16 && limits.total >= 64)
        #expect(limits.unauthenticated + limits.members < limits.total)
        #expect(limits.total <= 2048)
        if descriptors >= 1024 { #expect(limits.total + limits.total / 16 + ConnectionLimits.localMax < descriptors) }
    }

    @Test func `at 1,024 descriptors all sessions that a node keeps find room`() {
        let limits = ConnectionLimits(descriptors: 1024, processors: 2)
        #expect(limits.total == 852 && limits.unauthenticated == 213 && limits.members == 256)
    }
}
