/// What Hansa knows of kinds and fields. It binds the node that writes, never the one that merges.
package enum CatalogRules {
    /// The kinds of record, in the order in which they are shown.
    package static let kinds = [
        "organization", "location", "contact", "capability", "resource", "capacity", "need", "reservation", "project",
        "standard", "event", "notice", "concept",
    ]

    /// Texts that have a register for each language.
    package static let languageFields: Set<String> = ["name", "summary", "description", "title", "labels", "body"]

    /// Fields that hold a set of elements.
    package static let setFields: Set<String> = [
        "tags", "sectors", "codes", "identifiers", "altNames", "locations", "contacts", "links", "roles",
        "regionsServed", "inputs", "outputs", "materials", "certificates", "providedBy", "partners", "uses", "metBy",
        "participants", "attachments",
    ]

    /// One of these makes a record worth showing: a name or a description, by whatever name its kind gives it.
    package static let namingFields: Set<String> = [
        "name", "title", "description", "summary", "labels", "body", "role", "department", "address", "subject",
        "number", "resource",
    ]

    /// The fields of every kind, beside those in ``fields(of:)``.
    package static let commonFields: Set<String> = [
        "name", "summary", "description", "altNames", "identifiers", "status", "reason", "supersededBy", "sectors",
        "codes", "tags", "locations", "contacts", "links", "visibility", "verifiedAt", "verifiedBy", "expiresAt",
        "sourceModified", "note",
    ]

    private static let fieldsByKind: [String: Set<String>] = [
        "organization": [
            "type", "roles", "memberSince", "parent", "regionsServed", "website", "logo", "year", "address",
        ],
        "location": [
            "address", "adminCode", "country", "postcode", "lat", "lon", "precision", "timezone", "accessNote",
        ],
        "contact": ["role", "department", "mailbox", "telephone", "language", "hours", "person"],
        "capability": [
            "category", "parameters", "inputs", "outputs", "materials", "certificates", "maturity", "providedBy",
            "regionsServed", "deliveryMode", "terms", "region",
        ],
        "resource": [
            "type", "partOf", "manufacturer", "model", "quantity", "unit", "commissioned", "decommissioned",
            "measures", "photo", "access", "serviceLevel", "training", "bookingLink", "leadTime", "priceModel",
            "amount", "currency", "safetyNote", "country", "lat", "lon", "region", "licence", "maturity", "terms",
        ],
        "capacity": ["subject", "unit", "period", "total", "committed", "available", "asOf"],
        "need": [
            "title", "category", "parameters", "quantity", "unit", "window", "place", "budget", "exchange",
            "deadline", "state", "metBy", "region", "terms",
        ],
        "reservation": [
            "resource", "requester", "window", "quantity", "purpose", "state", "decidedBy", "decidedAt", "series",
            "skipConflicts",
        ],
        "project": [
            "title", "partners", "sector", "region", "start", "end", "stage", "funding", "results", "uses",
            "demonstration",
        ],
        "standard": [
            "number", "title", "body", "class", "state", "publishedOn", "inForceOn", "replaces", "url",
            "participants",
        ],
        "event": [
            "title", "start", "end", "online", "link", "place", "organizer", "register", "deadlines", "state",
        ],
        "notice": ["title", "body", "audience", "validFrom", "validTo", "level", "replaces", "attachments"],
        "concept": ["scheme", "code", "labels", "broader", "sameAs", "retired"],
    ]

    /// The fields that a column of this name maps to by itself in a record of the kind; an unknown kind has the
    /// common ones.
    package static func fields(of kind: String) -> Set<String> {
        commonFields.union(fieldsByKind[kind] ?? [])
    }

    /// True if the path holds a set of elements rather than one value.
    package static func isSet(_ path: FieldPath) -> Bool {
        path.key == nil && setFields.contains(path.text)
    }

    /// Limits on what this node writes.
    package enum Limits {
        /// The longest local id, in bytes of UTF-8.
        package static let localIDBytesMax = 1024
        /// The longest value of one field, in bytes.
        package static let fieldBytesMax = 64 * 1024
        /// The largest operation, in bytes of envelope and content together.
        package static let recordBytesMax = 256 * 1024
        /// Citations in one write; a longer list is split over several writes.
        package static let citationsMax = 1024
        /// Operations in one delta.
        package static let operationsMax = 4096
        /// Bytes of one delta.
        package static let deltaBytesMax = 1024 * 1024
    }
}
