package import Replica

/// A request of a user to a node, with one answer. The same code runs it in a running node (over its socket) and for a
/// stopped one (in the asking process, which opens the folder).
package protocol Command: Codable, Sendable {
    associatedtype Output: Codable & Sendable
    /// The command's name, access and shape.
    static var endpoint: Endpoint { get }
    /// True if this command is brief, see ``Endpoint/Shape/brief``. By default every command with that shape is.
    var isBrief: Bool { get }
    /// Runs it, for a caller whose access was checked.
    ///
    /// - Throws: ``Failure``.
    func run(in context: CommandContext) async throws -> Output
}

extension Command {
    package var isBrief: Bool { Self.endpoint.shape == .brief }
}

/// A request of a user to a node, answered by a stream of elements.
package protocol StreamingCommand: Codable, Sendable {
    associatedtype Element: Codable & Sendable
    /// The command's name, access and shape.
    static var endpoint: Endpoint { get }
    /// The bytes by which an element counts against the stream's bound; 0 for small ones.
    static func size(of element: Element) -> Int
    /// Runs it, for a caller whose access was checked, and sends its elements. The stream ends when this returns.
    ///
    /// Its task is cancelled when the caller wants no more. It may still send elements for the work done until then.
    ///
    /// - Throws: ``Failure``, after the elements sent; `CancellationError`.
    func run(in context: CommandContext, into stream: BoundedStream<Element>) async throws
}

extension StreamingCommand {
    package static func size(of element: Element) -> Int { 0 }
}

/// An element of a command that reports its progress and gives one answer at its end.
package enum Report<Answer: Codable & Sendable>: Codable, Sendable {
    case progress(WorkProgress)
    /// The last element.
    case answer(Answer)

    private enum CodingKeys: String, CodingKey {
        case progress, answer
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let progress = try container.decodeIfPresent(WorkProgress.self, forKey: .progress) {
            self = .progress(progress)
        } else {
            self = .answer(try container.decode(Answer.self, forKey: .answer))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .progress(let progress): try container.encode(progress, forKey: .progress)
        case .answer(let answer): try container.encode(answer, forKey: .answer)
        }
    }
}

extension BoundedStream {
    /// Passes a command's progress on as elements. A report that does not fit into the stream is dropped.
    package func progress<Answer>() -> ProgressReporter where Element == Report<Answer> {
        ProgressReporter { [self] in offer(.progress($0)) }
    }
}
