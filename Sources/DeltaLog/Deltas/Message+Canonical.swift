package import SwiftProtobuf

extension Message {
    /// Decodes a message strictly; nil if its bytes differ from the one encoding that Docs/Protocol.md allows.
    ///
    /// Fields are in ascending order, each once unless it is repeated. Default values and unknown fields are not
    /// written; numbers are as short as possible. A relay therefore cannot alter unsigned bytes, and all programs read
    /// the same message.
    package init?(canonical bytes: [UInt8]) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        guard let message = try? Self(serializedBytes: bytes, options: options),
            let again: [UInt8] = try? message.serializedBytes(), again == bytes
        else { return nil }
        self = message
    }
}
