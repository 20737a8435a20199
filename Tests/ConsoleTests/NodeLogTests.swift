import Logging
import Synchronization
import Testing
import hansa

/// The node's log, through swift-log's own front end.
struct NodeLogTests {
    /// A log with its own clock.
    private final class Recorder: Sendable {
        let lines = Mutex<[String]>([])
        let seconds = Mutex(0.0)

        var log: NodeLog {
            NodeLog(
                now: { [self] in
                    let seconds = seconds.withLock { $0 }
                    return NodeLog.Moment(wall: 1_700_000_000 + Int(seconds), steady: .seconds(seconds))
                },
                write: { [self] line in lines.withLock { $0.append(line.rendered(colours: true)) } }
            )
        }

        func wait(_ more: Double) { seconds.withLock { $0 += more } }
        var text: [String] { lines.withLock { $0 } }
    }

    private func logger(_ log: NodeLog, label: String = "hansa") -> Logger {
        Logger(label: label) { LogLines(label: $0, log: log) }
    }

    @Test
    func `an event is one line of data, place and message`() {
        let recorder = Recorder()
        let data: Logger.Metadata = ["from": "Acme 12345678", "sequence": "7"]
        logger(recorder.log).warning("delta refused", metadata: data, source: "Node")
        #expect(recorder.text.count == 1)
        #expect(recorder.text[0].hasSuffix(" warning hansa: from=\"Acme 12345678\" sequence=7 [Node] delta refused"))
        #expect(recorder.text[0].hasPrefix("2023-11-1"))
    }

    @Test(
        arguments: [
            "x\n2026-01-01T00:00:00+0000 critical hansa: [Node] stopping", "x\u{1B}[2J\u{1B}]0;owned\u{7}",
            "x\u{9B}31m", "x\u{2028}y", "x\r forged", "\u{202E}gnippots", "x\u{FEFF}y",
        ]
    )
    func `a peer's text makes no second line and controls no terminal`(words: String) {
        let recorder = Recorder()
        let data: Logger.Metadata = ["peer": "Acme 12345678", "program": "\(words)"]
        logger(recorder.log).info("session open", metadata: data, source: "Node")
        #expect(recorder.text.count == 1)
        for scalar in recorder.text[0].unicodeScalars {
            let category = scalar.properties.generalCategory
            #expect(![.control, .format, .lineSeparator, .paragraphSeparator].contains(category), "\(scalar.value)")
        }
        #expect(recorder.text[0].hasSuffix(" [Node] session open"))
    }

    @Test
    func `a value looks like no other field`() {
        let recorder = Recorder()
        let words = "x\" peer=Honest [Node] stopping \\"
        logger(recorder.log).info("session open", metadata: ["program": "\(words)"], source: "Node")
        #expect(recorder.text[0].contains(#" program="x\" peer=Honest [Node] stopping \\" [Node] session open"#))
    }

    @Test
    func `a long value is cut`() {
        let recorder = Recorder()
        let words = String(repeating: "w", count: 500_000)
        logger(recorder.log).info("session open", metadata: ["program": "\(words)"])
        #expect(recorder.text[0].utf8.count < 500)
    }

    @Test
    func `repeated lines about one peer are written a few times, then counted each minute`() {
        let recorder = Recorder()
        let log = recorder.log
        let logger = logger(log)
        for number in 1...322 {
            logger.warning("delta refused", metadata: ["from": "Bad", "sequence": "\(number)"], source: "Node")
        }
        logger.warning("delta refused", metadata: ["from": "Other"], source: "Node")
        #expect(recorder.text.count == 11)
        #expect(recorder.text.last?.contains("from=Other") == true)
        recorder.wait(59)
        log.count()
        #expect(recorder.text.count == 11)
        recorder.wait(1)
        log.count()
        #expect(recorder.text.count == 12)
        #expect(
            recorder.text[11].hasSuffix(
                " warning hansa: from=Bad [Node] delta refused … 312 more of this kind in the last minute"
            )
        )
        log.count()
        #expect(recorder.text.count == 12)
        // The next minute has its own budget of lines.
        logger.warning("delta refused", metadata: ["from": "Bad"], source: "Node")
        #expect(recorder.text.count == 13)
    }

    @Test
    func `the next line of a kind first reports the count of suppressed lines`() {
        let recorder = Recorder()
        let logger = logger(recorder.log)
        for _ in 1...15 { logger.info("session closed", metadata: ["peer": "Flapping"], source: "Node") }
        recorder.wait(3_600)
        logger.info("session closed", metadata: ["peer": "Flapping"], source: "Node")
        #expect(recorder.text.count == 12)
        #expect(recorder.text[10].contains("5 more of this kind"))
    }

    @Test
    func `many unknown addresses have as many lines as a few`() {
        let recorder = Recorder()
        let log = recorder.log
        let logger = logger(log)
        for number in 0..<20_000 {
            let address = "10.\(number / 256 % 256).\(number % 256).1:\(1024 + number)"
            logger.notice("connection refused", metadata: ["address": "\(address)"], source: "Node")
        }
        // One machine counts as one peer, whatever its port.
        for port in 1..<1_000 {
            logger.notice("handshake", metadata: ["address": "[2001:db8::7]:\(port)"], source: "Node")
        }
        #expect(recorder.text.count == 60 + 10)
        log.countAll()
        #expect(recorder.text.count == 72)
        #expect(recorder.text[70].hasSuffix("[Node] connection refused … 19940 more of this kind in the last minute"))
        #expect(recorder.text[71].contains("989 more of this kind"))
    }

    @Test
    func `critical lines are always written`() {
        let recorder = Recorder()
        let logger = logger(recorder.log)
        for _ in 1...100 { logger.critical("stopping", source: "Node") }
        #expect(recorder.text.count == 100)
    }

    @Test
    func `messages beyond the limit of kinds count as one kind`() {
        let recorder = Recorder()
        let logger = logger(recorder.log)
        for number in 0..<50_000 { logger.error("\(number)") }
        #expect(recorder.text.count < 400)
    }
}
