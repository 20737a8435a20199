import Testing

/// The program's exit codes and messages.
struct CommandTests {
    @Test
    func `a passing run exits with 0, a failing one with 1 and the command that repeats it`() throws {
        let passed = try SimulatorProgram.run(["run", "--scenario", "smoke", "--nodes", "3"])
        #expect(passed.code == 0, "\(passed)")
        let failed = try SimulatorProgram.run(["sweep", "--seeds", "1..2", "--plant", "ack-before-storing"])
        #expect(failed.code == 1, "\(failed)")
        #expect(failed.output.contains("again: hansa-sim run --scenario swarm --seed 1 --plant ack-before-storing"))
    }

    @Test(arguments: [
        (["run", "--scenario", "nonsense"], "There is no scenario 'nonsense'. Use one of: smoke, swarm,"),
        (["run", "--scenario", "in-step", "--nodes", "3"], "The scenario in-step runs 2 nodes; leave --nodes out."),
        (["run", "--plant", "nonsense"], "There is no planted bug 'nonsense'. Use one of: skip-superseded,"),
        (["sweep", "--seeds", "9..1"], "--seeds"),
        (["sweep"], "--seeds"),
    ])
    func `wrong arguments exit with 2 and a sentence`(arguments: [String], sentence: String) throws {
        let run = try SimulatorProgram.run(arguments)
        #expect(run.code == 2)
        #expect(run.errors.contains(sentence), "\(run.errors)")
    }

    @Test
    func `scenarios and mistakes are listed`() throws {
        let list = try SimulatorProgram.run(["list"])
        #expect(list.code == 0)
        #expect(list.output.contains("split-hour") && list.output.contains("ignore-token"))
    }
}
