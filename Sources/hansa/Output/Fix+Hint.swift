import Replica

extension Fix {
    /// The fix in words of the command line. It follows a failure's message after a semicolon.
    package var hint: String {
        switch self {
        case .startNode: "start it with 'hansa run'"
        case .restartNode: "start it again with 'hansa run' and see what was done, then ask again"
        case .foundOrJoin: "found an alliance with 'hansa init' or join one with 'hansa join'"
        case .joinAgain: "begin a new one with 'hansa join'"
        case .nameDataFolder: "name the data folder with --data, or begin with 'hansa init' or 'hansa join'"
        case .nameAnotherFolder: "name another folder with --data"
        case .freeFolder: "stop that one, or name another folder with --data"
        case .verify: "run 'hansa verify', or restore a backup"
        case .rebuild: "run 'hansa verify --rebuild', or restore a backup"
        case .finishRebuild: "run 'hansa verify --rebuild'"
        case .hideFile(let path): "run: chmod 600 \(path)"
        case .showConflicts(let record): "see 'hansa conflicts \(record)'"
        case .showHistory(let record): "'hansa why \(record)' shows what it held"
        case .showRecord(let record): "'hansa get \(record)' shows those it has"
        case .settleDeletion(let record): "settle that with 'hansa settle \(record) deleted yes' or 'no'"
        case .createAgain: "import it again, or edit it with --create, to bring it back"
        case .addName: "add name=… (or title=…, description=…)"
        case .setField(let field): "write \(field)=VALUE"
        case .useOwnField(let field): "for a column of your own write ext/\(field)"
        case .listMembers: "'hansa members' lists all"
        case .nameFormat: "say it with --format csv, tsv or jsonl"
        case .nameEncoding:
            "name the encoding in which it is right, as in --encoding windows-1252, or save the file as UTF-8"
        case .freePort: "stop what listens there, or choose another with --listen"
        case .listenElsewhere: "choose another with --listen"
        case .awaitNetwork: "wait until its network is up, or choose another with --listen"
        case .awaitNames: "wait until names are resolved, or name an IP address with --listen"
        case .useHighPort: "choose a port from 1024 on with --listen"
        case .advertise: "start it with --advertise HOST:PORT, then invite"
        case .nameOrganization: "name yours with --org NAME"
        case .omitOrganization: "leave --org out"
        case .askForDialableTicket: "ask for a new one, of a node started with --advertise HOST:PORT"
        case .retryWithInviter: "see that it runs ('hansa run') and try again with the same ticket"
        }
    }
}
