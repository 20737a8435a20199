/// A fault, or its repair. Node numbers count modulo the number of nodes.
package enum Fault: Hashable, Sendable {
    // Nodes:
    case crash(Int, isClean: Bool)
    case cutPower(Int)
    case start(Int)
    /// A crash between two actions of a later step.
    case doom(Int)
    /// A crash during the next own write.
    case doomInWrite(Int)
    case pause(Int)
    case resume(Int)
    case join(sponsor: Int)
    case leave(Int)
    case role(Int, HostileRole)
    // Disks:
    case slowDisk(Int, milliseconds: ClosedRange<UInt64>?)
    case lyingDisk(Int, Bool)
    case snapshot(Int)
    case rollBack(Int)
    case copyFolder(Int)
    case stall(Int, Bool)
    /// At one node, a log counts up to this sequence; nil for its whole length. The log's number counts modulo the
    /// number of logs.
    case limit(Int, log: Int, sequence: UInt64?)
    // Clocks and versions:
    case clock(Int, aheadMilliseconds: Int64, driftPerMillion: Int64)
    case format(Int, UInt32?)
    case ignoreBroadcast(Int, Bool)
    // The network:
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

    /// The shape of a partition.
    package enum Shape: Hashable, Sendable {
        /// The nodes below this index, and the others.
        case halves(Int)
        case isolated(Int)
        /// Each node reaches only its neighbours in the ring of indices.
        case ring
        /// Two halves that are connected by one node.
        case bridge(Int)
    }
}

/// The events of a run with their times.
package struct Plan: Hashable, Sendable {
    /// A fault and its time.
    package struct FaultStep: Hashable, Sendable {
        package let milliseconds: UInt64
        package let fault: Fault
    }

    /// Work at a node and its time.
    package struct WorkStep: Hashable, Sendable {
        package let milliseconds: UInt64
        package let nodeIndex: Int
        package let changes: [RecordChange]
    }

    /// In the order of their times.
    package var faults: [FaultStep] = []
    package var work: [WorkStep] = []

    package init() {}

    /// The same plan with these faults only.
    package func with(faults kept: [FaultStep]) -> Plan {
        var plan = self
        plan.faults = kept
        return plan
    }
}
