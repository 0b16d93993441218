extension WriterStorage {
    @inline(__always)
    mutating func enter(
        _ kind: OpenContainer.Kind, slot: Int, keys: UnsafeMutablePointer<WrittenKeys>?
    ) -> UInt32 {
        if count != slot { isOutOfOrder = true }
        let serial = push(kind, reserved: keys?.pointee.header ?? 2, keys: keys)
        if let keys { open[openCount &- 1].node = keys.pointee.root }
        return serial
    }

    /// Makes the container at a depth the innermost; false if it is no longer open.
    @inline(__always)
    private mutating func resume(_ depth: Int, _ serial: UInt32) -> Bool {
        if openCount > depth &+ 1 { leave(to: depth &+ 1) }
        guard depth < openCount, open[depth].serial == serial else {
            isOutOfOrder = true
            return false
        }
        // A value that was announced and not written may still be.
        if open[depth].slot == count { isOutOfOrder = true }
        return true
    }

    // MARK: Arrays

    /// Gets ready for an element of any type.
    @inline(__always)
    mutating func nextElement(in depth: Int, serial: UInt32) {
        guard resume(depth, serial) else { return }
        if open[depth].run != 0 { endRun(depth) }
        open[depth].count &+= 1
        open[depth].slot = count
    }

    /// Gets ready for an element of a run of numbers; false if it has to be written with its tag.
    @inline(__always)
    mutating func nextElement(ofRun run: UInt8, in depth: Int, serial: UInt32) -> Bool {
        guard resume(depth, serial) else { return false }
        if open[depth].count == 0 { open[depth].run = run }
        if open[depth].run != run {
            if open[depth].run != 0 { endRun(depth) }
            open[depth].count &+= 1
            open[depth].slot = count
            return false
        }
        open[depth].count &+= 1
        return true
    }

    /// Makes a run of numbers, which has got an element of another kind, an array of any values.
    @inline(never)
    private mutating func endRun(_ depth: Int) {
        let run = open[depth].run
        let start = open[depth].start + Int(open[depth].reserved)
        let copy = [UInt8](UnsafeBufferPointer(start: bytes + start, count: count - start))
        open[depth].run = 0
        count = start
        copy.withUnsafeBufferPointer { copy in
            guard let base = copy.baseAddress else { return }
            var offset = 0
            while let element = Token.element(ofRun: run, base, &offset, end: copy.count) {
                write(element)
            }
        }
    }

    private mutating func write(_ element: Token) {
        switch element.kind {
        case .yes: write(true)
        case .no: write(false)
        case .float: write(Float(bitPattern: UInt32(truncatingIfNeeded: element.payload)))
        case .double: write(Double(bitPattern: element.payload))
        case .negative: write(~Int64(bitPattern: element.payload))
        default: write(element.payload)
        }
    }

    // MARK: Keyed containers

    /// Gets ready for the value of a key.
    @inline(__always)
    mutating func nextMember<Key: CodingKey>(_ key: Key, in depth: Int, serial: UInt32) {
        guard resume(depth, serial) else { return }
        if open[depth].count == 0 { start(key, depth) }
        if open[depth].kind == .object {
            let byte = UInt32(WrittenKeys.byte(of: key))
            if let node = shapes.expected(byte, after: open[depth].node) {
                open[depth].node = node
            } else {
                step(byte, depth, key.stringValue)
            }
        } else {
            writeName(key.stringValue, depth)
        }
        open[depth].count &+= 1
        open[depth].slot = count
    }

    @inline(__always)
    private mutating func start<Key: CodingKey>(_ key: Key, _ depth: Int) {
        guard let keys = open[depth].keys else { return }
        if keys.pointee.mode == .unknown { keys.pointee.mode = WrittenKeys.mode(of: key) }
        if keys.pointee.mode != .shape || shapes.isFull { startMap(depth, keys.pointee.mode) }
    }

    private mutating func startMap(_ depth: Int, _ mode: WrittenKeys.Mode) {
        open[depth].kind = .map
        if mode == .names {
            names.append([])
            open[depth].names = Int32(names.count)
        }
    }

    @inline(never)
    private mutating func step(_ byte: UInt32, _ depth: Int, _ name: @autoclosure () -> String) {
        if let node = shapes.step(byte, after: open[depth].node, name: name()) {
            open[depth].node = node
        } else {
            isOutOfOrder = true
        }
    }

    @inline(__always)
    private mutating func writeName(_ name: String, _ depth: Int) {
        let set = Int(open[depth].names)
        if set > 0, !names[set - 1].insert(name).inserted { isOutOfOrder = true }
        var name = name
        name.withUTF8 {
            appendVarint(UInt64($0.count))
            append($0)
        }
    }

    /// Writes that an optional member is nil, if that keeps the shape; else it is left out.
    mutating func skipMember<Key: CodingKey>(_ key: Key, in depth: Int, serial: UInt32) {
        guard resume(depth, serial) else { return }
        if open[depth].count == 0 { start(key, depth) }
        guard open[depth].kind == .object else { return }
        nextMember(key, in: depth, serial: serial)
        append(Tag.absent)
    }

    /// Gets ready for the value of a super class, which has a name of its own.
    mutating func nextSuper(in depth: Int, serial: UInt32) {
        guard resume(depth, serial) else { return }
        if open[depth].count == 0 {
            guard let keys = open[depth].keys, keys.pointee.mode != .unknown else {
                // Keys tell what they are when the value is encoded again by way of a tree.
                isOutOfOrder = true
                return
            }
            if keys.pointee.mode != .shape || shapes.isFull { startMap(depth, keys.pointee.mode) }
        }
        if open[depth].kind == .object {
            // No key of an enum has this number, as that is a byte.
            step(256, depth, "super")
        } else {
            writeName("super", depth)
        }
        open[depth].count &+= 1
        open[depth].slot = count
    }

    /// A keyed container of a tree, whose names are all known: a member of a shape.
    mutating func nextMember(_ name: String, id: UInt32, in depth: Int) {
        leave(to: depth + 1)
        if id == .max { writeName(name, depth) } else { step(id, depth, name) }
        open[depth].count += 1
    }

    // MARK: Ends

    /// Closes containers until so many are left.
    @inline(__always)
    mutating func leave(to depth: Int) {
        while openCount > depth { close() }
    }

    private mutating func close() {
        openCount &-= 1
        let last = open[openCount]
        if last.slot == count { writeEmptyMap() }
        switch last.kind {
        case .object where last.count == 0: writeHeader(Tag.map, 0, last)
        case .object:
            let shape = shapes.shape(at: last.node)
            if shape < Tag.lowShapes {
                fit(1, last)
                set(Tag.lowShape | UInt8(truncatingIfNeeded: shape), at: last.start)
            } else {
                writeHeader(Tag.object, shape, last)
            }
        case .map:
            if last.names > 0, Int(last.names) == names.count { names.removeLast() }
            writeHeader(Tag.map, last.count, last)
        case .array: writeHeader(last.run == 0 ? Tag.array : last.run, last.count, last)
        }
    }

    private mutating func writeHeader(_ tag: UInt8, _ number: Int, _ container: OpenContainer) {
        let number = UInt64(truncatingIfNeeded: number)
        fit(1 + Varint.count(number), container)
        set(tag, at: container.start)
        _ = Varint.write(number, to: bytes + (container.start + 1))
    }

    /// Makes the room for a header as large as it needs to be.
    @inline(__always)
    private mutating func fit(_ size: Int, _ container: OpenContainer) {
        guard size != container.reserved else { return }
        container.keys?.pointee.header = UInt8(truncatingIfNeeded: size)
        shift(from: container.start + Int(container.reserved), by: size - Int(container.reserved))
    }

    mutating func writeEmptyMap() {
        reserve(2)
        append(Tag.map)
        append(0)
    }
}
