import Catalog
import Schema
import Testing

/// Compares the declarations with the names that existing files and data folders use.
struct SchemaTests {
    /// The names of common fields, and of each kind's fields.
    private static let commonNames: Set<String> = [
        "name", "summary", "description", "altNames", "identifiers", "status", "reason", "supersededBy", "sectors",
        "codes", "tags", "locations", "contacts", "links", "visibility", "verifiedAt", "verifiedBy", "expiresAt",
        "sourceModified", "note",
    ]
    private static let ownNames: [(kind: String, names: Set<String>)] = [
        (
            "organization",
            ["type", "roles", "memberSince", "parent", "regionsServed", "website", "logo", "year", "address"]
        ),
        (
            "location",
            ["address", "adminCode", "country", "postcode", "lat", "lon", "precision", "timezone", "accessNote"]
        ),
        ("contact", ["role", "department", "mailbox", "telephone", "language", "hours", "person"]),
        (
            "capability",
            [
                "category", "parameters", "inputs", "outputs", "materials", "certificates", "maturity", "providedBy",
                "regionsServed", "deliveryMode", "terms", "region",
            ]
        ),
        (
            "resource",
            [
                "type", "partOf", "manufacturer", "model", "quantity", "unit", "commissioned", "decommissioned",
                "measures", "photo", "access", "serviceLevel", "training", "bookingLink", "leadTime", "priceModel",
                "amount", "currency", "safetyNote", "country", "lat", "lon", "region", "licence", "maturity", "terms",
            ]
        ),
        ("capacity", ["subject", "unit", "period", "total", "committed", "available", "asOf"]),
        (
            "need",
            [
                "title", "category", "parameters", "quantity", "unit", "window", "place", "budget", "exchange",
                "deadline", "state", "metBy", "region", "terms",
            ]
        ),
        (
            "reservation",
            [
                "resource", "requester", "window", "quantity", "purpose", "state", "decidedBy", "decidedAt", "series",
                "skipConflicts",
            ]
        ),
        (
            "project",
            [
                "title", "partners", "sector", "region", "start", "end", "stage", "funding", "results", "uses",
                "demonstration",
            ]
        ),
        (
            "standard",
            [
                "number", "title", "body", "class", "state", "publishedOn", "inForceOn", "replaces", "url",
                "participants",
            ]
        ),
        (
            "event",
            ["title", "start", "end", "online", "link", "place", "organizer", "register", "deadlines", "state"]
        ),
        ("notice", ["title", "body", "audience", "validFrom", "validTo", "level", "replaces", "attachments"]),
        ("concept", ["scheme", "code", "labels", "broader", "sameAs", "retired"]),
    ]
    private static let setNames: Set<String> = [
        "tags", "sectors", "codes", "identifiers", "altNames", "locations", "contacts", "links", "roles",
        "regionsServed", "inputs", "outputs", "materials", "certificates", "providedBy", "partners", "uses", "metBy",
        "participants", "attachments",
    ]
    private static let languageNames: Set<String> = ["name", "summary", "description", "title", "labels", "body"]

    /// Every field with its kind; nil for common fields.
    private static let declared: [(kind: Kind?, field: Field)] =
        Field.common.map { (nil, $0) }
        + Kind.allCases.flatMap { kind in kind.ownFields.map { (Optional(kind), $0) } }

    @Test func kindsKeepTheirOrder() {
        #expect(CatalogSchema.kinds == Self.ownNames.map(\.kind))
    }

    @Test(arguments: Kind.allCases)
    func aKindHasTheFieldsItAlwaysHad(_ kind: Kind) throws {
        let own = try #require(Self.ownNames.first { $0.kind == kind.rawValue }).names
        #expect(Set(kind.ownFields.map(\.name)) == own)
        #expect(CatalogSchema.fields(of: kind.rawValue) == own.union(Self.commonNames))
    }

    @Test func anUnknownKindHasTheCommonFields() {
        #expect(Set(Field.common.map(\.name)) == Self.commonNames)
        #expect(CatalogSchema.fields(of: "spaceship") == Self.commonNames)
    }

    @Test(arguments: Kind.allCases)
    func noFieldOfAKindIsDeclaredTwice(_ kind: Kind) {
        let names = (Field.common + kind.ownFields).map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test func setsAndLanguagesHaveNotChanged() {
        #expect(CatalogSchema.setFields == Self.setNames)
        #expect(CatalogSchema.languageFields == Self.languageNames)
        #expect(CatalogSchema.isSet(FieldPath(unchecked: "tags")))
        #expect(!CatalogSchema.isSet(FieldPath(unchecked: "tags/x")))
        #expect(!CatalogSchema.isSet(FieldPath(unchecked: "ext/tags")))
        #expect(!CatalogSchema.isSet(FieldPath(unchecked: "name")))
    }

    @Test func theNamingFieldsHaveNotChanged() {
        let names: Set<String> = [
            "name", "title", "description", "summary", "labels", "body", "role", "department", "address", "subject",
            "number", "resource",
        ]
        #expect(CatalogSchema.namingFields == names)
    }

    @Test func theOrderOfTitleFieldsHasNotChanged() {
        #expect(CatalogSchema.titleFields == ["name", "title", "labels"])
    }

    /// Another result would make every folder's search index inconsistent with its records.
    @Test func theNameFieldsOfSearchHaveNotChanged() {
        let names = Set(Self.declared.map(\.field.name)).filter {
            CatalogSchema.isSearchName(FieldPath(unchecked: $0))
        }
        #expect(names == ["name", "title", "labels", "altNames"])
        #expect(CatalogSchema.isSearchName(FieldPath(unchecked: "title/zh")))
        #expect(!CatalogSchema.isSearchName(FieldPath(unchecked: "ext/name")))
        #expect(!CatalogSchema.isSearchName(.identity) && !CatalogSchema.isSearchName(.tombstone))
    }

    @Test func aNameMergesAndIsFoundTheSameWayInEveryKind() {
        var first: [String: Field] = [:]
        for (_, field) in Self.declared {
            let other = first[field.name, default: field]
            first[field.name] = other
            #expect(field.isSet == other.isSet && field.isPerLanguage == other.isPerLanguage, "\(field.name)")
            #expect(field.roles == other.roles, "\(field.name)")
        }
    }

    @Test func namesCanBePathsAndColumns() {
        for (_, field) in Self.declared {
            #expect(field.name.utf8.allSatisfy { UInt8(ascii: "A")...UInt8(ascii: "z") ~= $0 }, "\(field.name)")
            let path = FieldPath(written: field.name)
            #expect(path?.base == field.name[...] && path?.columnName == field.name, "\(field.name)")
            #expect(path?.key == (field.isPerLanguage ? "und" : nil), "\(field.name)")
        }
    }

    @Test func aReferenceNamesKindsAndAChoiceWords() {
        for (kind, field) in Self.declared {
            let place = Comment(rawValue: "\(kind?.rawValue ?? "all kinds"): \(field.name)")
            switch field.type {
            case .reference(let kinds): #expect(!kinds.isEmpty && field.reference == kinds, place)
            case .choice(let words): #expect(words.count > 1 && Set(words).count == words.count, place)
            default: #expect(field.reference.isEmpty, place)
            }
            if field.isPerLanguage { #expect(field.type == .text && !field.isSet, place) }
        }
    }

    @Test func everyKindAndFieldHasWordsInBothLanguages() {
        let words =
            Kind.allCases.map { (place: $0.rawValue, words: $0.words) }
            + Self.declared.map { ("\($0.kind?.rawValue ?? "all kinds"): \($0.field.name)", $0.field.words) }
        for (place, words) in words {
            let (english, chinese) = (words.english, words.chinese)
            #expect(!english.label.isEmpty && english.label.first?.isUppercase == true, "\(place)")
            #expect(english.description.first?.isUppercase == true && english.description.hasSuffix("."), "\(place)")
            #expect(english.description.utf8.allSatisfy { $0 < 0x80 } && english.label.count <= 25, "\(place)")
            #expect(chinese.label.unicodeScalars.contains(where: Self.isHan) && chinese.label.count <= 10, "\(place)")
            #expect(chinese.description.unicodeScalars.contains(where: Self.isHan), "\(place)")
            #expect(chinese.description.hasSuffix("。") && !chinese.description.contains("."), "\(place)")
        }
    }

    private static func isHan(_ scalar: Unicode.Scalar) -> Bool { (0x4E00...0x9FFF).contains(scalar.value) }

    @Test(arguments: Kind.allCases)
    func fieldsOfAKindHaveLabelsOfTheirOwn(_ kind: Kind) {
        let words = (Field.common + kind.ownFields).map(\.words)
        #expect(Set(words.map(\.english.label)).count == words.count)
        #expect(Set(words.map(\.chinese.label)).count == words.count)
    }
}

struct WrittenPathTests {
    @Test(arguments: [
        ("name", "name/und", "name"), ("name.zh", "name/zh", "name.zh"), ("name/zh", "name/zh", "name.zh"),
        ("body.en", "body/en", "body.en"), ("unit", "unit", "unit"), ("unit.x", "unit.x", "unit.x"),
        ("ext/name.zh", "ext/name.zh", "ext/name.zh"),
        // A combining mark after the separator forms one character with it.
        ("name.\u{301}zh", "name/\u{301}zh", "name.\u{301}zh"),
    ])
    func aPathIsReadInEachWrittenForm(_ written: String, _ path: String, _ column: String) {
        let read = FieldPath(written: written)
        #expect(read?.text.utf8.elementsEqual(path.utf8) == true)
        #expect(read?.columnName.utf8.elementsEqual(column.utf8) == true)
    }

    @Test(arguments: ["", "name.", "@", "/x", "name/"])
    func reservedAndMalformedPathsAreRefused(_ written: String) {
        #expect(FieldPath(written: written) == nil)
    }
}
