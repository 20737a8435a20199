import Foundation
import Glibc
import TestSupport

/// The raw cost of receiving records from another process: OpenSSL's own programs send a file over loopback, and its
/// lines go into ``PlainSQLite`` as they arrive.
struct SecureStream {
    let scratch: TemporaryFolder

    /// - Parameters:
    ///   - file: the path of a file of JSON lines.
    ///   - texts: returns the indexed texts of a line.
    func run(file: String, texts: (ArraySlice<UInt8>) -> [String]) throws -> PlainSQLite.Outcome {
        let (key, certificate) = (scratch("stream.key"), scratch("stream.pem"))
        let environment = ["PATH": "/usr/bin:/bin", "HOME": scratch.path]
        let made = try ChildProcess(
            "openssl",
            [
                "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate, "-subj",
                "/CN=bench",
                "-days", "1",
            ],
            environment: environment
        )
        guard made.wait() == 0 else { throw BenchFailure("openssl cannot make a certificate; is it installed?") }
        let port = HansaProcess.freePort()
        // OpenSSL's HTTP file server ends the stream at the end of the file.
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
        let name = URL(fileURLWithPath: file).lastPathComponent
        let server = try ChildProcess(
            "sh",
            [
                "-c", #"cd "$1" && exec openssl s_server -quiet -WWW -accept "$2" -cert "$3" -key "$4" -tls1_3"#, "sh",
                folder, "127.0.0.1:\(port)", certificate, key,
            ],
            environment: environment
        )
        defer { server.end() }
        let isUp = try eventually(seconds: 30) {
            try ChildProcess("openssl", ["s_client", "-connect", "127.0.0.1:\(port)"], environment: environment).wait()
                == 0
        }
        guard isUp else { throw BenchFailure("openssl s_server does not listen") }
        let plain = try PlainSQLite(in: scratch("plain-stream"))
        let begin = ContinuousClock.now
        let command =
            "printf 'GET /\(name) HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -ign_eof -connect 127.0.0.1:\(port) 2>/dev/null"
        guard let pipe = popen(command, "r") else { throw BenchFailure("openssl does not run") }
        defer { pclose(pipe) }
        var buffer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        var isBody = false
        while true {
            let count = fread(&chunk, 1, chunk.count, pipe)
            guard count > 0 else { break }
            buffer += chunk[..<count]
            var start = 0
            while let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffer[start..<end]
                start = end + 1
                if isBody {
                    try plain.add(line, texts: texts(line))
                } else if line.count <= 1 {
                    isBody = true
                }
            }
            buffer.removeFirst(start)
        }
        try plain.commit()
        let seconds = begin.duration(to: .now) / .seconds(1)
        guard plain.rows > 0 else { throw BenchFailure("nothing came through openssl") }
        return PlainSQLite.Outcome(
            rowsPerSecond: Double(plain.rows) / seconds,
            diskBytes: plain.diskBytes,
            seconds: seconds
        )
    }
}
