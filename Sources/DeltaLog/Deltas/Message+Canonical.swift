package import SwiftProtobuf

extension Message {
    /// Reads a message that must be written in the one way that Docs/Protocol.md allows: fields in ascending order, each
    /// once unless it is repeated, none with its default value, numbers as short as they go, nothing unknown. Nil for
    /// anything else, so that no relay can alter what is not signed, and no two programs read two things in one.
    package init?(canonical bytes: [UInt8]) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        guard let message = try? Self(serializedBytes: bytes, options: options),
            let again: [UInt8] = try? message.serializedBytes(), again == bytes
        else { return nil }
        self = message
    }
}
