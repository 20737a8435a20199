/// What a value stands for. It is declared, and not checked yet: a value of any type may be stored as text.
package enum ValueType: Hashable, Sendable {
    /// Plain text.
    case text
    /// A number without a unit.
    case number
    /// A number with a unit: `18 km`, or `18` where the record's field `unit` gives the unit.
    case quantity
    /// An amount of money with its currency: `CNY 400`, or `400` where the record's field `currency` gives it.
    case money
    /// A length of time: `P10D` (ISO 8601).
    case duration
    /// A day, or a month or year where no more is known: `2027-04-30`, `2017`.
    case date
    /// A time of a day with its offset from UTC: `2027-04-30T09:00+08:00`.
    case time
    /// From one day or time to another: `2027-03-01/2027-05-31`.
    case interval
    /// Intervals, or a rule by which they repeat (RFC 5545): opening hours, calendars.
    case recurrence
    /// Another record of one of these kinds.
    case reference(Set<Kind>)
    /// A code of a scheme; nil where each value names its own.
    case code(scheme: CodeScheme?)
    /// One word of a closed list.
    case choice([String])
    /// The address of a page or file, with a label if need be.
    case link
    /// An address for e-mail.
    case email
    /// A telephone number, with the country's prefix.
    case telephone
    /// A town, district or region, by name or by code.
    case place
    /// Technical parameters, each with a name, a least and a greatest value, and a unit.
    case parameters
    /// `true` or `false`.
    case boolean
}

/// A scheme that gives codes.
package enum CodeScheme: String, Hashable, Sendable {
    /// Sectors of the alliance's charter, as records of kind `concept`.
    case sector = "sector"
    /// Countries: `CN`.
    case country = "ISO 3166-1"
    /// Administrative divisions of China: `430100`.
    case division = "GB/T 2260"
    /// Languages: `zh`.
    case language = "BCP 47"
    /// Currencies: `CNY`.
    case currency = "ISO 4217"
    /// Units of measure: `KMT`; a unit's usual sign is as good.
    case unit = "UN/CEFACT Recommendation 20"
    /// Time zones: `Asia/Shanghai`.
    case timeZone = "IANA time zones"
    /// Licences of software and data: `Apache-2.0`.
    case licence = "SPDX"
}
