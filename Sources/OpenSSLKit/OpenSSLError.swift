import COpenSSL

/// A call into OpenSSL that failed, with what the library said about it.
///
/// Making one empties the calling thread's error queue, so that no later call reads an old error as its own.
package struct OpenSSLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done, in our own words.
    package let operation: String

    /// The reasons in OpenSSL's queue, the oldest (the cause) first; empty if the library gave none.
    package let reasons: [String]

    /// An error with known reasons, for failures that OpenSSL does not report through its queue.
    package init(operation: String, reasons: [String] = []) {
        self.operation = operation
        self.reasons = reasons
    }

    /// The operation and its reasons, in one line.
    package var description: String {
        reasons.isEmpty ? "\(operation) failed" : "\(operation) failed: \(reasons.joined(separator: "; "))"
    }

    /// Takes everything from the calling thread's queue. Complexity: linear in the queue, which OpenSSL bounds at 16.
    static func draining(_ operation: String) -> OpenSSLError {
        var reasons: [String] = []
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            reasons.append(reasonText(code))
        }
        return OpenSSLError(operation: operation, reasons: reasons)
    }

    /// The library's words for one code of its queue.
    static func reasonText(_ code: UInt) -> String {
        ERR_reason_error_string(code).map { String(cString: $0) } ?? "code \(code)"
    }

    /// How many errors the calling thread's queue holds; taking them empties it. For tests, which expect 0.
    package static func drainedCount() -> Int { draining("").reasons.count }
}
