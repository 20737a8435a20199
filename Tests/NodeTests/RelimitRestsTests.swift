import Catalog
import PeerService
import Testing

@Suite("Pauses between the steps of a relimit") struct RelimitRestsTests {
    private let hostile = OrganizationID(Hash256.zero)
    private let honest: OrganizationID? = OrganizationID(bytes: Array(repeating: 7, count: 32))

    @Test("A member that keeps proving forks gets a tenth of the writer's time, and others are served in between")
    func share() throws {
        let start = ContinuousClock.now
        var (now, rests) = (start, RelimitRests())
        var hostileTime = Duration.zero
        var honestSteps = 0
        var honestEnd: ContinuousClock.Instant?
        while now < start + .seconds(1000) {
            // The hostile member always has a log left, whose steps take a second.
            if !rests.isResting(hostile, at: now) {
                hostileTime += .seconds(1)
                now += .seconds(1)
                now += rests.note(.seconds(1), of: hostile, at: now)
            } else if honestSteps < 100, !rests.isResting(honest, at: now) {
                honestSteps += 1
                now += .milliseconds(20)
                now += rests.note(.milliseconds(20), of: honest, at: now)
            } else if let pause = rests.nextEnd(after: now) {
                #expect(pause > .zero)
                now += pause
            }
            if honestSteps == 100, honestEnd == nil { honestEnd = now }
        }
        #expect(try #require(honestEnd) < start + .seconds(60))
        #expect(hostileTime <= .seconds(101))
        #expect(hostileTime >= .seconds(80))
    }
}
