package import Replica

/// Something a user asks of a node, with one answer. The same code runs it whether the node is running (asked over its
/// socket) or stopped (the folder is opened by the asking process).
package protocol Command: Codable, Sendable {
    associatedtype Output: Codable & Sendable
    /// How it is reached.
    static var endpoint: Endpoint { get }
    /// True if this one is brief, see ``Endpoint/Shape/brief``. By default all of a brief shape are.
    var isBrief: Bool { get }
    /// Runs it, for a caller whose access was checked.
    ///
    /// - Throws: ``Failure``.
    func run(in context: CommandContext) async throws -> Output
}

extension Command {
    package var isBrief: Bool { Self.endpoint.shape == .brief }
}

/// Something a user asks of a node, answered by a stream of elements.
package protocol StreamingCommand: Codable, Sendable {
    associatedtype Element: Codable & Sendable
    /// How it is reached.
    static var endpoint: Endpoint { get }
    /// Bytes of an element that a stream holds at most count by this; 0 for small ones.
    static func size(of element: Element) -> Int
    /// Runs it, for a caller whose access was checked, and sends its elements. The stream ends when this returns.
    ///
    /// Its task is cancelled when the caller wants no more. It may still send what it did until then.
    ///
    /// - Throws: ``Failure``, behind the elements sent; `CancellationError`.
    func run(in context: CommandContext, into stream: BoundedStream<Element>) async throws
}

extension StreamingCommand {
    package static func size(of element: Element) -> Int { 0 }
}

/// An element of a command that tells its progress and answers once, at its end.
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
    /// Passes a command's progress on as elements. A report for which there is no room is dropped.
    package func progress<Answer>() -> ProgressReporter where Element == Report<Answer> {
        ProgressReporter { [self] in offer(.progress($0)) }
    }
}
