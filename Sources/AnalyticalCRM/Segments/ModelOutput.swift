import CRMCore
import PostgresClient

/// What the models say of each customer, so that rules can ask for it as for a field: `standing.tier`, `lifetime.p_alive`, `rfm.segment`, `consent.email`. Of several value
/// models the default one answers; of several rows otherwise, one has to fit. The columns are those of the catalogue.
struct ModelOutput {
  let name: String
  let column: String

  /// The relations that hold what models last said, one row a customer and model.
  private static let relations = [
    "standing": "crm.customer_standing", "lifetime": "analytics.lifetime_now", "rfm": "analytics.rfm_now", "phase": "crm.customer_phase",
    "offer": "crm.customer_offer", "consent": "analytics.consent_now",
  ]
  /// What is asked for most, by one word.
  private static let words = ["tier": "standing.tier", "p_alive": "lifetime.p_alive", "clv": "lifetime.clv"]

  /// The value model that answers when nobody names another.
  private static let defaultModel: SQL = """
    (SELECT v.id FROM crm.value_model v WHERE v.is_default AND v.active AND v.department_id IS NULL AND crm.business_day(now()) BETWEEN v.valid_from AND coalesce(v.valid_until, 'infinity')
    ORDER BY v.revision DESC LIMIT 1)
    """

  /// Nil when the path is a field of the customer or of a neighbour.
  init?(_ path: FieldPath) {
    let names = path.names.count == 1 ? FieldPath(Self.words[path.names[0]] ?? "").names : path.names
    guard names.count == 2, Self.relations[names[0]] != nil else { return nil }
    name = names[0]
    column = names[1]
  }

  /// Whether the rows are stored by customer, so that asking for them costs next to nothing; the others are worked out in a view.
  var isStored: Bool { Self.relations[name]?.hasPrefix("crm.") == true }

  /// `FROM` and the beginning of `WHERE` for the output's rows `o`, and the column.
  func column(in compiler: QueryCompiler, _ path: FieldPath) throws(Problem) -> (rows: SQL, column: Catalogue.Column) {
    let candidates = Self.relations[name].flatMap { compiler.model.catalogue.tables[$0] }
    guard let table = candidates, let found = table.column(column), table.column("customer_id") != nil else {
      throw .unknownField(path, of: name, at: path.pointer, candidates: candidates?.columns.map(\.name) ?? [])
    }
    let rows: SQL = "\(table.sql) o WHERE"
    return (table.column("model_id") == nil ? rows : rows + " o.model_id = " + Self.defaultModel + " AND", found)
  }
}
