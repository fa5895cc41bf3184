import Configuration
import Foundation

/// Reads keys of the configuration from where they may be set, remembers where each came from, and collects every mistake.
struct SettingsReader {
  /// One key, for `muhatap config` and for messages.
  struct Entry: Sendable {
    let key: String
    let type: String
    let meaning: String
    let fallback: String?
    let isSecret: Bool
    let value: String?
    /// `flag`, `environment`, `file` or `default`; nil when it is not set at all.
    let source: String?

    /// The environment variable that sets it.
    var variable: String { SettingsReader.variable(key) }
  }

  private let sources: [(name: String, provider: any ConfigProvider)]
  private(set) var entries: [Entry] = []
  private(set) var mistakes: [String] = []

  /// - Parameters:
  ///   - flags: `key=value`, which win over all else.
  ///   - file: the path of a JSON file, used where neither flag nor environment says anything.
  init(flags: [String], environment: [String: String], file: String?) async throws {
    var flagged: [AbsoluteConfigKey: ConfigValue] = [:]
    for flag in flags {
      guard let equals = flag.firstIndex(of: "=") else {
        mistakes.append("--set \(flag): write it as key=value")
        continue
      }
      let key = String(flag[..<equals])
      flagged[AbsoluteConfigKey(ConfigKey(key))] = ConfigValue(.string(String(flag[flag.index(after: equals)...])), isSecret: true)
      givenNames.append((key, "--set \(key)"))
    }
    // The variable that PostgreSQL programs share has no prefix.
    var environment = environment
    if let shared = environment["DATABASE_URL"], environment["MUHATAP_DATABASE_URL"] == nil { environment["MUHATAP_DATABASE_URL"] = shared }

    var sources: [(String, any ConfigProvider)] = [
      ("flag", InMemoryProvider(name: "flags", values: flagged)),
      ("environment", EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "muhatap")),
    ]
    if let file = file ?? environment["MUHATAP_CONFIG"] {
      let place = ConfigReader(provider: InMemoryProvider(values: ["filePath": ConfigValue(.string(file), isSecret: false)]))
      do {
        sources.append(("file", try await FileProvider<JSONSnapshot>(config: place)))
      } catch {
        mistakes.append("\(file): cannot be read as a JSON file (\(error))")
      }
    }
    self.sources = sources
    givenNames += environment.keys.filter { $0.hasPrefix("MUHATAP_") && $0 != "MUHATAP_CONFIG" }.sorted().map { ($0, $0) }
  }

  /// What was set, as a key or a variable, and how to name it in a message: to find misspelt names.
  private var givenNames: [(name: String, shown: String)] = []

  /// Every mistake in what was read, and every name that means nothing.
  func allMistakes() -> [String] {
    let known = Set(entries.map(\.key) + entries.map(\.variable))
    return mistakes
      + givenNames.filter { !known.contains($0.name) }.map { "\($0.shown): there is no such setting; `muhatap config` lists them all" }
  }

  // MARK: Reading

  mutating func text(_ key: String, default fallback: String? = nil, secret: Bool = false, _ meaning: String) -> String? {
    read(key, .string, "text", fallback, secret, meaning) { $0 }
  }

  mutating func text(_ key: String, default fallback: String, _ meaning: String) -> String {
    read(key, .string, "text", fallback, false, meaning) { $0 } ?? fallback
  }

  mutating func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>, _ meaning: String) -> Int {
    read(key, .int, "\(range.lowerBound) to \(range.upperBound)", "\(fallback)", false, meaning) { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    } ?? fallback
  }

  mutating func truth(_ key: String, default fallback: Bool, _ meaning: String) -> Bool {
    read(key, .bool, "true or false", "\(fallback)", false, meaning) { Bool($0) } ?? fallback
  }

  mutating func choice<Value: RawRepresentable & CaseIterable>(_ key: String, default fallback: Value, _ meaning: String) -> Value
  where Value.RawValue == String {
    let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
    return read(key, .string, names, fallback.rawValue, false, meaning) { Value(rawValue: $0) } ?? fallback
  }

  /// Says that a key has to be set; `reason` names who asks for it.
  mutating func demand(_ key: String, _ reason: String) {
    guard let entry = entries.first(where: { $0.key == key }), entry.value == nil else { return }
    mistakes.append("\(entry.variable) is not set: \(reason)")
  }

  /// Records what is wrong with a key's value beyond its type.
  mutating func object(_ key: String, _ mistake: String) { mistakes.append("\(Self.variable(key)) \(mistake)") }

  private mutating func read<Value>(
    _ key: String, _ type: ConfigType, _ typeName: String, _ fallback: String?, _ secret: Bool, _ meaning: String, _ parse: (String) -> Value?
  ) -> Value? {
    var found: (text: String, source: String)?
    for (name, provider) in sources {
      do {
        // Flags are text whatever the key's type.
        let lookup = try provider.value(forKey: AbsoluteConfigKey(ConfigKey(key)), type: name == "flag" ? .string : type)
        if let text = lookup.value?.content.text {
          found = (text, name)
          break
        }
      } catch {
        mistakes.append("\(Self.variable(key)) (from \(name)) has to be \(typeName)")
      }
    }
    var value: Value?
    if let (text, source) = found {
      value = parse(text)
      if value == nil {
        mistakes.append("\(Self.variable(key)) (from \(source)) has to be \(typeName)\(secret ? "" : ", not “\(text)”")")
      }
    }
    entries.append(
      Entry(
        key: key, type: typeName, meaning: meaning, fallback: fallback, isSecret: secret, value: found?.text ?? fallback,
        source: found?.source ?? (fallback == nil ? nil : "default")))
    return value
  }

  /// `http.publicAddress` is set by MUHATAP_HTTP_PUBLIC_ADDRESS.
  static func variable(_ key: String) -> String {
    let words = key.replacing(".", with: "_").reduce(into: "") { $0 += $1.isUppercase ? "_\($1)" : "\($1)" }
    return "MUHATAP_" + words.uppercased()
  }
}

extension ConfigContent {
  fileprivate var text: String? {
    switch self {
    case .string(let value): value
    case .int(let value): "\(value)"
    case .bool(let value): "\(value)"
    case .double(let value): "\(value)"
    default: nil
    }
  }
}
