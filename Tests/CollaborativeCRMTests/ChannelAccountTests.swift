import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Brands and channel accounts")
struct ChannelAccountTests {
  private func department(_ api: TestAPI) async throws -> JSON {
    .string(try await api.behind("SELECT id FROM crm.department ORDER BY code LIMIT 1")[0].decode(UUID.self, "id").uuidString.lowercased())
  }

  @Test("an administrator makes an account; others do not, and see the brand alone")
  func rights() async throws {
    let api = try await TestAPI.suite()
    let brand = try await api.send(
      .post, "/v1/brands", as: "deniz", json: ["code": "carsi", "name": "Çarşı", "contact_line": "Çarşı A.Ş., MERSİS 0123456789012345"])
    #expect(brand.status == 201, "\(brand.text)")
    let body: JSON = [
      "code": "destek", "name": "Destek", "channel": "email", "provider": "smtp_imap", "address": "destek@carsi.example",
      "brand_id": try brand.json()["id"] ?? .null, "department_id": try await department(api), "settings": ["imap": "imap://127.0.0.1:1143"],
    ]
    let account = try await api.send(.post, "/v1/channel_accounts", as: "deniz", json: body)
    #expect(account.status == 201, "\(account.text)")
    let id = try #require(try account.json()["id"]?.string)
    #expect(try await api.send(.patch, "/v1/channel_accounts/\(id)", as: "deniz", json: ["name": "Müşteri desteği"]).status == 200)
    #expect(try await api.send(.get, "/v1/brands", as: "elif").rows().count == 1)
    #expect(try await api.send(.patch, "/v1/channel_accounts/\(id)", as: "ayse", json: ["name": "x"]).status == 403)
    #expect(try await api.send(.post, "/v1/channel_accounts", as: "ayse", json: body).status == 403)
  }

  @Test(
    "an account whose provider, address or settings do not fit is refused",
    arguments: [
      (["provider": "http_sms"], "/provider channel_account_provider_fits"),
      (["address": "destek"], "/address channel_account_address_valid"),
      (["settings": ["smtp_password": "x"]], "/settings channel_account_settings_open"),
      (["code": "Destek!"], "/code channel_account_code_shape"),
    ] as [([String: JSON], String)])
  func refusals(_ change: [String: JSON], _ error: String) async throws {
    let api = try await TestAPI.suite()
    let body: [String: JSON] = [
      "code": "yanlis", "name": "Yanlış", "channel": "email", "provider": "smtp_imap", "address": "a@carsi.example",
      "department_id": try await department(api), "settings": [:],
    ]
    let answer = try await api.send(.post, "/v1/channel_accounts", as: "deniz", json: .object(body.merging(change) { $1 }))
    #expect(answer.status == 422 && answer.fieldErrors.contains(error), "\(answer.text)")
  }
}
