package import Catalog

/// Groups drafts into deltas; each delta takes as many operations as the limits allow.
package struct DeltaPacker {
    /// The maximum number of operations in one delta of an import.
    ///
    /// A guess. Smaller deltas need more signatures; larger deltas are larger units to send, check and store.
    package static let operationsMax = 1000
    /// The size of drafts in bytes at which a delta is closed. It is well below the format's 1 MiB and so leaves room
    /// for header and framing.
    package static let bytesMax = 512 * 1024

    private var drafts: [OperationDraft] = []
    private var byteCount = 0
    private var cited: Set<LogID> = []

    package init() {}

    package var isEmpty: Bool { drafts.isEmpty }

    /// Adds a draft. If it does not fit, returns the earlier drafts as the next delta, and the draft starts a new
    /// group.
    package mutating func add(_ draft: OperationDraft) -> [OperationDraft]? {
        let size = draft.estimatedSize
        var logs: Set<LogID> = []
        for write in draft.envelope.writes {
            for citation in write.supersedes { logs.insert(citation.dot.log) }
        }
        var full: [OperationDraft]?
        if !drafts.isEmpty,
            drafts.count >= Self.operationsMax || byteCount + size > Self.bytesMax
                || cited.count + logs.subtracting(cited).count > Header.citedMax
        {
            full = finish()
        }
        cited.formUnion(logs)
        drafts.append(draft)
        byteCount += size
        return full
    }

    /// Returns the remaining drafts; possibly none.
    package mutating func finish() -> [OperationDraft] {
        defer {
            drafts = []
            byteCount = 0
            cited = []
        }
        return drafts
    }
}

extension OperationDraft {
    /// An upper bound for the encoded size of envelope and content in bytes, cheap to compute.
    package var estimatedSize: Int {
        var size = 96
        for write in envelope.writes { size += 16 + write.field.text.utf8.count + 48 * write.supersedes.count }
        for value in values { size += value.estimatedSize }
        return size
    }
}

extension Value {
    /// An upper bound for the value's encoded size in a content in bytes, cheap to compute.
    package var estimatedSize: Int {
        switch self {
        case .text(let text), .decimal(let text), .json(let text): 12 + text.utf8.count
        case .bytes(let bytes), .unknown(let bytes): 12 + bytes.count
        case .integer, .boolean: 16
        case .identity(let identity): 24 + identity.kind.utf8.count + identity.localID.utf8.count
        }
    }
}
