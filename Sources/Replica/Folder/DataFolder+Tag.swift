import Catalog

extension DataFolder {
    /// A short name for the folder's path: the first 16 hexadecimal digits of its SHA-256.
    package var tag: String { String(SystemCryptography().hash(Array(path.utf8)).hex.prefix(16)) }
}
