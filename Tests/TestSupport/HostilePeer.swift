import Glibc
package import Gossip
package import OpenSSLKit

/// A peer that a test controls: a TCP socket from any address of 127.0.0.0/8, TLS with any key, frames and raw bytes.
///
/// Its calls block, and one thread at a time may use it. It does only what the test requests: it answers no message and
/// checks no key. The socket closes with the last reference.
package final class HostilePeer {
    /// The reason why an exchange with the node failed.
    package enum Failure: Error, Hashable {
        /// The system's error number.
        case system(String, Int32)
        /// The time limit passed.
        case timedOut(String)
        /// The node closed the connection.
        case closed
        /// TLS failed.
        case tls(TLSFailure)
        /// A received frame does not decode.
        case noMessage
    }

    private let descriptor: Int32
    private var isOpen = true
    private var hasEnded = false
    private var engine: TLSEngine?
    /// Received plaintext that no call has returned yet.
    private var received: [UInt8] = []

    /// Connects to a node.
    ///
    /// - Parameters:
    ///   - port: the node's port on 127.0.0.1.
    ///   - source: the source address, any of 127.0.0.0/8.
    /// - Throws: ``Failure/system(_:_:)``.
    package init(port: Int, from source: String = "127.0.0.1") throws(Failure) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("socket", errno) }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        guard Self.withAddress(source, 0, { bind(descriptor, $0, $1) }) == 0 else { throw .system("bind", errno) }
        guard Self.withAddress("127.0.0.1", port, { connect(descriptor, $0, $1) }) == 0 else {
            throw .system("connect", errno)
        }
    }

    deinit { close() }

    private static func withAddress(
        _ host: String,
        _ port: Int,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Closes the socket without a TLS close.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }

    // MARK: - Bytes of the socket

    /// Writes bytes to the socket without encryption.
    ///
    /// - Throws: ``Failure/closed`` if the node has closed it; ``Failure/timedOut(_:)`` if the node does not read.
    package func writeRaw(_ bytes: [UInt8], seconds: Double = 30) throws(Failure) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var sent = 0
        while sent < bytes.count {
            guard wait(for: Int16(POLLOUT), until: deadline) else { throw .timedOut("writing") }
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count < 0, errno == EAGAIN { continue }
            guard count > 0 else { throw .closed }
            sent += count
        }
    }

    /// The next received bytes, at least one; empty at the end.
    private func readRaw(until deadline: ContinuousClock.Instant) throws(Failure) -> [UInt8] {
        guard wait(for: Int16(POLLIN), until: deadline) else { throw .timedOut("reading") }
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(0, count)))
    }

    private func wait(for events: Int16, until deadline: ContinuousClock.Instant) -> Bool {
        let rest = max(0, ContinuousClock.now.duration(to: deadline) / .milliseconds(1))
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        return poll(&entry, 1, Int32(rest.rounded(.up))) > 0
    }

    /// Waits until the node ends the connection in any way; false if the time limit passes first.
    package func hasBeenClosed(within seconds: Double) -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while !hasEnded {
            do throws(Failure) { try take(until: deadline) } catch {
                if case .timedOut = error { return false }
                return true
            }
        }
        return true
    }

    // MARK: - TLS

    /// The node's key; nil before the handshake.
    package var nodeKey: Ed25519PublicKey? { engine?.peerPublicKey }

    /// Performs the TLS handshake with a key and accepts any key of the node. The node may still reject this key later.
    ///
    /// - Parameter identity: an identity from ``NodeIdentity/make(for:)``; it serves any number of connections.
    /// - Throws: ``Failure``.
    package func shakeHands(as identity: TLSIdentity, seconds: Double = 30) throws(Failure) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        let engine: TLSEngine
        do {
            engine = try TLSEngine(
                role: .client,
                identity: identity,
                configuration: TLSEngine.Configuration(applicationProtocol: "hansa/1", authorize: { _ in true })
            )
        } catch {
            throw .tls(.protocolError(error.description))
        }
        self.engine = engine
        do throws(TLSFailure) { try engine.start() } catch { throw .tls(error) }
        try writeRaw(engine.takeOutgoing(), seconds: seconds)
        while engine.state == .handshaking { try feed(engine, until: deadline) }
        try writeRaw(engine.takeOutgoing(), seconds: seconds)
    }

    private func feed(_ engine: TLSEngine, until deadline: ContinuousClock.Instant) throws(Failure) {
        let bytes = try readRaw(until: deadline)
        guard !bytes.isEmpty else {
            hasEnded = true
            throw .closed
        }
        do throws(TLSFailure) {
            var rest = bytes[...]
            while !rest.isEmpty {
                rest = rest.dropFirst(try engine.receive(Array(rest)))
                while let plain = try engine.read(upTo: 64 * 1024), !plain.isEmpty { received += plain }
            }
        } catch {
            throw .tls(error)
        }
        if engine.state == .closedByPeer { hasEnded = true }
    }

    /// Reads and decrypts the next bytes.
    private func take(until deadline: ContinuousClock.Instant) throws(Failure) {
        guard !hasEnded else { throw .closed }
        if let engine {
            try feed(engine, until: deadline)
        } else {
            hasEnded = try readRaw(until: deadline).isEmpty
        }
    }

    // MARK: - Frames and messages

    /// Encrypts and writes plaintext.
    ///
    /// - Throws: ``Failure``.
    package func write(_ bytes: [UInt8], seconds: Double = 30) throws(Failure) {
        guard let engine else { throw .closed }
        var rest = bytes[...]
        while !rest.isEmpty {
            do throws(TLSFailure) {
                rest = rest.dropFirst(try engine.write(Array(rest.prefix(64 * 1024))))
            } catch {
                throw .tls(error)
            }
            try writeRaw(engine.takeOutgoing(), seconds: seconds)
        }
    }

    /// Sends a frame; if `announced` exceeds the payload, only the beginning of one.
    ///
    /// - Throws: ``Failure``.
    package func send(frame payload: [UInt8], announced: Int? = nil) throws(Failure) {
        let length = UInt32(clamping: announced ?? payload.count)
        try write(withUnsafeBytes(of: length.bigEndian) { Array($0) } + payload)
    }

    /// Sends a message.
    ///
    /// - Throws: ``Failure``.
    package func send(_ message: PeerMessage) throws(Failure) { try send(frame: message.encoded()) }

    /// The next frame's payload.
    ///
    /// - Throws: ``Failure``: ``Failure/closed`` at the end, ``Failure/timedOut(_:)``.
    package func receiveFrame(seconds: Double = 30) throws(Failure) -> [UInt8] {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if received.count >= 4 {
                let length = received.prefix(4).reduce(0) { $0 << 8 | Int($1) }
                if received.count >= 4 + length {
                    defer { received.removeFirst(4 + length) }
                    return Array(received[4..<4 + length])
                }
            }
            try take(until: deadline)
        }
    }

    /// The next message.
    ///
    /// - Throws: ``Failure``.
    package func receive(seconds: Double = 30) throws(Failure) -> PeerMessage {
        let frame = try receiveFrame(seconds: seconds)
        do throws(MalformedMessage) { return try PeerMessage(decoding: frame) } catch { throw .noMessage }
    }
}
