extension String {
    /// The text as one that breaks neither a line of a log nor its bounds: at most 128 bytes, without control characters.
    package var visible: String {
        var result = ""
        for scalar in unicodeScalars {
            let isVisible = scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
            let next: Unicode.Scalar = isVisible ? scalar : "?"
            if result.utf8.count + String(next).utf8.count > 128 { break }
            result.unicodeScalars.append(next)
        }
        return result
    }
}
