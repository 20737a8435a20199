package import Catalog
import Schema

/// A search for records.
package struct SearchQuery: Hashable, Sendable {
    /// Words and characters; all of them must be found. If there are none, everything matches without ranking.
    package var text: String
    package var kind: String?
    package var owner: OrganizationID?
    /// The maximum number of hits, and the number of better hits to skip. Fewer hits are returned if they take more
    /// than ``ReadTransaction/pageBytesMax``.
    package var limit: Int
    package var offset: Int

    package init(
        text: String,
        kind: String? = nil,
        owner: OrganizationID? = nil,
        limit: Int = 20,
        offset: Int = 0
    ) {
        self.text = text
        self.kind = kind
        self.owner = owner
        self.limit = limit
        self.offset = offset
    }
}

/// The result of a search.
package struct SearchResult: Sendable {
    /// The best first.
    package let hits: [RecordView]
    /// The number of matching records, or a lower bound unless ``isTotalExact``.
    package let total: Int
    package let isTotalExact: Bool
}

extension ReadTransaction {
    /// The maximum number of matches considered. If there are more, the first to arrive are considered, and the total
    /// is a lower bound. 2,000: some milliseconds of reading the index.
    package static let searchMatchesMax = 2_000
    /// The maximum number of name matches that are ranked by their names; further ones follow in the order of arrival.
    /// 60: a few milliseconds, and three pages.
    package static let searchRankedMax = 60

    /// Searches the visible records.
    ///
    /// A record matches if every word of the query begins a word of its text, and if its text contains every run of
    /// Han, Kana or Hangul characters. Matches in names come first: exact names, then names with the query's whole
    /// words, then shorter names; ties by arrival. If ``searchRankedMax`` or more records have the query's whole words
    /// in their names, names that match only by beginnings rank with the rest. Pages are stable while the directory
    /// does not change.
    ///
    /// - Complexity: FTS5 collects all words with the same beginning, with all positions, before it returns the first
    ///   match. This takes most of the time at a million records. So that query runs once if possible, and never if
    ///   names with the whole words suffice.
    package func search(_ query: SearchQuery) throws -> SearchResult {
        guard let expression = SearchText.expression(for: query.text),
            let whole = SearchText.expression(for: query.text, areWhole: true)
        else { return try list(query) }
        try require(.search)
        var filters = ""
        if let name = query.kind {
            guard
                let number = try session("SELECT number FROM kind WHERE name = ?").bind(1, Array(name.utf8))
                    .first({ $0.int(0) })
            else { return SearchResult(hits: [], total: 0, isTotalExact: true) }
            filters += " AND \"\(SearchTerms.filter(kind: number))\""
        }
        if let owner = query.owner {
            guard
                let number = try session("SELECT number FROM organization WHERE id = ?").bind(1, owner.hash)
                    .first({ $0.int(0) })
            else { return SearchResult(hits: [], total: 0, isTotalExact: true) }
            filters += " AND \"\(SearchTerms.filter(owner: number))\""
        }

        var named = try rows("({name} : (\(whole)))" + filters, limit: Self.searchMatchesMax + 1)
        // If matches in names alone exceed the maximum, no other match could precede them.
        var matches =
            named.count > Self.searchMatchesMax
            ? named : try rows("(\(expression))" + filters, limit: Self.searchMatchesMax + 1)
        let isExact = matches.count <= Self.searchMatchesMax
        // The views of the ranked records, by their rows.
        var views = Ranked()
        let order: [Int64]
        if matches.count <= Self.searchRankedMax {
            order = try rank(matches, for: query.text, &views)
        } else {
            if named.count < Self.searchRankedMax {
                named = try rows("({name} : (\(expression)))" + filters, limit: Self.searchMatchesMax)
            }
            matches = Array(matches.prefix(Self.searchMatchesMax))
            named = Array(named.prefix(Self.searchMatchesMax))
            let first =
                try rank(Array(named.prefix(Self.searchRankedMax)), for: query.text, &views)
                + named.dropFirst(Self.searchRankedMax)
            let isNamed = Set(first)
            order = first + matches.filter { !isNamed.contains($0) }
        }

        let hits = try page(order.dropFirst(max(0, query.offset)).prefix(max(0, query.limit)), views)
        return SearchResult(
            hits: hits,
            total: isExact ? order.count : max(order.count, matches.count),
            isTotalExact: isExact
        )
    }

    /// Records that were read for ranking, with the bytes of their operations.
    private typealias Ranked = [Int64: (view: RecordView, byteCount: Int)]

    /// The records of rows, up to the one that brings them above ``pageBytesMax``.
    private func page(_ rows: some Sequence<Int64>, _ ranked: Ranked = [:]) throws -> [RecordView] {
        var records: [RecordView] = []
        var byteCount = 0
        for row in rows {
            let (view, size) = try ranked[row] ?? sized(row)
            records.append(view)
            byteCount += size
            if byteCount > Self.pageBytesMax { break }
        }
        return records
    }

    private func sized(_ row: Int64) throws -> (view: RecordView, byteCount: Int) {
        let bytesBefore = names.operationBytesRead
        let view = try found(row)
        return (view, names.operationBytesRead - bytesBefore)
    }

    private func rows(_ expression: String, limit: Int) throws -> [Int64] {
        try session("SELECT rowid FROM search WHERE search MATCH ? LIMIT ?").bind(1, text: expression)
            .bind(2, Int64(limit)).all { $0.int(0) }
    }

    private func found(_ row: Int64) throws -> RecordView {
        guard let found = try RecordRow.at(row, session) else { throw StoreError.damaged("table search") }
        return try view(found)
    }

    private func rank(_ rows: [Int64], for query: String, _ views: inout Ranked) throws -> [Int64] {
        let wanted = SearchText.segments(of: query)
        var byteCount = 0
        let ranked = try rows.map { row -> (row: Int64, score: Int) in
            let (view, size) = try sized(row)
            byteCount += size
            // A view that is not kept is read again if it is a hit.
            if byteCount <= Self.pageBytesMax { views[row] = (view, size) }
            return (row, score(view, for: wanted))
        }
        return ranked.sorted { $0.score != $1.score ? $0.score < $1.score : $0.row < $1.row }.map(\.row)
    }

    /// The rank of a match; lower is better. All records that do not match by their names have the same score.
    private func score(_ view: RecordView, for wanted: [SearchText.Segment]) -> Int {
        var best = Int.max
        // The index was queried for the first words of a long query only.
        var missing = Array(wanted.prefix(SearchText.queryTermsMax))
        // The same bound as for the names in the index.
        var bytesLeft = SearchTerms.bytesMax
        for field in view.fields where CatalogSchema.isSearchName(field.path) {
            for case .text(let text)? in field.candidates.map(\.value) where bytesLeft > 0 {
                bytesLeft -= text.utf8.count
                let segments = SearchText.segments(of: SearchText.indexed(text))
                let length = min(segments.count, 1000) * 1000 + min(text.unicodeScalars.count, 999)
                let tier = segments == wanted ? 0 : wanted.allSatisfy(segments.contains) ? 1 : 2
                best = min(best, tier * 10_000_000 + length)
                missing.removeAll { segment in segments.contains { $0.holds(segment) } }
            }
        }
        return missing.isEmpty ? best : Int.max
    }

    /// A query without words lists the records.
    private func list(_ query: SearchQuery) throws -> SearchResult {
        try require(.listing)
        var total = 0
        var toSkip = max(0, query.offset)
        var rows: [Int64] = []
        let limit = max(0, query.limit)
        try forEachGroup(kind: query.kind, owner: query.owner) { group in
            total += group.shown
            guard rows.count < limit else { return true }
            guard toSkip < group.shown else {
                toSkip -= group.shown
                return true
            }
            rows += try session(
                "SELECT id FROM record WHERE shown = 1 AND kind = ? AND owner = ? ORDER BY id LIMIT ? OFFSET ?"
            )
            .bind(1, group.kind).bind(2, group.owner).bind(3, Int64(limit - rows.count))
            .bind(4, Int64(toSkip)).all { $0.int(0) }
            toSkip = 0
            return true
        }
        return SearchResult(hits: try page(rows), total: total, isTotalExact: true)
    }
}
