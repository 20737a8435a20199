import Catalog
import DeltaLog
import Gossip

/// Numbers at the ends of their ranges, which provoke arithmetic errors.
enum ExtremeNumbers {
    private static let wide: [UInt64] = [
        0, 1, 1 << 31 - 1, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 48 - 1, 1 << 62, 1 << 63 - 1, 1 << 63, .max - 1, .max,
    ]
    private static let narrow: [UInt32] = [0, 1, 255, 256, 1 << 31 - 1, 1 << 31, .max - 1, .max]

    static func wide(using random: inout SplitMix64) -> UInt64 { wide.randomElement(using: &random) ?? .max }
    static func narrow(using random: inout SplitMix64) -> UInt32 { narrow.randomElement(using: &random) ?? .max }
}

extension PeerMessage {
    /// The same message with extreme values for its numbers: hops, sequences, credits, tokens, counts, clocks.
    func withExtremeNumbers(using random: inout SplitMix64) -> PeerMessage {
        func number() -> UInt64 { ExtremeNumbers.wide(using: &random) }
        func small() -> UInt32 { ExtremeNumbers.narrow(using: &random) }
        func extreme(_ range: LogRange) -> LogRange { LogRange(log: range.log, from: number(), to: number()) }
        func extreme(_ head: LogHead) -> LogHead {
            LogHead(log: head.log, head: Head(sequence: number(), hash: head.head.hash))
        }
        func extreme(_ state: StateSummary) -> StateSummary {
            StateSummary(frontier: state.frontier, digest: state.digest, records: number(), wallMilliseconds: number())
        }
        switch self {
        case .hello(var hello):
            hello.state = extreme(hello.state)
            hello.formatMax = small()
            return .hello(hello)
        case .refusal(let refusal): return .refusal(SessionRefusal(code: small(), reason: refusal.reason))
        case .ranges(let ranges):
            return .ranges(
                ranges.map { range in
                    guard case .entries(let entries, let answer) = range.content else { return range }
                    let extremes = entries.map { FrontierEntry(log: $0.log, sequence: number(), prefix: $0.prefix) }
                    return FrontierRange(upper: range.upper, content: .entries(extremes, answer: answer))
                }
            )
        case .want(let range, _): return .want(extreme(range), credit: number())
        case .ack(let head, _): return .ack(extreme(head), credit: number())
        case .have(let heads): return .have(heads.map { extreme($0) })
        case .state(let state, _, _): return .state(extreme(state), question: number(), answered: number())
        case .deltaRefused(let log, _, _, let reason):
            return .deltaRefused(log: log, sequence: number(), code: small(), reason: reason)
        case .headersWanted(let range): return .headersWanted(extreme(range))
        case .headers(let log, _, let headers): return .headers(log: log, from: number(), headers)
        case .diffQuestion(.sums): return .diffQuestion(.sums(token: number()))
        case .diffQuestion(.records(_, let bucket, let after)):
            return .diffQuestion(.records(token: number(), bucket: bucket, after: after))
        case .diffAnswer(var answer):
            answer.token = number()
            return .diffAnswer(answer)
        case .shuffle(_, _, let nodes): return .shuffle(token: number(), hops: small(), nodes: nodes)
        case .shuffleReply(_, let nodes): return .shuffleReply(token: number(), nodes: nodes)
        case .push(let deltas, _): return .push(deltas, hops: small())
        case .iHave(let heads): return .iHave(heads.map { HopHead(head: extreme($0.head), hops: small()) })
        case .graft(let range, _): return .graft(range.map { extreme($0) }, credit: number())
        case .governance, .announcements, .deltas, .neighbour, .neighbourAnswer, .leave, .prune: return self
        }
    }
}
