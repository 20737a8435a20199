/// One thing that goes wrong, or right again. Places count modulo the places there are.
package enum Fault: Hashable, Sendable {
    // Nodes.
    case crash(Int, isClean: Bool)
    case cutPower(Int)
    case start(Int)
    /// A crash between two actions of a step to come.
    case doom(Int)
    /// A crash during the next own write.
    case doomInWrite(Int)
    case pause(Int)
    case resume(Int)
    case join(sponsor: Int)
    case leave(Int)
    case role(Int, HostileRole)
    // Disks.
    case slowDisk(Int, milliseconds: ClosedRange<UInt64>?)
    case lyingDisk(Int, Bool)
    case snapshot(Int)
    case rollBack(Int)
    case copyFolder(Int)
    case stall(Int, Bool)
    /// A log, by its number modulo the logs there are, counts at one node up to a sequence; to its end where that is nil.
    case limit(Int, log: Int, sequence: UInt64?)
    // Clocks and versions.
    case clock(Int, aheadMilliseconds: Int64, driftPerMillion: Int64)
    case format(Int, UInt32?)
    case ignoreBroadcast(Int, Bool)
    // The network.
    case block(from: Int, to: Int)
    case unblock(from: Int, to: Int)
    case part(Shape)
    case heal
    case breakLinks(Int, Int, isNoticedByBoth: Bool)
    case clog(Int, bytesPerSecond: UInt64?)
    case loss(permille: UInt64)
    case pushLoss(permille: UInt64)
    case duplication(permille: UInt64)
    case reordering(permille: UInt64)

    /// How the network falls apart.
    package enum Shape: Hashable, Sendable {
        /// Those below the place, and the others.
        case halves(Int)
        case isolated(Int)
        /// Each reaches its neighbours in the ring of places only.
        case ring
        /// Two halves that only one node reaches both.
        case bridge(Int)
    }
}

/// What happens in a run, moment by moment.
package struct Plan: Hashable, Sendable {
    /// A fault and its moment.
    package struct FaultStep: Hashable, Sendable {
        package let milliseconds: UInt64
        package let fault: Fault
    }

    /// Work at a node, and its moment.
    package struct WorkStep: Hashable, Sendable {
        package let milliseconds: UInt64
        package let place: Int
        package let changes: [RecordChange]
    }

    /// In the order of their moments.
    package var faults: [FaultStep] = []
    package var work: [WorkStep] = []

    package init() {}

    /// The same with those faults alone.
    package func with(faults kept: [FaultStep]) -> Plan {
        var plan = self
        plan.faults = kept
        return plan
    }
}
