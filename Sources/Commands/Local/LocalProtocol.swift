package import Replica

/// The protocol between the two ends of the socket. `POST /v0/OPERATION` with a command's JSON has one of two answers.
///
/// - A command with one answer gives its output's JSON with status 200, or the JSON of a ``Failure`` with another
///   status. During a long command, interim responses with status 102 show that the node is working on it (RFC 9110,
///   section 15.2).
/// - A command with a stream gives status 200 and lines (``StreamLine``); an empty line is a sign of life. A request
///   with a file has the command's JSON on its first line, followed by the file's bytes. The response begins before the
///   end of the request.
///
/// The client gives up after ``silenceMax`` without any byte.
package enum LocalProtocol {
    /// The path before an operation.
    package static let prefix = "/v0/"
    /// The longest command in bytes, without a file after it.
    package static let requestBytesMax = 4 * 1024 * 1024

    /// How long a node with a request may send nothing. Nine seconds, so that a command ends within ten: a working node
    /// sends something every two.
    package static let silenceMax = Duration.seconds(9)
    /// The time before the first sign of life of a working node, and the time between two.
    package static let signOfLifeFirst = Duration.seconds(1)
    package static let signOfLifeInterval = Duration.seconds(2)

    /// The failure of a request whose node stops before its answer.
    package static let stopped = Failure(
        .nodeStopped,
        "the node has stopped while it worked on this",
        fix: .restartNode
    )
}
