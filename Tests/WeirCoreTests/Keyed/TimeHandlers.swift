import WeirCore

/// Whether each event is late when it is handled.
struct IsLate: KeyedHandler {
    func initialState(for key: Int) -> Int { 0 }
    func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, Bool>) {
        context.emit(context.watermark > event.at)
    }
}

/// Fires each second from the second behind an event on, as far as time goes.
struct Periodic: KeyedHandler {
    func initialState(for key: Int) -> Int { 0 }
    func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, EventTime>) {
        context.setTimer(at: event.at.advanced(by: .seconds(1)))
    }
    func onTimer(
        _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, EventTime>
    ) {
        context.emit(timer.time)
        context.setTimer(at: timer.time.advanced(by: .seconds(1)))
    }
}
