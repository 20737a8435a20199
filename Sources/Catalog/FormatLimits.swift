/// The limits by which every node judges the deltas of others: a delta beyond one of them is malformed and refused.
///
/// They are part of the format: nodes with different values would hold different deltas. The bounds of a header's lists
/// stand beside their codecs in DeltaLog; what only the writer obeys is in Schema.
package enum FormatLimits {
    /// Bytes of one delta, framing included: a delta is sent, checked and stored in one piece, so this bounds the memory
    /// that one frame takes.
    package static let deltaBytesMax = 1024 * 1024
    /// Operations in one delta: bounds the leaves of its Merkle root, and the work of one step of merging.
    package static let operationsMax = 4096
    /// Citations in one write: bounds the work that a single write causes. A writer splits a longer list over several
    /// writes of the field.
    package static let citationsMax = 1024
}
