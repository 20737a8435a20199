import COpenSSL

/// A failed call into OpenSSL, with the library's reasons.
///
/// Creating one with ``draining(_:)`` empties the calling thread's error queue. No later call then mistakes an old
/// error for its own.
package struct OpenSSLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The failed operation, in this program's words.
    package let operation: String

    /// The reasons in OpenSSL's queue, the oldest (the cause) first; empty if the library gave none.
    package let reasons: [String]

    /// Creates an error with known reasons, for failures that OpenSSL does not put in its queue.
    package init(operation: String, reasons: [String] = []) {
        self.operation = operation
        self.reasons = reasons
    }

    /// The operation and its reasons in one line.
    package var description: String {
        reasons.isEmpty ? "\(operation) failed" : "\(operation) failed: \(reasons.joined(separator: "; "))"
    }

    /// Creates an error from all reasons in the calling thread's queue and empties it.
    ///
    /// - Complexity: Linear in the queue, which OpenSSL limits to 16.
    static func draining(_ operation: String) -> OpenSSLError {
        var reasons: [String] = []
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            reasons.append(reasonText(code))
        }
        return OpenSSLError(operation: operation, reasons: reasons)
    }

    /// The library's message for a code of its queue.
    static func reasonText(_ code: UInt) -> String {
        ERR_reason_error_string(code).map { String(cString: $0) } ?? "code \(code)"
    }

    /// The number of errors in the calling thread's queue; this call empties it. For tests, which expect 0.
    package static func drainedCount() -> Int { draining("").reasons.count }
}
