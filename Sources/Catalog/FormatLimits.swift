/// The limits of the format. Every node refuses a delta beyond one of them as malformed or too large.
///
/// Nodes with different values would hold different deltas. DeltaLog defines the limits of a header's lists beside
/// their codecs; Schema defines the limits for writers only.
package enum FormatLimits {
    /// The maximum size of a delta in bytes, framing included. Nodes send, check and store a delta as a unit, so this
    /// bounds the memory for a frame.
    package static let deltaBytesMax = 1024 * 1024
    /// The maximum number of operations in a delta. It bounds the leaves of the Merkle tree and the work of one merge
    /// step.
    package static let operationsMax = 4096
    /// The maximum number of citations in a write. It bounds the work that a single write causes. A writer splits a
    /// longer list over several writes of the field.
    package static let citationsMax = 1024
}
