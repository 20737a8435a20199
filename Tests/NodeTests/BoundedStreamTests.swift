import Replica
import Synchronization
import Testing

@Suite("Bounded streams")
struct BoundedStreamTests {
    private struct Enough: Error {}

    @Test("A producer suspends while the stream holds its maximum of elements", arguments: [1, 3])
    func elementsAreBounded(countMax: Int) async throws {
        let sent = Mutex(0)
        let stream = BoundedStream<Int>(countMax: countMax)
        let taken = try await stream.connect(
            from: { stream in
                for number in 0..<1_000 {
                    sent.withLock { $0 += 1 }
                    try await stream.send(number)
                }
            },
            to: { stream in
                var taken: [Int] = []
                while let elements = try await stream.take(upTo: 1) {
                    taken += elements
                    // The producer may have begun to send one more.
                    #expect(sent.withLock { $0 } <= taken.count + countMax + 1)
                }
                return taken
            }
        )
        #expect(taken == Array(0..<1_000))
    }

    @Test("A producer suspends while the stream holds its maximum of bytes")
    func bytesAreBounded() async throws {
        let sent = Mutex(0)
        let stream = BoundedStream<[UInt8]>(countMax: 1_000, bytesMax: 100) { $0.count }
        try await stream.connect(
            from: { stream in
                for _ in 0..<200 {
                    sent.withLock { $0 += 1 }
                    try await stream.send([UInt8](repeating: 1, count: 60))
                }
            },
            to: { stream in
                var taken = 0
                while let elements = try await stream.take(upTo: 1) {
                    taken += elements.count
                    // Two elements reach the bound.
                    #expect(sent.withLock { $0 } <= taken + 3)
                }
                #expect(taken == 200)
            }
        )
    }

    @Test("A consumer that stops early stops an endless producer")
    func consumerEndsProducer() async throws {
        let wasCancelled = Mutex(false)
        let stream = BoundedStream<Int>(countMax: 2)
        await #expect(throws: Enough.self) {
            try await stream.connect(
                from: { stream in
                    do {
                        while true { try await stream.send(1) }
                    } catch is CancellationError {
                        wasCancelled.withLock { $0 = true }
                        throw CancellationError()
                    }
                },
                to: { stream in
                    _ = try await stream.take()
                    throw Enough()
                }
            )
        }
        #expect(wasCancelled.withLock { $0 })
    }

    @Test("A producer's error comes after its last element")
    func errorComesLast() async throws {
        let stream = BoundedStream<Int>(countMax: 4)
        let taken = Mutex<[Int]>([])
        await #expect(throws: Enough.self) {
            try await stream.connect(
                from: { stream in
                    try await stream.send(1)
                    try await stream.send(2)
                    throw Enough()
                },
                to: { stream in
                    while let elements = try await stream.take() { taken.withLock { $0 += elements } }
                }
            )
        }
        #expect(taken.withLock { $0 } == [1, 2])
    }

    @Test("A full stream drops offered elements, and a woken consumer gets nothing")
    func offersAndWaking() async throws {
        let stream = BoundedStream<Int>(countMax: 1)
        stream.offer(1)
        stream.offer(2)
        #expect(try await stream.take() == [1])
        stream.wake()
        #expect(try await stream.take() == [])
        stream.finish(.success(()))
        #expect(try await stream.take() == nil)
    }
}
