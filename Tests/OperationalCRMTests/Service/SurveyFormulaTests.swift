import MuhatapTestKit
import PostgresClient
import Testing

/// The intervals against published and independently computed values.
@Suite struct SurveyFormulaTests {
  private func pair(_ statement: SQL) async throws -> (Double, Double) {
    let row = try await TestDatabase.suite().admin.execute([statement], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
    return (try row.decode(Double.self, at: 0), try row.decode(Double.self, at: 1))
  }

  @Test(
    "the adjusted Wald interval of a net promoter score is that of Sauro and Lewis (computed with numpy)",
    arguments: [
      (15, 8, 36, -6.280259443326955, 42.17769534076285), (13, 12, 32, -25.95454734143251, 31.668833055718228),
      (0, 0, 5, -30.005697977220684, 30.005697977220684),
      (5, 0, 5, 17.49145303416897, 100), (0, 7, 7, -100, -32.81229806172632), (300, 150, 1000, 10.90742015953233, 19.0028490328904),
    ])
  func promoters(promoters: Int, detractors: Int, answers: Int, lower: Double, upper: Double) async throws {
    let found = try await pair("SELECT i.lower, i.upper FROM analytics.nps_interval(\(promoters), \(detractors), \(answers)) i")
    #expect(abs(found.0 - lower) < 1e-9 && abs(found.1 - upper) < 1e-9, "\(found)")
  }

  @Test(
    "Wilson's interval of a share is as Newcombe (1998, table I) prints it",
    arguments: [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)])
  func published(hits: Int, answers: Int, lower: Double, upper: Double) async throws {
    let found = try await pair("SELECT i.lower, i.upper FROM analytics.share_interval(\(hits), \(answers)) i")
    #expect(abs(found.0 - lower) < 5.1e-5 && abs(found.1 - upper) < 5.1e-5, "\(found)")
  }

  @Test(
    "Wilson's interval of a share is scipy's to twelve digits",
    arguments: [
      (8, 10, 0.4901624715366418, 0.9433178485456248), (0, 10, 0, 0.27753279986288926), (10, 10, 0.7224672001371109, 1),
      (3, 5, 0.23072428127601297, 0.8823792257673521),
    ])
  func exact(hits: Int, answers: Int, lower: Double, upper: Double) async throws {
    let found = try await pair("SELECT i.lower, i.upper FROM analytics.share_interval(\(hits), \(answers)) i")
    #expect(abs(found.0 - lower) < 1e-12 && abs(found.1 - upper) < 1e-12, "\(found)")
  }

  @Test(
    "Student's quantile is scipy's to nine digits, from one degree of freedom to a thousand",
    arguments: [
      (1, 12.706204736174694), (2, 4.302652729749462), (3, 3.1824463052837078), (4, 2.7764451051977934), (5, 2.5705818356363146), (7, 2.364624251592784),
      (10, 2.228138851986274), (29, 2.045229642132703), (30, 2.0422724563012378), (60, 2.0002978220142604), (99, 1.9842169515864174), (100, 1.9839715185235518),
      (101, 1.983731002955606), (250, 1.9694983934211532), (1000, 1.9623390808264083),
    ])
  func student(df: Int, t: Double) async throws {
    let found = try await pair("SELECT analytics.student_quantile(\(df)), 0::float8").0
    #expect(abs(found - t) < 1e-9, "\(found)")
  }

  @Test(
    "a score means what its scale says",
    arguments: [
      ("nps", 0, "detractor"), ("nps", 6, "detractor"), ("nps", 7, "passive"), ("nps", 8, "passive"), ("nps", 9, "promoter"), ("nps", 10, "promoter"),
      ("csat", 2, "dissatisfied"), ("csat", 3, "neutral"), ("csat", 4, "satisfied"), ("ces", 3, "difficult"), ("ces", 5, "neutral"), ("ces", 6, "easy"),
    ])
  func bands(kind: String, score: Int, band: String) async throws {
    let row = try await TestDatabase.suite().admin.execute(
      ["SELECT crm.score_band(\(kind), \(score))"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
    #expect(try row.decode(String.self, at: 0) == band)
  }
}
