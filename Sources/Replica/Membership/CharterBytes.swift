package import Governance
import SwiftProtobuf
import Wire

extension Charter {
    /// The bytes of a Charter message, as the store keeps them.
    package func bytes() throws -> [UInt8] { try message.serializedBytes() }

    /// Reads ``bytes()``.
    package init?(bytes: [UInt8]) {
        guard let message = try? Hansa_V0_Charter(serializedBytes: bytes) else { return nil }
        self.init(message)
    }
}
