package import Replica

/// What the socket's two ends agree on: `POST /v0/NAME` with a command's JSON gives its output's JSON with status 200,
/// or the JSON of a ``Failure`` with another. While a command takes long, interim responses with status 102 say that
/// the node is at work on it (RFC 9110, section 15.2); who asks gives up after ``silenceMax`` without any byte.
package enum LocalProtocol {
    /// Before a command's name.
    package static let prefix = "/v0/"
    /// The longest request. Commands are small: files are named, not sent.
    package static let requestBytesMax = 4 * 1024 * 1024

    /// How long a node that has a request may say nothing. Nine seconds, so that a command ends within ten: a node that works
    /// says something every two.
    package static let silenceMax = Duration.seconds(9)
    /// After how long, and then how often, a node says that it works on a request.
    package static let signOfLifeFirst = Duration.seconds(1)
    package static let signOfLifeInterval = Duration.seconds(2)

    /// What is said when a node goes away in the middle of a request.
    package static let stopped = Failure(
        .nodeStopped,
        "the node has stopped while it worked on this",
        fix: .restartNode
    )
}
