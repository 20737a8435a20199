/// Limits on the values that this node writes. It accepts longer values of other members, within the limits of the
/// format.
package enum WriterLimits {
    /// The maximum length of a local id in bytes of UTF-8.
    package static let localIDBytesMax = 1024
    /// The maximum size in bytes of a field's value, or of an element of a set.
    package static let fieldBytesMax = 64 * 1024
    /// The maximum size of a record's values together in bytes, with an allowance for each field's path. One operation
    /// can hold them all.
    package static let recordBytesMax = 256 * 1024
}
