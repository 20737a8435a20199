/// The reason why a node refuses a delta.
///
/// Every case depends only on the delta's own bytes, its log's earlier headers, the roster and the format version.
/// These rules never change for a published format.
package enum DeltaRefusal: Error, Hashable, Sendable {
    /// The delta does not follow the encoding in Docs/Protocol.md; the text says where.
    case malformed(String)
    case tooLarge
    case foreignAlliance
    case badSignature
    /// The header's Merkle root does not match the operations.
    case badRoot
    case badCount
    /// The header names another hash than that of the previous header.
    case wrongChain
    case newerFormat(UInt32)
    /// Another validly signed header of this log has the same sequence.
    case fork
    /// The author is not an enrolled node of the organization that the header names.
    case unknownAuthor

    /// The number of this refusal on the wire.
    package var code: UInt32 {
        switch self {
        case .malformed: 1
        case .tooLarge: 2
        case .foreignAlliance: 3
        case .badSignature: 4
        case .badRoot: 5
        case .badCount: 6
        case .wrongChain: 7
        case .newerFormat: 8
        case .fork: 9
        case .unknownAuthor: 10
        }
    }

    /// One sentence for the user.
    package var reason: String {
        switch self {
        case .malformed(let place): "malformed (\(place))"
        case .tooLarge: "larger than 1 MiB"
        case .foreignAlliance: "belongs to another alliance"
        case .badSignature: "its signature does not match its author's key"
        case .badRoot: "its operations are not those it was signed over (Merkle root)"
        case .badCount: "its number of operations is not the one signed, or not between 1 and 4,096"
        case .wrongChain: "does not continue its log (hash of the previous header)"
        case .newerFormat(let format): "format \(format) needs a newer node (this one reads format \(formatVersion))"
        case .fork: "its log is forked: two signed deltas have one sequence number"
        case .unknownAuthor: "its author is not an enrolled node of the organization it names"
        }
    }
}
