public import HTTPTypes

extension HTTPRequestHead {
    /// The head as the currency type of swift-http-types, for code that is shared with others.
    ///
    /// A header whose value has bytes that are not UTF-8 has them replaced.
    public var request: HTTPRequest {
        var fields = HTTPFields()
        for field in headers.fields {
            guard let name = HTTPField.Name(field.name) else { continue }
            fields.append(HTTPField(name: name, value: field.value))
        }
        return HTTPRequest(
            method: HTTPRequest.Method(method) ?? .get, scheme: nil, authority: headers["Host"],
            path: query.map { "\(path)?\($0)" } ?? path, headerFields: fields)
    }
}
