import WeirCore
import WeirJSON

extension HTTPIngestGate: HTTPDocumentTaker {
    var now: EventTime { context.now }

    func take(
        _ body: UnsafeRawBufferPointer, _ form: HTTPIngestOptions.Form,
        _ request: HTTPDocumentIngest
    ) {
        switch form {
        case .lines: takeLines(body, request)
        case .array where body.first(where: { !JSONArraySplitter.isSpace($0) }) == 0x5B:
            takeArray(body, request)
        case .array, .document: takeOne(body, request)
        }
    }

    private func takeOne(_ body: UnsafeRawBufferPointer, _ request: HTTPDocumentIngest) {
        let append = appender(for: request.connection)
        do {
            if !isDurable {
                try take(body, by: append, request)
            } else {
                var batch = Batch<Element>()
                try append(body, &batch)
                var record = makeRecord(request.connection.tcp.connectionInfo, request.claim)
                record.append(body)
                offer(.init(party: request, record: record, count: 1, byteCount: body.count))
            }
        } catch {
            request.fail(HTTPProblem(400, "the body is no event: \(error)"), error, at: 0)
        }
    }

    private func takeArray(_ body: UnsafeRawBufferPointer, _ request: HTTPDocumentIngest) {
        var batch = Batch<Element>()
        var record = newRecord(request)
        let append = appender(for: request.connection)
        var splitter = JSONArraySplitter(body)
        var index = 0
        do {
            while let range = try splitter.next() {
                let message = UnsafeRawBufferPointer(rebasing: body[range])
                do {
                    try append(message, &batch)
                } catch {
                    let problem = HTTPProblem(400, "element \(index) is no event: \(error)")
                    request.fail(
                        problem.with("index", .number(index)), error, at: range.lowerBound)
                    return
                }
                record?.append(message)
                index += 1
            }
        } catch {
            let problem = HTTPProblem(400, "the body is no array: \(error.description)")
                .with("index", .number(index))
            request.fail(problem, nil, at: error.offset)
            return
        }
        offer(batch, record, index, body.count, request)
    }

    private func takeLines(_ body: UnsafeRawBufferPointer, _ request: HTTPDocumentIngest) {
        var batch = Batch<Element>()
        var record = newRecord(request)
        let append = appender(for: request.connection)
        var (line, count, start) = (0, 0, 0)
        while start < body.count {
            line += 1
            let end = body[start...].firstIndex(of: 0x0A) ?? body.count
            var message = UnsafeRawBufferPointer(rebasing: body[start..<end])
            if message.last == 0x0D {
                message = UnsafeRawBufferPointer(rebasing: message.dropLast())
            }
            let offset = start
            start = end + 1
            if message.allSatisfy({ JSONArraySplitter.isSpace($0) }) { continue }
            guard message.count <= options.maximumLineLength else {
                let problem = HTTPProblem(
                    413, "line \(line) is above \(options.maximumLineLength) bytes")
                request.fail(problem.with("line", .number(line)), nil, at: offset)
                return
            }
            do {
                try append(message, &batch)
            } catch {
                let problem = HTTPProblem(400, "line \(line) is no event: \(error)")
                request.fail(problem.with("line", .number(line)), error, at: offset)
                return
            }
            record?.append(message)
            count += 1
        }
        offer(batch, record, count, body.count, request)
    }

    /// An empty record; nil in a run without a store.
    private func newRecord(_ request: HTTPDocumentIngest) -> IngestRecord? {
        isDurable ? makeRecord(request.connection.tcp.connectionInfo, request.claim) : nil
    }

    private func offer(
        _ batch: Batch<Element>, _ record: IngestRecord?, _ count: Int, _ byteCount: Int,
        _ request: HTTPDocumentIngest
    ) {
        if count == 0 {
            request.accepted(0)
            return
        }
        offer(
            .init(
                party: request, batch: record == nil ? batch : Batch(), record: record,
                count: count, byteCount: byteCount))
    }
}
