/// The meaning of a value. Nodes do not check it yet: a value of any type may be stored as text.
package enum ValueType: Hashable, Sendable {
    /// Plain text.
    case text
    /// A number without a unit.
    case number
    /// A number with a unit: `18 km`, or `18` if the record's field `unit` gives the unit.
    case quantity
    /// An amount of money with its currency: `CNY 400`, or `400` if the record's field `currency` gives the currency.
    case money
    /// A length of time: `P10D` (ISO 8601).
    case duration
    /// A day, or only a month or year: `2027-04-30`, `2017`.
    case date
    /// A time of a day with its offset from UTC: `2027-04-30T09:00+08:00`.
    case time
    /// From one day or time to another: `2027-03-01/2027-05-31`.
    case interval
    /// Intervals, or a repetition rule (RFC 5545): opening hours, calendars.
    case recurrence
    /// Another record of one of these kinds.
    case reference(Set<Kind>)
    /// A code of a scheme; nil if each value names its own scheme.
    case code(scheme: CodeScheme?)
    /// One word of a closed list.
    case choice([String])
    /// The address of a page or file, with an optional label.
    case link
    /// An e-mail address.
    case email
    /// A telephone number with its country code.
    case telephone
    /// A town, district or region, as a name or a code.
    case place
    /// Technical parameters, each with a name, a minimum, a maximum and a unit.
    case parameters
    /// `true` or `false`.
    case boolean
}

/// A scheme of codes.
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
    /// Units of measure: `KMT`. The unit's usual symbol is also valid.
    case unit = "UN/CEFACT Recommendation 20"
    /// Time zones: `Asia/Shanghai`.
    case timeZone = "IANA time zones"
    /// Licences of software and data: `Apache-2.0`.
    case licence = "SPDX"
}
