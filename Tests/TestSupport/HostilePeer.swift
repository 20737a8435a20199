import Glibc
package import Gossip
package import OpenSSLKit

/// A peer in the hands of a test: a TCP socket from any address of 127.0.0.0/8, TLS under any key, frames and raw bytes.
///
/// It blocks, and serves one thread at a time. It does what it is told and nothing else: it answers no message and
/// checks no key. The socket closes with the last reference.
package final class HostilePeer {
    /// Why an exchange with the node came to nothing.
    package enum Failure: Error, Hashable {
        /// The system's error number.
        case system(String, Int32)
        /// Nothing came in time.
        case timedOut(String)
        /// The node has closed the connection.
        case closed
        /// TLS failed.
        case tls(TLSFailure)
        /// A frame came that is no message.
        case noMessage
    }

    private let descriptor: Int32
    private var isOpen = true
    private var hasEnded = false
    private var engine: TLSEngine?
    /// Plaintext that has come and is not taken yet.
    private var received: [UInt8] = []

    /// Connects.
    ///
    /// - Parameters:
    ///   - port: The node's, on 127.0.0.1.
    ///   - source: The address to come from, any of 127.0.0.0/8.
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

    /// Closes the socket without TLS's consent.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }

    // MARK: - Bytes of the socket

    /// Writes bytes to the socket as they are.
    ///
    /// - Throws: ``Failure/closed`` where the node has closed it; ``Failure/timedOut(_:)`` where it does not read.
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

    /// Bytes that have come, at least one; empty at the end.
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

    /// True once the node has ended the connection, in whatever way; waits for that.
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

    /// The key that the node has shown; nil before the handshake.
    package var nodeKey: Ed25519PublicKey? { engine?.peerPublicKey }

    /// Shakes hands under a key, and takes whatever key the node shows. Whether the node takes ours shows later only.
    ///
    /// - Parameter identity: From ``NodeIdentity/make(for:)``; one serves any number of connections.
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

    /// Takes in what comes next.
    private func take(until deadline: ContinuousClock.Instant) throws(Failure) {
        guard !hasEnded else { throw .closed }
        if let engine {
            try feed(engine, until: deadline)
        } else {
            hasEnded = try readRaw(until: deadline).isEmpty
        }
    }

    // MARK: - Frames and messages

    /// Writes plaintext, encrypted.
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

    /// Sends a frame; or its beginning, where `announced` says that more should come.
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
