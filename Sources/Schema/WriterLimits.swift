/// Limits on what this node writes. Longer values of other members are taken as they come, within the limits of the
/// format.
package enum WriterLimits {
    /// The longest local id, in bytes of UTF-8.
    package static let localIDBytesMax = 1024
    /// The longest value of one field, or element of a set, in bytes.
    package static let fieldBytesMax = 64 * 1024
    /// The values of one record together, in bytes with some room for each field's path; an operation has them all and a
    /// little more.
    package static let recordBytesMax = 256 * 1024
}
