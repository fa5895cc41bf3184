import MuhatapTestKit
import PostgresClient
import Testing

/// The database's own functions for Turkish text and identifiers. The numbers were generated with python-stdnum; they belong to nobody.
@Suite struct TextFunctionTests {
  private func value(_ sql: SQL) async throws -> String {
    let pool = try await TestDatabase.suite().app
    return try await pool.execute([sql], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0].decode(String.self, at: 0)
  }

  @Test(arguments: [
    ("İSTANBUL", "istanbul"), ("ISPARTA", "isparta"), ("ısparta", "isparta"), ("Iğdır", "igdir"), ("ŞİŞLİ   Çağ", "sisli cag"), ("  Straße ", "strasse"),
    ("Σίσυφος", "σισυφοσ"), ("ﬁnal", "final"), ("Kâzım", "kazim"), ("I\u{0307}zmir", "izmir"), ("O\u{0308}mer", "omer"),
  ])
  func `a search key makes İ I ı i alike, and marks and case nothing`(_ text: String, _ key: String) async throws {
    #expect(try await value("SELECT crm.search_key(\(text))") == key)
  }

  @Test(arguments: [
    "62601815964", "28609139020", "72819482124", "47865797508", "67491186248", "65979711432", "17529170350", "78426846588", "89244026892", "96666176074",
  ])
  func `a TCKN has the right check digits`(_ number: String) async throws {
    #expect(try await value("SELECT crm.valid_tckn(\(number))::text") == "true")
    let wrong = String(number.dropLast()) + (number.hasSuffix("9") ? "0" : "9")
    #expect(try await value("SELECT crm.valid_tckn(\(wrong))::text") == "false")
  }

  @Test(arguments: [
    "0830166136", "9960308245", "9935181908", "4323194877", "5276018955", "7104974654", "4236671271", "6321223305", "5995289075", "3137215908",
  ])
  func `a VKN has the right check digit`(_ number: String) async throws {
    #expect(try await value("SELECT crm.valid_vkn(\(number))::text") == "true")
    let wrong = String(number.dropLast()) + (number.hasSuffix("9") ? "0" : "9")
    #expect(try await value("SELECT crm.valid_vkn(\(wrong))::text") == "false")
  }

  @Test(arguments: ["", "abc", "00000000000", "0000000000", "12345678901", "01234567890", "１２３４５６７８９０"])
  func `what is no number is neither`(_ text: String) async throws {
    #expect(try await value("SELECT (crm.valid_tckn(\(text)) OR crm.valid_vkn(\(text)))::text") == "false")
  }

  @Test(arguments: [
    ("TR330006100519786457841326", true), ("TR330006100519786457841327", false), ("GB82WEST12345698765432", true), ("DE89370400440532013000", true),
    ("TR33 0006 1005", false), ("TR3300061005197864578413", false), ("", false),
  ])
  func `an IBAN is checked by its remainder, a Turkish one also by its length`(_ iban: String, _ valid: Bool) async throws {
    #expect(try await value("SELECT crm.valid_iban(\(iban))::text") == "\(valid)")
  }

  @Test(arguments: [
    ("+905321234567", true), ("+14155552671", true), ("05321234567", false), ("+0532", false), ("+90532 123 45 67", false), ("+1234567890123456", false),
  ])
  func `telephone numbers are E.164`(_ number: String, _ valid: Bool) async throws {
    #expect(try await value("SELECT crm.valid_e164(\(number))::text") == "\(valid)")
  }

  @Test func `ids are UUIDs version 7, in bulk ascending`() async throws {
    #expect(try await value("SELECT (crm.uuid_v7()::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]')::text") == "true")
    #expect(
      try await value(
        """
        SELECT (array_agg(id ORDER BY n) = array_agg(id ORDER BY id) AND bool_and(id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]'))::text
        FROM (SELECT n, crm.uuid_v7_member(h.head, n) AS id FROM (SELECT crm.uuid_v7_head() AS head OFFSET 0) h, generate_series(1, 1000000, 997) n) made
        """) == "true")
  }
}
