import Glibc

/// The number of connections that a node takes, derived from the descriptors that the system allows its process.
///
/// 1,024 descriptors on two processors give 852 connections with peers: 213 before their handshake and 256 dialled by
/// members. The rest is for newcomers, dialled connections and ending ones.
package struct ConnectionLimits: Hashable, Sendable {
    /// Connections over the local socket at a time. They have reserved descriptors, so peers cannot exhaust them.
    package static let localMax = 64
    /// The database with its readers, the log, files that are read and written, name look-ups.
    private static let filesMax = 96
    /// Descriptors of an event loop. There is one for each processor and one for the local socket.
    private static let perLoop = 3
    private static let newcomersMax = Authorizer.newcomersMax + Authorizer.returningMax
    /// Connections that this node dials: the open ones, and six attempts at a time with several addresses each.
    private static let dialledMax = 64

    /// Twice the sessions that the engine keeps (``EngineSettings/linksMax``), since some are ending.
    private static let membersMax = 256

    /// Connections with peers, of all kinds.
    package let total: Int
    /// Connections before the end of their handshake.
    package let unauthenticated: Int
    /// Connections dialled by members.
    package let members: Int

    /// - Parameters:
    ///   - descriptors: The descriptors that the process may have open; default: the system's present limit.
    ///   - processors: Default: those of this machine.
    package init(descriptors: Int = Self.descriptors, processors: Int = sysconf(Int32(_SC_NPROCESSORS_ONLN))) {
        let reserve = Self.localMax + Self.filesMax + Self.perLoop * (max(1, processors) + 2)
        total = min(max(descriptors - reserve, 64), 2048)
        unauthenticated = min(max(total / 4, 16), 512)
        members = min(
            max(total - unauthenticated - total / 8 - Self.newcomersMax - Self.dialledMax, 16),
            Self.membersMax
        )
    }

    /// The descriptors that this process may have open.
    package static var descriptors: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Raises this process's limit of descriptors to the system's hard limit.
    package static func raiseDescriptors() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        // If the system refuses, the present limit is still enough.
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
