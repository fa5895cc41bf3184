/// Changes that were read together, with what they look like to those who listen.
struct ChangeBatch {
  let changes: [LiveChange]
  let size: Int
  /// Places of those asked changes that each audience may read; an audience that was not there when the batch was read has none.
  let decided: [Int: Set<ChangePosition>]
  /// Whether some of its changes cannot be shown to an audience that is not in `decided`.
  let needsDecisions: Bool
  /// What each group is told of it, written once for all of its clients.
  var written: [Int: [UInt8]] = [:]

  init(changes: [LiveChange], decided: [Int: Set<ChangePosition>], needsDecisions: Bool) {
    self.changes = changes
    self.decided = decided
    self.needsDecisions = needsDecisions
    size = changes.reduce(0) { $0 + $1.json.count + 512 }
  }

  var last: ChangePosition { changes[changes.count - 1].position }
}

/// Clients that are told the same: one audience, one filter, one form.
struct LiveGroup {
  struct Key: Hashable {
    let audience: Int
    let resources: Set<String>?
    let record: String?
    let form: LiveForm
    /// A client whose content is its own is in a group alone.
    let alone: Int?
  }

  let key: Key
  let audience: Int
  let caller: Caller
  let wish: LiveWish
  let form: LiveForm
  var members = 0

  /// The changes behind a place, as this group is told of them.
  func write(_ changes: some Sequence<LiveChange>, decided: Set<ChangePosition>, visibility: RowVisibility, after: ChangePosition?) -> [UInt8] {
    var bytes: [UInt8] = []
    for change in changes where wish.concerns(change) {
      if let after, change.position <= after { continue }
      if let content = wish.content {
        if let json = content(change) { form.write(json, cursor: change.cursor, to: &bytes) }
      } else if visibility.shows(change, to: caller, decided: decided) {
        form.write(change.json, cursor: change.cursor, to: &bytes)
      }
    }
    return bytes
  }
}

/// Callers who see the same rows: the same user with the same reach.
struct LiveAudience: Hashable {
  let identity: Caller.Identity
  let reach: [Area: Caller.Reach]

  init(_ caller: Caller) {
    identity = caller.identity
    reach = caller.reach
  }
}
