import Catalog
import Foundation
import OpenSSLKit
import Replica
import Synchronization
import Transport

/// The difference of a node's clock, as its certificate shows it. Nodes make their certificate at the start and every
/// month, and date it by their clock (``NodeIdentity``).
struct PeerClock: Hashable {
    /// The peer's clock minus this machine's, in seconds. A lower limit of the difference, in either direction.
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

/// Clock differences of the alliance's nodes, read from refused certificates. The number of those nodes bounds it: dates
/// are checked only for keys that may connect.
final class PeerClocks: Sendable {
    private let ahead = Mutex<[NodeKey: Int64]>([:])

    /// Notes a connection that failed because of its certificate's dates.
    func note(_ reason: CloseReason) {
        switch reason {
        case .certificateExpired(let key, let validity), .certificateNotYetValid(let key, let validity):
            guard let node = NodeKey(bytes: key.rawBytes) else { return }
            ahead.withLock { $0[node] = PeerClock(of: validity).aheadSeconds }
        default: break
        }
    }

    /// Forgets a node's difference, since its certificate was accepted.
    func forget(_ node: NodeKey) { ahead.withLock { $0[node] = nil } }

    /// Seconds by which a node's clock is ahead; nil if no certificate of it was refused.
    subscript(node: NodeKey) -> Int64? { ahead.withLock { $0[node] } }
}

/// A finding that this machine's clock is wrong.
package struct OwnClock: Codable, Hashable, Sendable {
    /// This machine's clock minus the right time.
    package let aheadSeconds: Double
    /// The reference that shows it, for people.
    package let reference: String

    /// Seconds by which clocks may differ, as everywhere (``HybridLogicalClock/aheadMillisecondsMax``).
    private static let toleranceSeconds = Double(HybridLogicalClock.aheadMillisecondsMax) / 1000
    /// Seconds by which this node's last write may be ahead of its clock. A smaller correction of the clock is harmless.
    private static let pastSeconds = 86_400.0

    /// Nil if there is no evidence.
    ///
    /// - Parameters:
    ///   - peers: Seconds by which other nodes' clocks are ahead, one for each known node.
    ///   - past: Seconds by which this node's last write is ahead of its clock; nil if it has written nothing.
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
