import Weir

/// Money that goes to an account; a negative amount leaves it.
struct Transfer: Codable, Sendable, Equatable {
    var account: String
    var amount: Int
}

/// What is known of an account.
struct Account: Codable, Sendable, Equatable {
    var count = 0
    var sum = 0
}

/// A line of the output: an account that has changed since the checkpoint before, with its totals.
struct Line: Codable, Sendable, Equatable {
    var checkpoint: Int
    var account: String
    var count: Int
    var sum: Int

    init(checkpoint: Int, _ booking: Booking) {
        self.checkpoint = checkpoint
        account = booking.account
        count = booking.totals.count
        sum = booking.totals.sum
    }
}

/// A transfer that can't be: it goes to the dead letters.
struct InvalidTransfer: Error, CustomStringConvertible {
    let description: String
}

/// Transfers in, accounts out: the whole service is this topology.
struct Ledger {
    var host = "127.0.0.1"
    var port = 8_090
    var tcpPort = 8_091
    var output: String
    var parallelism = 2
    var fault: Fault?

    var topology: Topology {
        let check = FaultSwitch(fault, at: "check")
        let faultOfAccounts = FaultSwitch(fault, at: "accounts")
        return Topology("ledger") {
            let accounts = EventStream(
                "transfers",
                from: .webSocket("/transfers", host: host, port: port, as: Transfer.self)
            ).merge(
                EventStream(
                    "transfers-tcp", from: .tcp(host: host, port: tcpPort, as: Transfer.self))
            )
            .map { transfer throws in
                try check.event()
                guard !transfer.account.isEmpty else {
                    throw InvalidTransfer(description: "a transfer needs an account")
                }
                return transfer
            }
            .keyed(by: \.account, parallelism: parallelism)
            .handle("accounts") { Accounts(fault: faultOfAccounts) }

            accounts
                .keyed(by: \.account, parallelism: parallelism)
                .latestPerCheckpoint(name: "changed")
                .map { Line(checkpoint: $0.checkpoint, $0.element) }
                .sink(.transactionalJSONLines(toFile: output))

            accounts.map { Totals.Change.booking($0) }
                .merge(
                    EventStream("seconds", from: .ticks(every: .milliseconds(200)))
                        .map { _ in Totals.Change.tick }
                )
                .keyed(by: { _ in 0 })
                .handle("totals") { TotalsKeeper() }
                .sink(.webSocket("/totals", host: host, port: port))
        }
    }
}

/// Adds a transfer to its account.
struct Accounts: KeyedHandler {
    let fault: FaultSwitch

    func initialState(for account: String) -> Account { Account() }

    func on(
        _ transfer: Transfer, state: inout Account,
        _ context: inout Context<String, Booking>
    ) throws {
        state.count += 1
        let (sum, overflow) = state.sum.addingReportingOverflow(transfer.amount)
        guard !overflow else {
            throw InvalidTransfer(description: "the sum of '\(context.key)' can't grow any further")
        }
        state.sum = sum
        // After the change, so that it would show if the change were not undone.
        try fault.event()
        context.emit(Booking(account: context.key, amount: transfer.amount, totals: state))
    }
}

/// A transfer that is done, and the account behind it.
struct Booking: Codable, Sendable, Equatable {
    var account: String
    var amount: Int
    var totals: Account
}

/// All accounts together.
struct Totals: Codable, Sendable, Equatable {
    enum Change: Sendable { case booking(Booking), tick }

    var events = 0
    var accounts = 0
    var sum = 0
}

/// Adds everything up, and says at every tick where it is.
struct TotalsKeeper: KeyedHandler {
    func initialState(for key: Int) -> Totals { Totals() }

    func on(_ change: Totals.Change, state: inout Totals, _ context: inout Context<Int, Totals>) {
        switch change {
        case .booking(let booking):
            state.events += 1
            state.accounts += booking.totals.count == 1 ? 1 : 0
            state.sum &+= booking.amount
        case .tick: context.emit(state)
        }
    }
}
