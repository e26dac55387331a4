internal import Vocabulary

/// Reads and checks what of a snapshot is not memory.
struct SnapshotOpening {
    struct Content {
        var version: UInt32
        var memoryByteCount: UInt64
        var createdNanoseconds: UInt64?
        var compression: SnapshotCompression
        var sections: [SnapshotSection]
        var manifest: [UInt8]
        var runs: [SnapshotRun]
    }

    let source: any SnapshotBytes

    func content() throws(XError) -> Content {
        let size = source.byteCount
        guard size >= 16 else { throw mistake("it is no snapshot") }
        let bytes = try read(0, min(UInt64(SnapshotFormat.headerByteCount), size))
        guard bytes.little(0, UInt64.self) == SnapshotFormat.magic else {
            throw mistake("it is no snapshot")
        }
        switch bytes.little(8, UInt32.self) {
        case 1: return try content1(bytes)
        case 2: return try content2(bytes)
        case let version:
            throw mistake(
                "it is of version \(version), and this Martlet reads 1 to \(SnapshotFormat.version); "
                    + "use a newer one")
        }
    }

    private func content2(_ bytes: [UInt8]) throws(XError) -> Content {
        let (found, reason) = SnapshotHeader.parse(bytes)
        guard let header = found, let data = header.section(.memoryData),
            let table = header.section(.memoryTable), let manifest = header.section(.manifest)
        else { throw mistake(reason) }
        guard source.byteCount >= header.fileByteCount else {
            throw mistake(
                "it has \(source.byteCount) of its \(header.fileByteCount) bytes, the rest was cut "
                    + "off; take another copy")
        }
        let largest = UInt64(
            SnapshotFormat.chunkCount(of: header.memoryByteCount)
                * SnapshotRun.byteCountInTable)
        guard table.byteCount <= largest else { throw damaged(table) }
        let runs = try self.runs(try read(table), header.memoryByteCount, data)
        guard let runs else { throw damaged(table) }
        return Content(
            version: 2, memoryByteCount: header.memoryByteCount,
            createdNanoseconds: header.createdNanoseconds == 0 ? nil : header.createdNanoseconds,
            compression: header.compression, sections: header.sections,
            manifest: try read(manifest), runs: runs)
    }

    /// The runs of a table; nil if it makes no sense.
    private func runs(
        _ table: [UInt8], _ memoryByteCount: UInt64, _ data: SnapshotSection
    ) throws(XError) -> [SnapshotRun]? {
        guard table.count.isMultiple(of: SnapshotRun.byteCountInTable) else { return nil }
        var runs: [SnapshotRun] = []
        runs.reserveCapacity(table.count / SnapshotRun.byteCountInTable)
        let chunkCount = SnapshotFormat.chunkCount(of: memoryByteCount)
        var (chunk, offset) = (0, data.offset)
        // A machine waits for this: 65,536 runs for each 4 GiB.
        let makesSense = unsafe table.withUnsafeBytes { table in
            for place in stride(from: 0, to: table.count, by: SnapshotRun.byteCountInTable) {
                guard let run = unsafe SnapshotRun(table, at: place), run.encoding != .chunk,
                    Int(run.chunk) >= chunk, Int(run.chunk) < chunkCount
                else { return false }
                let all = SnapshotFormat.pages(
                    ofChunk: Int(run.chunk), memoryByteCount: memoryByteCount)
                guard run.pages != 0, run.pages & ~all == 0, run.byteCount > 0,
                    run.offset >= offset, run.offset <= data.end,
                    UInt64(run.byteCount) <= data.end - run.offset
                else { return false }
                if run.encoding == .zstd {
                    guard Int(run.byteCount) < run.expandedByteCount else { return false }
                } else {
                    guard Int(run.byteCount) == run.expandedByteCount,
                        run.offset.isMultiple(of: UInt64(SnapshotFormat.pageByteCount))
                    else { return false }
                }
                (chunk, offset) = (Int(run.chunk) + 1, run.offset + UInt64(run.byteCount))
                runs.append(run)
            }
            return true
        }
        return makesSense ? runs : nil
    }

    private func content1(_ bytes: [UInt8]) throws(XError) -> Content {
        guard bytes.count == SnapshotFormat.headerByteCount, let header = SnapshotHeader1(bytes)
        else { throw mistake("its header is damaged; take another copy") }
        func section(
            _ tag: SnapshotSection.Tag, _ offset: UInt64, _ byteCount: UInt64, _ checksum: UInt32
        ) -> SnapshotSection {
            SnapshotSection(
                tag: tag, isOptional: false, offset: offset, byteCount: byteCount,
                checksum: UInt64(checksum))
        }
        let table = section(
            .memoryTable, header.tableOffset, header.tableByteCount, header.tableChecksum)
        let manifest = section(
            .manifest, header.manifestOffset, header.manifestByteCount, header.manifestChecksum)
        let runs = header.runs(try read(table, version: 1))
        guard let runs else { throw damaged(table) }
        return Content(
            version: 1, memoryByteCount: header.memoryByteCount, createdNanoseconds: nil,
            compression: .zstd, sections: [table, manifest],
            manifest: try read(manifest, version: 1), runs: runs)
    }

    // MARK: Reading

    /// All of a section whose checksum is right.
    func read(_ section: SnapshotSection, version: Int = 2) throws(XError) -> [UInt8] {
        guard section.offset <= source.byteCount,
            section.byteCount <= source.byteCount - section.offset
        else { throw damaged(section) }
        let bytes = try read(section.offset, section.byteCount)
        let sum =
            version == 1
            ? UInt64(SnapshotFormat.checksum1(bytes)) : SnapshotFormat.checksum(bytes)
        guard sum == section.checksum else { throw damaged(section) }
        return bytes
    }

    /// So many bytes, which the source says it has.
    private func read(_ offset: UInt64, _ byteCount: UInt64) throws(XError) -> [UInt8] {
        var failure: XError?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Int(clamping: byteCount)) {
            buffer, count in
            do throws(XError) {
                let room = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[..<Int(clamping: byteCount)])
                try unsafe source.read(at: offset, into: room)
                count = room.count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private func mistake(_ what: String) -> XError {
        XError(.invalidFormat, "cannot use the snapshot '\(source.name)': \(what)")
    }

    func damaged(_ section: SnapshotSection) -> XError {
        let last = section.end &- (section.byteCount > 0 ? 1 : 0)
        return mistake(
            "its section '\(section.tag)', byte \(section.offset) to \(last), is damaged; take "
                + "another copy")
    }
}

extension SnapshotRun {
    /// The run of a table of version 2 at a place, where all of it lies in the table; nil: its encoding is none.
    fileprivate init?(_ table: UnsafeRawBufferPointer, at place: Int) {
        func word<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T {
            // SAFETY: within the run, which is within the table.
            unsafe T(littleEndian: table.loadUnaligned(fromByteOffset: place + offset, as: T.self))
        }
        guard let encoding = Encoding(rawValue: word(26, UInt16.self)) else { return nil }
        self = SnapshotRun(
            chunk: word(0, UInt32.self), byteCount: word(4, UInt32.self),
            offset: word(8, UInt64.self), checksum: word(16, UInt64.self),
            pages: word(24, UInt16.self), encoding: encoding)
    }
}
