import HTTPTypes

/// Answers a request with a file, read in pieces on libuv's threads as fast as the peer takes them.
final class FolderAnswer: HTTPBodyReceiver {
    private let folder: StaticFolder
    private let names: [String]
    private let request: HTTPRequestHead
    private let loop: Loop
    private var file: ServedFile?
    private var offset = 0
    private var isReading = false
    private var number: UInt64 = 0

    /// Bytes read at once, and the most that waits for the peer.
    static let pieceLength = 256 * 1_024

    init(_ folder: StaticFolder, _ names: [String], _ request: HTTPRequestHead, _ loop: Loop) {
        self.folder = folder
        self.names = names
        self.request = request
        self.loop = loop
    }

    func receive(_ bytes: UnsafeRawBufferPointer, _ connection: HTTPServerConnection) -> Int {
        bytes.count
    }

    func end(_ connection: HTTPServerConnection) {
        number = connection.requestNumber
        let (path, names) = (folder.path, names)
        BlockingWork.run(on: loop) {
            ServedFile(path, names)
        } _: { [self] file in
            guard connection.requestNumber == number else { return }
            if let file = file ?? nil {
                begin(file, connection)
            } else {
                connection.refuse(number, HTTPProblem(404, "there is no such file"))
            }
        }
    }

    private func begin(_ file: ServedFile, _ connection: HTTPServerConnection) {
        var response = HTTPResponse(status: isUnchanged(file) ? .notModified : .ok)
        response.headerFields[.eTag] = file.entityTag
        response.headerFields[.lastModified] = HTTPDate.text(file.modified)
        response.headerFields[.cacheControl] = "no-cache"
        if response.status == .notModified {
            connection.answer(number, HTTPReply(response, body: SharedBytes([])))
            return
        }
        response.headerFields[.contentType] = folder.contentType(of: names.last ?? "")
        response.headerFields[.xContentTypeOptions] = "nosniff"
        connection.writeHead(response, length: file.size)
        if connection.isHEAD || file.size == 0 {
            connection.finishAnswer()
            return
        }
        self.file = file
        connection.beginPieces()
        readOn(connection)
    }

    /// Whether the client has the file already (RFC 9110, 13.1.2 and 13.1.3).
    private func isUnchanged(_ file: ServedFile) -> Bool {
        let tags = request.headers.elements("If-None-Match")
        if !tags.isEmpty {
            return tags.contains { tag in
                tag == "*" || tag == file.entityTag || tag == "W/" + file.entityTag
            }
        }
        guard let date = request.headers["If-Modified-Since"] else { return false }
        return date == HTTPDate.text(file.modified)
    }

    func drained(_ connection: HTTPServerConnection) { readOn(connection) }

    private func readOn(_ connection: HTTPServerConnection) {
        guard let file, !isReading, connection.requestNumber == number else { return }
        if offset == file.size {
            self.file = nil
            connection.finishAnswer()
            return
        }
        isReading = true
        let (offset, count) = (offset, min(Self.pieceLength, file.size - offset))
        BlockingWork.run(on: loop) {
            file.read(at: offset, count: count)
        } _: { [self] piece in
            isReading = false
            guard connection.requestNumber == number else { return }
            guard let piece = piece ?? nil else {
                // The head has promised more than there is: only a cut says so.
                connection.tcp.close()
                return
            }
            self.offset += piece.count
            switch connection.tcp.write(piece) {
            case .sent: readOn(connection)
            case .refused: connection.tcp.writeAnyway(piece)
            case .queued, .closed: break
            }
        }
    }

    func cancelled(_ connection: HTTPServerConnection) { file = nil }
}
