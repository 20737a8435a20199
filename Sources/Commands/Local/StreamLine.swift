package import Replica

/// A line of a stream on the socket: JSON without line breaks. A stream without an end line was broken off.
package enum StreamLine<Element: Codable & Sendable>: Codable, Sendable {
    case element(Element)
    /// The last line of a command that failed.
    case failure(Failure)
    /// The last line of a command that succeeded.
    case end

    private enum CodingKeys: String, CodingKey {
        case element, failure, end
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if container.contains(.element) {
            self = .element(try container.decode(Element.self, forKey: .element))
        } else if container.contains(.failure) {
            self = .failure(try container.decode(Failure.self, forKey: .failure))
        } else {
            _ = try container.decode(Bool.self, forKey: .end)
            self = .end
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .element(let element): try container.encode(element, forKey: .element)
        case .failure(let failure): try container.encode(failure, forKey: .failure)
        case .end: try container.encode(true, forKey: .end)
        }
    }
}
