@testable import PostgresClient
import Testing

@Suite struct StatementSplitterTests {
  @Test(arguments: [
    ("", []),
    ("  -- nothing; here\n /* nor ; /* here; */ ; */ ; ", []),
    ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
    (
      "SELECT ';', 'it''s;', \"a;b\" ;SELECT E'\\';'; SELECT 'a\\'; SELECT 3",
      ["SELECT ';', 'it''s;', \"a;b\" ", "SELECT E'\\';'", "SELECT 'a\\'", "SELECT 3"]
    ),
    ("DO $$ BEGIN x; END $$; DO $a$ $$;$$ $a$; SELECT a$1$, $1;", ["DO $$ BEGIN x; END $$", "DO $a$ $$;$$ $a$", "SELECT a$1$, $1"]),
    (
      "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
      ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"]
    ),
  ])
  func `statements end at semicolons outside of quotes, comments and parentheses`(text: String, statements: [String]) {
    #expect(StatementSplitter.split(text).map(\.text) == statements)
  }

  @Test func `a statement knows the line it begins on`() {
    #expect(StatementSplitter.split("-- one\nSELECT 1;\n\n\nSELECT\n4;").map(\.line) == [2, 5])
  }
}
