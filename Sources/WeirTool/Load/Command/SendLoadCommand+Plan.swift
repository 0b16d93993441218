import ArgumentParser
import Foundation
import Weir

extension SendLoadCommand {
    /// The plan that the arguments describe, without the file's messages.
    func plan() throws(LoadError) -> LoadPlan {
        guard [size != nil, message != nil, messageFile != nil].count(where: { $0 }) <= 1 else {
            throw LoadError("give only one of --size, --message and --message-file")
        }
        var target = try LoadTarget(target)
        if let path = http.unixSocket { target.unixPath = path }
        var plan = LoadPlan(target: target)
        plan.http = try http.requests(for: target)
        plan.connections = connections
        try setRate(&plan)
        plan.grace = try Self.seconds("--grace", grace)
        plan.messages = messages
        plan.framing = framing
        plan.expectsEcho = expectEcho
        plan.producer = acknowledgements.acknowledge
        plan.keepsAcknowledged = acknowledgements.verify != nil
        plan.seed = seed
        plan.allowsRemote = allowRemote
        guard (cert == nil) == (key == nil) else {
            throw LoadError("give both of --cert and --key, or none")
        }
        if let ca { plan.tls.authorities = .file(ca) }
        if let cert, let key { plan.tls.certificate = .files(chain: cert, key: key) }
        if target.transport == .http && !http.hasBody { plan.payload = .empty }
        if let size { plan.payload = .random(byteCount: size) }
        if let message { plan.payload = .templates([try MessageTemplate(message)]) }
        return plan
    }

    private func setRate(_ plan: inout LoadPlan) throws(LoadError) {
        let rates = try changing.rates()
        if rates != nil && rate != nil {
            throw LoadError("give only one of --rate, --steps and --ramp")
        }
        if let rate { plan.rate = rate }
        if let duration { plan.duration = try Self.seconds("--duration", duration) }
        switch rates {
        case nil: break
        case .linear(let from, let to): (plan.rate, plan.lastRate) = (from, to)
        case .steps(let rates):
            guard duration == nil, messages == nil else {
                throw LoadError(
                    "the length of steps is --step-duration, not --duration or --messages")
            }
            plan.rate = rates[0]
            plan.duration = try Self.seconds("--step-duration", changing.stepDuration ?? 5)
        }
    }

    /// Checks what one option says of another.
    func checkTogether(_ plan: LoadPlan) throws(LoadError) {
        let bound = try changing.bound()
        guard case .steps = try changing.rates() else {
            if bound != nil || changing.stepDuration != nil {
                let name = bound == nil ? "--step-duration" : "--until-late"
                throw LoadError(
                    "\(name) is for --steps, or a --ramp with steps such as 1000..9000/500")
            }
            try checkVerification(plan)
            return
        }
        if bound != nil && !plan.expectsAnswers {
            throw LoadError(
                "--until-late needs answers to time: an http:// target, --expect-echo or"
                    + " --acknowledge"
            )
        }
        if acknowledgements.verify != nil { throw LoadError("--verify is not for steps") }
        if !reports.histogram.isEmpty { throw LoadError("--histogram is not for steps") }
    }

    private func checkVerification(_ plan: LoadPlan) throws(LoadError) {
        guard acknowledgements.verify != nil else {
            if acknowledgements.verifyMember != nil {
                throw LoadError("--verify-member is for --verify")
            }
            return
        }
        guard plan.producer != nil else { throw LoadError("--verify needs --acknowledge") }
        if messageFile == nil { _ = try verifiedMember(plan) }
    }

    /// The member of a line that holds a message's number.
    func verifiedMember(_ plan: LoadPlan) throws(LoadError) -> String {
        if let member = acknowledgements.verifyMember { return member }
        if case .templates(let templates) = plan.payload {
            let members = Set(templates.map(\.sequenceMember))
            if members.count == 1, let member = members.first, let member { return member }
        }
        throw LoadError(
            #"--verify needs messages with a number, such as --message '{"seq":{{seq}}}', or"#
                + " --verify-member with the name of the member that holds it")
    }

    private static func seconds(_ name: String, _ value: Double) throws(LoadError) -> Duration {
        guard value >= 0, value <= 1e6 else {
            throw LoadError("\(name) is \(value); it is a number of seconds")
        }
        return .nanoseconds(Int64((value * 1e9).rounded()))
    }

    /// A file with more bytes is refused.
    private static let fileBytesMax = 16 * 1_024 * 1_024

    static func read(_ path: String) throws -> Payload {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        let data = try file.read(upToCount: fileBytesMax + 1) ?? Data()
        guard data.count <= fileBytesMax else {
            throw LoadError("\(path) is longer than \(fileBytesMax) bytes")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw LoadError("\(path) is not UTF-8")
        }
        // Not at what else Unicode takes for a new line: it may stand in a string of JSON.
        let lines = text.split { $0 == "\n" || $0 == "\r\n" }
        return .templates(try lines.map { try MessageTemplate($0) })
    }
}

extension LoadPlan.Framing: ExpressibleByArgument {}
