import Catalog
import Foundation
import OpenSSLKit
import Replica
import Synchronization
import Transport

/// What a certificate tells of the clock of the node that made it: nodes make theirs when they start and every month, and
/// date it by their clock (``NodeIdentity``).
struct PeerClock: Hashable {
    /// The peer's clock less this machine's, in seconds. At least that much where it is ahead, at least that much in the
    /// other direction where it is behind.
    let aheadSeconds: Int64
    /// This machine's clock, in seconds since 1970.
    private let here: Int64
    private let validity: CertificateValidity

    init(of validity: CertificateValidity, here: Int64 = Int64(WallClock.milliseconds / 1000)) {
        self.here = here
        self.validity = validity
        let made = NodeIdentity.madeAt(validity)
        aheadSeconds = made > here ? made - here : min(0, made + NodeIdentity.ageMaxSeconds - here)
    }

    /// A sentence for people. It does not say which of the two clocks is wrong, since one peer alone does not prove it.
    var words: String {
        guard aheadSeconds != 0 else {
            return "its certificate counted until \(Self.time(validity.notAfter)), and here it is \(Self.time(here))"
        }
        return "its clock is \(TimeText.span(seconds: Double(abs(aheadSeconds)))) "
            + "\(aheadSeconds > 0 ? "ahead of" : "behind") this machine's, which says \(Self.time(here)): "
            + "set the one that is wrong"
    }

    private static func time(_ seconds: Int64) -> String {
        TimeText.minute(milliseconds: UInt64(clamping: seconds).multipliedReportingOverflow(by: 1000).partialValue)
    }
}

/// What refused certificates have told of the clocks of the alliance's nodes. Bounded by those nodes: only the keys that
/// are let in have their dates looked at.
final class PeerClocks: Sendable {
    private let ahead = Mutex<[NodeKey: Int64]>([:])

    /// Takes note of a connection that failed by its dates.
    func note(_ reason: CloseReason) {
        switch reason {
        case .certificateExpired(let key, let validity), .certificateNotYetValid(let key, let validity):
            guard let node = NodeKey(bytes: key.rawBytes) else { return }
            ahead.withLock { $0[node] = PeerClock(of: validity).aheadSeconds }
        default: break
        }
    }

    /// Forgets what was noted: the node's certificate was taken.
    func forget(_ node: NodeKey) { ahead.withLock { $0[node] = nil } }

    /// Seconds by which a node's clock is ahead; nil where no certificate of it was refused.
    subscript(node: NodeKey) -> Int64? { ahead.withLock { $0[node] } }
}

/// Whether this machine's clock is the one that is wrong.
package struct OwnClock: Codable, Hashable, Sendable {
    /// This machine's clock less the right one.
    package let aheadSeconds: Double
    /// What says so, for people.
    package let reference: String

    /// Seconds that clocks may differ, as everywhere (``HybridLogicalClock/aheadMillisecondsMax``).
    private static let toleranceSeconds = Double(HybridLogicalClock.aheadMillisecondsMax) / 1000
    /// Seconds by which this node's own past may lie ahead: a clock that was corrected by less is nobody's trouble.
    private static let pastSeconds = 86_400.0

    /// Nil where nothing says so.
    ///
    /// - Parameters:
    ///   - peers: By how many seconds the clocks of other nodes are ahead, of each one that has told.
    ///   - past: By how many seconds the last that this node has done is ahead of its clock; nil where it has done nothing.
    package init?(peers: [Double], past: Double?) {
        let sorted = peers.sorted()
        let median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        let agreeing = sorted.count { abs($0 - median) <= max(Self.toleranceSeconds, abs(median) / 10) }
        if abs(median) > Self.toleranceSeconds, agreeing >= 2, agreeing * 2 > sorted.count {
            aheadSeconds = -median
            reference = "those of \(agreeing) of \(sorted.count) other nodes"
        } else if let past, past > Self.pastSeconds {
            aheadSeconds = -past
            reference = "the time at which this node has last written"
        } else {
            return nil
        }
    }
}
