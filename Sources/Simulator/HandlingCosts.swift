import Catalog
import DeltaLog
import Gossip
import Governance

/// The processor time of a node's work in nanoseconds: a table by kind and size.
///
/// The figures are those of a slow core: about twice the times measured on one core of the test machine, with real
/// engines, SHA-256, Ed25519 and 300 members. They show which messages are expensive, and that a flood delays later
/// messages. They are not a benchmark.
package struct HandlingCosts: Hashable, Sendable {
    // Work of a connection's own task, which takes turns with the tasks of other connections.
    /// Reading, decrypting and decoding a frame.
    package var frame: UInt64 = 15_000
    package var frameByte: UInt64 = 5
    /// One signature check.
    package var signature: UInt64 = 70_000
    /// Hashing and decoding one byte of a delta; an operation has some 150 bytes.
    package var deltaByte: UInt64 = 25
    /// Handling a delta that is already stored: its header is hashed, and no signature is checked.
    package var heldDelta: UInt64 = 4_000
    /// A handshake and the first steps of a session.
    package var handshake: UInt64 = 1_500_000

    // Work of the engine. One step runs at a time, and nothing interrupts it.
    /// A step with an input of constant size.
    package var step: UInt64 = 8_000
    /// Handling each head, key, header or id in a message.
    package var element: UInt64 = 1_000
    /// Summing up and splitting each range of a comparison.
    package var range: UInt64 = 20_000
    /// Visiting one stored statement and sorting it among the others.
    package var heldStatement: UInt64 = 500
    /// Visiting each head of a peer that is ahead of this node, at each step. The engine plans its requests when heads
    /// arrive, so this is 0; a planted bug sets it.
    package var headAhead: UInt64 = 0

    // Work of the engine's actions.
    /// Encoding, encrypting and writing a message.
    package var sending: UInt64 = 10_000
    package var sendingByte: UInt64 = 5
    /// Reading deltas or headers from the disk.
    package var reading: UInt64 = 50_000
    package var readByte: UInt64 = 3
    /// Visiting one record for a comparison of records.
    package var record: UInt64 = 1_000

    // Work of the disk's writer.
    package var storedDelta: UInt64 = 100_000
    /// Storing one byte of a delta: a thirtieth of a millisecond for an operation of some 150 bytes.
    package var storedByte: UInt64 = 200
    /// Visiting each live operation of a saved record, for each delta that touches it.
    package var liveOperation: UInt64 = 2_000

    /// The time that a node works for one connection before the next one has its turn.
    package var quantum: UInt64 = 1_000_000

    package init() {}
}

/// The cost of one input: `checking` in the connection's own task, `step` in the engine.
struct InputCost {
    var checking: UInt64
    var step: UInt64
}

extension Simulation {
    /// The time that a node needs for an event.
    func cost(of event: Event, at node: VirtualNode, _ costs: HandlingCosts) -> InputCost {
        switch event {
        case .arrival(let connection, let side, let parcel):
            let link = Network.link(connection, side: side)
            if case .deltas = parcel.message, node.box?.engine.expectsDeltas(on: link) == false {
                let frame = costs.frame + UInt64(parcel.byteCount) * costs.frameByte
                return InputCost(checking: frame, step: costs.step)
            }
            return cost(of: parcel, at: node, costs)
        case .dial, .up(_, side: 0, _): return InputCost(checking: costs.handshake, step: costs.step)
        case .input(_, _, let input):
            let elements =
                switch input {
                case .stored(_, let outcomes, _, _): outcomes.count
                case .deltasRead(_, _, let deltas): deltas.count
                case .headersRead(_, _, let headers): headers.count
                case .committed(let deltas, _): deltas.count
                default: 0
                }
            return InputCost(
                checking: 0,
                step: costs.step + UInt64(elements) * 2 * costs.element + planning(node, costs)
            )
        default: return InputCost(checking: 0, step: costs.step)
        }
    }

    private func planning(_ node: VirtualNode, _ costs: HandlingCosts) -> UInt64 {
        costs.headAhead == 0 ? 0 : UInt64(node.box?.engine.sizes.headsAhead ?? 0) * costs.headAhead
    }

    private func cost(of parcel: Parcel, at node: VirtualNode, _ costs: HandlingCosts) -> InputCost {
        var checking = costs.frame + UInt64(parcel.byteCount) * costs.frameByte
        var step = costs.step + planning(node, costs)
        let held = UInt64(node.governance.statements.count)
        switch parcel.message {
        case .deltas(let deltas), .push(let deltas, _):
            for bytes in deltas {
                step += 2 * costs.element
                guard let index = pool.index(of: bytes) else {
                    checking += costs.signature
                    continue
                }
                if node.disk.holds(index) {
                    checking += costs.heldDelta
                } else {
                    checking += costs.signature + UInt64(bytes.count) * costs.deltaByte
                }
            }
        case .governance(let known, let statements, let answer):
            // The engine finds stored statements by their bytes; for each other statement it checks two signatures.
            let fresh = statements.count { !node.hasSeen($0) }
            step += UInt64(fresh) * 2 * costs.signature + UInt64(known.count) * costs.element
            if statements.count >= 8 || answer || !known.isEmpty { step += held * costs.heldStatement }
        case .announcements(let announcements):
            step += UInt64(announcements.count) * costs.signature
        case .ranges(let ranges):
            for range in ranges {
                switch range.content {
                case .skip: break
                case .fingerprint: step += costs.range
                case .entries(let entries, let answer):
                    step += UInt64(entries.count) * costs.element + (answer ? costs.range : 0)
                }
            }
        case .have(let heads): step += UInt64(heads.count) * costs.element
        case .iHave(let heads): step += UInt64(heads.count) * costs.element
        case .headers(_, _, let headers): step += UInt64(headers.count) * costs.element
        case .shuffle(_, _, let keys), .shuffleReply(_, let keys): step += UInt64(keys.count) * costs.element
        default: break
        }
        return InputCost(checking: checking, step: step)
    }

    /// Delays the node's next turn by this time, for work beyond the reading of the input.
    func charge(_ nanoseconds: UInt64, to node: VirtualNode) {
        if settings.costs != nil { node.processor.debt += nanoseconds }
    }

    /// The time that the disk's writer needs for deltas, in addition to the transaction.
    func storingCost(of deltas: [VerifiedDelta], at node: VirtualNode, _ costs: HandlingCosts) -> UInt64 {
        var time: UInt64 = 0
        for delta in deltas {
            time += costs.storedDelta + UInt64(delta.byteCount) * costs.storedByte
            for record in Set(delta.operations.map(\.record)) {
                let live = node.disk.record(record)?.state.operations.count ?? 0
                time += UInt64(live) * costs.liveOperation
            }
        }
        return time
    }
}
