/// Why a delta is not taken. Every case can be judged from the delta's own bytes, its log's earlier headers, the
/// roster and its format version; these rules never change for a published format.
package enum DeltaRefusal: Error, Hashable, Sendable {
    /// Not the encoding that Docs/Protocol.md gives; the text says where.
    case malformed(String)
    case tooLarge
    case foreignAlliance
    case badSignature
    /// The operations are not those that the header was signed over.
    case badRoot
    case badCount
    /// The header before it is not the one it names.
    case wrongChain
    case newerFormat(UInt32)
    /// Another validly signed header of this log has the same sequence.
    case fork
    /// Its author is no enrolled node of the organization that its header names.
    case unknownAuthor

    /// The number that stands for it on the wire.
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

    /// One sentence for people.
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
