import Glibc

/// How many connections a node takes, by the descriptors that the system lets its process have.
///
/// At 1,024 descriptors there are 852 connections with peers on two processors: 213 strangers, 256 that members have
/// dialled, and the rest is room for newcomers, for those that this node dials, and for those that are ending.
package struct ConnectionLimits: Hashable, Sendable {
    /// Connections over the local socket at a time. They have descriptors of their own, whatever peers do.
    package static let localMax = 64
    /// The database with its readers, the log, files that are read and written, names that are looked up.
    private static let filesMax = 96
    /// What an event loop needs, of which there is one for each processor and one for the local socket.
    private static let perLoop = 3
    private static let newcomersMax = Gate.newcomersMax + Gate.returningMax
    /// Connections that this node dials: those it has, and six attempts at a time with several addresses each.
    private static let dialledMax = 64

    /// Twice the sessions that the engine keeps (``EngineSettings/linksMax``), since some are about to end.
    private static let membersMax = 256

    /// With peers, of all kinds.
    package let total: Int
    /// Those whose handshake is not done.
    package let strangers: Int
    /// Those that members have dialled.
    package let members: Int

    /// - Parameters:
    ///   - descriptors: What the process may have open; default what the system says now.
    ///   - processors: Default those of this machine.
    package init(descriptors: Int = Self.descriptors, processors: Int = sysconf(Int32(_SC_NPROCESSORS_ONLN))) {
        let reserve = Self.localMax + Self.filesMax + Self.perLoop * (max(1, processors) + 2)
        total = min(max(descriptors - reserve, 64), 2048)
        strangers = min(max(total / 4, 16), 512)
        members = min(max(total - strangers - total / 8 - Self.newcomersMax - Self.dialledMax, 16), Self.membersMax)
    }

    /// The descriptors that this process may have open.
    package static var descriptors: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Lets this process have as many descriptors as the system permits without being asked (its hard limit).
    package static func raiseDescriptors() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        // Where it is refused, what was allowed before is still enough to run with.
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
