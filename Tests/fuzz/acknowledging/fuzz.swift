/// The first byte chooses what the rest is read as; what is accepted has to be written the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let frame = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
    switch data[0] % 3 {
    case 0: readMessage(frame)
    case 1: readHello(frame)
    default: readAnswer(frame)
    }
    return 0
}

func readMessage(_ frame: UnsafeRawBufferPointer) {
    guard let (sequence, payload) = try? AcknowledgingProtocol.message(frame) else { return }
    precondition((1...AcknowledgingProtocol.maximumSequence).contains(sequence))
    precondition(Array("\(sequence) ".utf8) + Array(payload) == Array(frame))
}

func readHello(_ frame: UnsafeRawBufferPointer) {
    guard let name = try? AcknowledgingProtocol.producer(inHello: frame) else { return }
    precondition(AcknowledgingProtocol.isHello(frame))
    precondition((1...AcknowledgingProtocol.maximumNameLength).contains(name.utf8.count))
    precondition(Array("WEIR-ACK/1 \(name)".utf8) == Array(frame))
}

func readAnswer(_ frame: UnsafeRawBufferPointer) {
    switch try? AcknowledgingProtocol.answer(frame) {
    case .ack(let number): precondition(frame.count >= 5 && number <= UInt64.max)
    case .error(let reason): precondition(reason.utf8.count + 4 >= frame.count)
    case nil: break
    }
}
