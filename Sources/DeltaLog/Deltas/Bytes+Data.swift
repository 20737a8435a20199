package import Catalog
package import Foundation

extension Hash256 {
    /// The 32 bytes as the `Data` that generated messages use.
    package var data: Data { Data(bytes) }
}

extension Identifier256 {
    package var data: Data { hash.data }
}

extension [UInt8] {
    package var data: Data { Data(self) }
}
