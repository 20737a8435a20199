package import Replica

/// The words of the socket's two ends. `POST /v0/OPERATION` with a command's JSON is answered in one of two ways.
///
/// - A command with one answer gives its output's JSON with status 200, or the JSON of a ``Failure`` with another. While it
///   takes long, interim responses with status 102 tell that the node is at work on it (RFC 9110, section 15.2).
/// - A command with a stream gives status 200 and lines (``StreamLine``); an empty line is a sign of life. The request of one
///   that takes a file is the command's JSON on one line, and then the file's bytes. The response begins before the request's
///   end.
///
/// The client gives up after ``silenceMax`` without any byte.
package enum LocalProtocol {
    /// Stands before an operation.
    package static let prefix = "/v0/"
    /// The longest command, a file behind it not counted.
    package static let requestBytesMax = 4 * 1024 * 1024

    /// How long a node that has a request may send nothing. Nine seconds, so that a command ends within ten: a node at work
    /// sends something every two.
    package static let silenceMax = Duration.seconds(9)
    /// After how long, and then how often, a node tells that it works on a request.
    package static let signOfLifeFirst = Duration.seconds(1)
    package static let signOfLifeInterval = Duration.seconds(2)

    /// The failure of a request whose node goes away in the middle.
    package static let stopped = Failure(
        .nodeStopped,
        "the node has stopped while it worked on this",
        fix: .restartNode
    )
}
