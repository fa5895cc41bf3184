import Foundation
import PostgresClient

/// Streams a file into staging: unpacked if need be, cut into records, and copied piece by piece, each in a transaction of its own,
/// so that a slow sender holds no connection and memory stays bounded. What cannot be taken apart goes into the error file.
struct ImportStaging {
  let database: Database
  let id: UUID
  let caller: Caller
  let mapping: ImportMapping
  /// Called with the names of the file's columns before anything is stored; throws a problem when the mapping does not fit them.
  let check: @Sendable ([String]) async throws -> Void
  let progress: @Sendable (_ rows: Int) async -> Void

  private static let piecesInFlight = 2

  private struct Target: Sendable {
    let table: SQL
    let columns: [Identifier]
    let names: [String]
    let delimiter: UInt8
    let isJSON: Bool
  }

  /// - Returns: whether two of the file's rows may be the same in every column.
  func run(_ source: some AsyncSequence<[UInt8], any Error>) async throws -> Bool {
    var input = try UnpackedInput()
    var text = TextInput(mapping.encoding)
    var opening: [UInt8] = []
    var scanner: RecordScanner?
    var target: Target?
    return try await withThrowingTaskGroup(of: Void.self) { group in
      var inFlight = 0
      func send(_ piece: [UInt8], _ records: Int, _ bytes: Int, _ unclosed: [RecordScanner.Unclosed], _ target: Target) async throws {
        if inFlight >= Self.piecesInFlight {
          try await group.next()
          inFlight -= 1
        }
        inFlight += 1
        group.addTask { try await store(piece, records, bytes, unclosed, target) }
      }
      func flush() async throws {
        guard let target, let taken = scanner?.take(), let unclosed = scanner?.takeUnclosed() else { return }
        if taken.records > 0 || !unclosed.isEmpty { try await send(taken.piece, taken.records, taken.piece.count, unclosed, target) }
        await progress((scanner?.rowNumber ?? 1) - 1)
      }
      func take(_ bytes: [UInt8]) async throws {
        if scanner == nil {
          opening += bytes
          guard let begun = try await begin(&opening, atEnd: false) else { return }
          (target, scanner) = begun
          scanner?.scan(opening)
          opening = []
        } else {
          scanner?.scan(bytes)
        }
        if scanner?.isFull == true { try await flush() }
      }
      do {
        for try await compressed in source {
          input.feed(compressed)
          while let bytes = try input.next() { try await take(text.read(bytes)) }
        }
        try input.finish()
        try await take(text.finish())
      } catch is Gunzip.Damaged {
        throw Problem(
          422, "damaged-file", Phrase("The gzip file is damaged or incomplete.", tr: "Gzip dosyası bozuk ya da eksik."))
      }
      if scanner == nil {
        guard let begun = try await begin(&opening, atEnd: true) else { throw Self.empty }
        (target, scanner) = begun
        scanner?.scan(opening)
      }
      scanner?.finish()
      try await flush()
      try await group.waitForAll()
      return scanner?.mayRepeat ?? true
    }
  }

  private static let empty = Problem(422, "empty-file", Phrase("The file is empty.", tr: "Dosya boş."))

  /// Reads the header, holds the mapping against it and makes the staging tables; nil while the header has not come whole.
  /// Leaves in `opening` what follows the header.
  private func begin(_ opening: inout [UInt8], atEnd: Bool) async throws -> (Target, RecordScanner)? {
    guard let first = opening.first(where: { $0 != 0x20 && $0 != 0x0a && $0 != 0x0d }) else { return nil }
    if first == UInt8(ascii: "{") {
      let names = mapping.usedColumns
      return (try await make(names, delimiter: 0x02, isJSON: true), RecordScanner(delimiter: 0x02, quote: nil, firstRow: 1))
    }
    if let names = mapping.columns {
      let delimiter = mapping.delimiter?.utf8.first ?? DelimitedRecord.delimiter(ofHeader: opening.prefix { $0 != 0x0a })
      return (
        try await make(names, delimiter: delimiter, isJSON: false),
        RecordScanner(delimiter: delimiter, quote: UInt8(ascii: "\""), firstRow: 1)
      )
    }
    guard let end = Self.endOfRecord(opening) ?? (atEnd ? opening.count : nil) else {
      if opening.count > 1 << 20 {
        throw Problem(
          422, "no-header",
          Phrase("The first line is no header: it is longer than a mebibyte.", tr: "İlk satır bir başlık değil: bir mebibayttan uzun."))
      }
      return nil
    }
    var header = opening[..<end]
    if header.last == 0x0d { header.removeLast() }
    let delimiter = mapping.delimiter?.utf8.first ?? DelimitedRecord.delimiter(ofHeader: header)
    guard let names = try? DelimitedRecord(header, delimiter: delimiter).fields.map({ $0.trimmingCharacters(in: .whitespaces) }) else {
      throw Problem(
        422, "bad-header",
        Phrase(
          "The header is not valid \(mapping.encoding.rawValue) text with closed quotes.",
          tr: "Başlık, tırnakları kapalı geçerli bir \(mapping.encoding.rawValue) metni değil."))
    }
    opening.removeSubrange(..<min(end + 1, opening.count))
    return (
      try await make(names, delimiter: delimiter, isJSON: false),
      RecordScanner(delimiter: delimiter, quote: UInt8(ascii: "\""), firstRow: 2)
    )
  }

  private static func endOfRecord(_ bytes: [UInt8]) -> Int? {
    var isQuoted = false
    for (index, byte) in bytes.enumerated() {
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() } else if byte == 0x0a, !isQuoted { return index }
    }
    return nil
  }

  private func make(_ names: [String], delimiter: UInt8, isJSON: Bool) async throws -> Target {
    try await check(names)
    let id = id
    return try await database.transaction(as: caller, lane: .jobs, deadline: .after(.seconds(30))) { tx in
      try await tx.run("SELECT crm.make_file_staging(\(id), \(names.count))")
      try await tx.run("DELETE FROM crm.import_error WHERE import_id = \(id)")
      try await tx.run(
        """
        UPDATE crm.import SET status = 'uploading', step = NULL, file_columns = \(names), bytes_read = 0, rows_read = 0, rows_staged = 0,
          rows_refused = 0, problem = NULL, summary = NULL, updated_at = now() WHERE id = \(id)
        """)
      let tables = try await tx.one(ImportTables.self, ImportTables.names(of: id))
      let columns = try await tx.result(ImportTables.columns(of: id)).rows.map { try $0.decode(Identifier.self, at: 0) }
      return Target(table: tables.file, columns: columns, names: names, delimiter: delimiter, isJSON: isJSON)
    }
  }

  // MARK: Pieces

  private func store(_ piece: [UInt8], _ records: Int, _ bytes: Int, _ unclosed: [RecordScanner.Unclosed], _ target: Target) async throws {
    let faults = unclosed.map { RowFault(row: $0.rowNumber, .quotes, value: $0.start) }
    do {
      try await write(piece, staged: records, read: records + faults.count, bytes, faults, target)
    } catch let error as PostgresError where error.sqlState?.hasPrefix("22") == true {
      // PostgreSQL stops at the first record it cannot take apart; the slow way finds them all.
      let (good, bad) = RowFault.sort(piece, delimiter: target.delimiter, width: target.columns.count, isJSON: target.isJSON, encoding: mapping.encoding)
      try await write(good, staged: records - bad.count, read: records + faults.count, bytes, faults + bad, target)
    }
  }

  private func write(_ piece: [UInt8], staged: Int, read: Int, _ bytes: Int, _ faults: [RowFault], _ target: Target) async throws {
    let id = id
    try await database.transaction(as: caller, lane: .jobs, deadline: .after(.seconds(120))) { tx in
      if staged > 0 { try await copy(piece, target, tx) }
      for fault in faults {
        try await tx.run(
          """
          INSERT INTO crm.import_error (import_id, phase, row_number, value, code, reason_en, reason_tr)
          VALUES (\(id), 'file', \(fault.row), \(fault.value), \(fault.fault.code), \(fault.fault.reason.english), \(fault.fault.reason.turkish))
          """)
      }
      try await tx.run(
        """
        UPDATE crm.import SET bytes_read = bytes_read + \(bytes), rows_read = rows_read + \(read), rows_staged = rows_staged + \(staged),
          rows_refused = rows_refused + \(faults.count), updated_at = now() WHERE id = \(id)
        """)
    }
  }

  private func copy(_ piece: [UInt8], _ target: Target, _ tx: PostgresTransaction) async throws {
    let columns: SQL = target.columns.map { "\($0)" as SQL }.joined(separator: ", ")
    let statement: SQL
    if target.isJSON {
      try await tx.run("CREATE TEMPORARY TABLE import_line (row_number bigint, line text) ON COMMIT DROP")
      statement = "COPY pg_temp.import_line FROM STDIN WITH (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')"
    } else {
      let into: SQL = "COPY \(target.table) (row_number, \(columns)) FROM STDIN WITH (FORMAT csv, FORCE_NULL (\(columns)), DELIMITER "
      switch target.delimiter {
      case UInt8(ascii: ";"): statement = into + "';')"
      case UInt8(ascii: "\t"): statement = into + "E'\\t')"
      case UInt8(ascii: "|"): statement = into + "'|')"
      default: statement = into + "',')"
      }
    }
    _ = try await tx.copyIn(statement) { writer in
      for start in stride(from: 0, to: piece.count, by: 64 << 10) {
        try await writer.write(Array(piece[start..<min(start + (64 << 10), piece.count)]))
      }
    }
    if target.isJSON {
      let values: SQL = target.names.map { ", j.line ->> \($0)::text" as SQL }.joined(separator: "")
      try await tx.run(
        """
        INSERT INTO \(target.table) (row_number, \(columns)) SELECT j.row_number\(values)
        FROM (SELECT l.row_number, l.line::jsonb AS line FROM pg_temp.import_line l OFFSET 0) j
        """)
    }
  }
}
