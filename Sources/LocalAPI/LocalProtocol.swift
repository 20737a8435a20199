package import Node

/// What the socket's two ends agree on: `POST /v0/NAME` with a command's JSON gives its output's JSON with status 200,
/// or the JSON of a ``HansaError`` with another.
package enum LocalProtocol {
    /// Before a command's name.
    package static let prefix = "/v0/"
    /// The longest request. Commands are small: files are named, not sent.
    package static let requestBytesMax = 4 * 1024 * 1024

    /// The HTTP status of an outcome.
    package static func status(of code: ExitCode) -> Int {
        switch code {
        case .done: 200
        case .usage: 400
        case .refused, .passphrase: 403
        case .inUse, .differs: 409
        case .rejected: 422
        case .internal, .corrupt: 500
        case .unreachable: 503
        case .disk: 507
        }
    }
}
