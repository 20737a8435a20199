import Glibc
import Synchronization

/// A relay between two ports of 127.0.0.1, like a router between two nodes. It can start to drop all data: it then
/// closes nothing, refuses nothing and forwards nothing.
package final class Relay: Sendable {
    /// The port on which it listens.
    package let port: Int
    private let target: UInt16
    private let listener: Int32
    private let state = Mutex((swallows: false, isOver: false, sockets: Set<Int32>()))

    package struct Failure: Error {
        package let what: String
    }

    /// Starts to relay to a port, which may have no listener yet.
    package init(to target: Int) throws {
        self.target = UInt16(target)
        port = HansaProcess.freePort()
        let listener = try Self.socket()
        self.listener = listener
        var isReused: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isReused, socklen_t(MemoryLayout<Int32>.size))
        guard Self.with(UInt16(port), { bind(listener, $0, $1) }) == 0, Glibc.listen(listener, 64) == 0 else {
            close(listener)
            throw Failure(what: String(cString: strerror(errno)))
        }
        // The thread ends with the socket.
        start { [weak self] in
            while true {
                let incoming = accept(listener, nil, nil)
                guard incoming >= 0, let self else { return }
                self.relay(incoming)
            }
        }
    }

    deinit { end() }

    /// Drops all data from now on, on open and new connections.
    package func swallow() { state.withLock { $0.swallows = true } }

    /// Forwards data again from now on.
    package func passOn() { state.withLock { $0.swallows = false } }

    /// Ends all connections and stops listening.
    package func end() {
        state.withLock { state in
            guard !state.isOver else { return }
            state.isOver = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
    }

    private var swallows: Bool { state.withLock { $0.swallows } }

    private func relay(_ incoming: Int32) {
        guard let outgoing = try? Self.socket() else {
            close(incoming)
            return
        }
        let isOver = state.withLock { state in
            state.sockets.formUnion([incoming, outgoing])
            return state.isOver
        }
        guard !isOver, swallows || Self.with(target, { connect(outgoing, $0, $1) }) == 0 else {
            drop([incoming, outgoing])
            return
        }
        let open = Mutex(2)
        for (from, to) in [(incoming, outgoing), (outgoing, incoming)] {
            start { [self] in
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                copying: while true {
                    let count = read(from, &buffer, buffer.count)
                    guard count > 0 else { break }
                    if swallows { continue }
                    var sent = 0
                    while sent < count {
                        let written = buffer[sent..<count].withUnsafeBytes {
                            send(to, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                        }
                        guard written > 0 else { break copying }
                        sent += written
                    }
                }
                shutdown(from, Int32(SHUT_RDWR))
                shutdown(to, Int32(SHUT_RDWR))
                let left = open.withLock { left in
                    left -= 1
                    return left
                }
                if left == 0 { drop([incoming, outgoing]) }
            }
        }
    }

    private func drop(_ sockets: [Int32]) {
        state.withLock { $0.sockets.subtract(sockets) }
        for socket in sockets { close(socket) }
    }

    private func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Body(body)).toOpaque()
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            },
            argument
        )
        if code == 0 { pthread_detach(thread) } else { Unmanaged<Body>.fromOpaque(argument).release() }
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private static func socket() throws -> Int32 {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(what: String(cString: strerror(errno))) }
        return descriptor
    }

    private static func with(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
