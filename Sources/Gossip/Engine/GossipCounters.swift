/// The counts of deltas and messages that an engine has sent, received and delivered since it started.
///
/// Deltas and messages of the live broadcast alone count here; ``fetched`` counts the deltas of catch-up.
package struct GossipCounters: Hashable, Sendable {
    /// Deltas that came by eager push, duplicates included.
    package var pushesReceived: UInt64 = 0
    /// Of those, deltas that were held already or on their way to the disk.
    package var duplicates: UInt64 = 0
    /// Deltas that came by eager push and were new.
    package var delivered: UInt64 = 0
    /// Deltas that were new and came because they were asked for.
    package var fetched: UInt64 = 0
    /// The longest way of a delivered delta, in hops from its author; the author's neighbours have 1.
    package var hopsMax: UInt32 = 0
    /// The sum of all delivered deltas' hops.
    package var hopsTotal: UInt64 = 0
    /// Deltas pushed to peers.
    package var pushesSent: UInt64 = 0
    /// Heads that were announced to peers without their deltas (I-have).
    package var headsAnnounced: UInt64 = 0
    package var graftsSent: UInt64 = 0
    package var prunesSent: UInt64 = 0
    /// Messages of range reconciliation.
    package var rangeMessagesSent: UInt64 = 0
    package var shufflesSent: UInt64 = 0
    /// The number of times that the peer to ask for a log was chosen.
    package var logsPlanned: UInt64 = 0
    /// The number of times that an organization's deltas were not taken for a while, since storing them exceeded its
    /// account.
    package var rests: UInt64 = 0
    /// The number of times that reading from a link paused, since its organization had overdrawn its account.
    package var holds: UInt64 = 0

    package init() {}
}
