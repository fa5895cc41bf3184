import CRMCore
import PostgresClient

/// What the models say of each customer, so that rules can ask for it as for a field: `standing.tier`, `lifetime.p_alive`, `rfm.segment`. Of several value
/// models the default one answers; of several rows otherwise, one has to fit. The columns are those of the catalogue.
struct ModelOutput {
  let name: String
  let column: String

  /// The relations that hold what models last said, one row a customer and model.
  private static let relations = [
    "standing": "analytics.value_now", "lifetime": "analytics.lifetime_now", "rfm": "analytics.rfm_now", "phase": "crm.customer_phase", "offer": "crm.customer_offer",
  ]
  /// What is asked for most, by one word.
  private static let words = ["tier": "standing.tier", "p_alive": "lifetime.p_alive", "clv": "lifetime.clv"]

  /// Nil when the path is a field of the customer or of a neighbour.
  init?(_ path: FieldPath) {
    let names = path.names.count == 1 ? FieldPath(Self.words[path.names[0]] ?? "").names : path.names
    guard names.count == 2, Self.relations[names[0]] != nil else { return nil }
    name = names[0]
    column = names[1]
  }

  /// `FROM` and the beginning of `WHERE` for the output's rows `o`, and the column.
  func column(in compiler: QueryCompiler, _ path: FieldPath) throws(Problem) -> (rows: SQL, column: Catalogue.Column) {
    let candidates = Self.relations[name].flatMap { compiler.model.catalogue.tables[$0] }
    guard let table = candidates, let found = table.column(column), table.column("customer_id") != nil else {
      throw .unknownField(path, of: name, at: path.pointer, candidates: candidates?.columns.map(\.name) ?? [])
    }
    return (table.column("is_default") == nil ? "\(table.sql) o WHERE" : "\(table.sql) o WHERE o.is_default AND", found)
  }
}
