import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Attachments")
struct AttachmentTests {
  private static let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + Array(repeating: 7, count: 1_000)

  private func upload(_ api: TestAPI, _ path: String, _ bytes: [UInt8], as person: String, name: String = "Fotoğraf.png") async throws -> TestAPI.Answer {
    try await api.send(
      .post, path + "/attachments", [("name", name)], as: person, body: bytes, headers: ["content-type": "application/octet-stream"], checked: false)
  }

  @Test("a file is stored by its hash, told by its bytes, seen as its conversation, and goes with the answer")
  func roundTrip() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api)
    let mail = try await box.receive(from: "dosya@uzak.example", id: "<d1@x>")
    let path = "/v1/conversations/\(mail.conversation.lowercase)"
    let uploaded = try await upload(api, path, Self.png, as: "zeynep", name: "../../etc/Fotoğraf.png")
    #expect(uploaded.status == 201, "\(uploaded.text)")
    let file = try uploaded.json()
    #expect(file["media_type"] == .string("image/png") && file["name"] == .string("Fotoğraf.png") && file["size"] == .number(1_008))
    let id = try #require(file["id"]?.string)
    let content = try await api.send(.get, "/v1/attachments/\(id)/content", as: "ayse", checked: false)
    #expect(content.bytes == Self.png)
    #expect(content.headers["content-disposition"] == "attachment; filename=\"Foto_raf.png\"; filename*=UTF-8''Foto%C4%9Fraf.png")
    let reply = try await api.send(.post, path + "/reply", as: "zeynep", json: ["text": "Ekte", "attachment_ids": [.string(id)]])
    #expect(reply.status == 200, "\(reply.text)")
    let interaction = try reply.json()["interaction_id"]?.string ?? ""
    let shown = try await api.send(.get, "/v1/interactions/\(interaction)", ["expand": "attachments"], as: "zeynep").json()
    #expect(shown["attachment_count"] == .number(1))
    #expect(shown["attachments"]?.array?.first?["id"] == .string(id))
    #expect(try await api.send(.delete, "/v1/attachments/\(id)", as: "zeynep").problem == "attachment-sent")
    let again = try await api.send(.post, path + "/reply", as: "zeynep", json: ["text": "Yine", "attachment_ids": [.string(id)]])
    #expect(again.status == 422 && again.fieldErrors == ["/attachment_ids reference"])
  }

  @Test("a file of a private conversation is nobody else's; one that was not sent is taken back")
  func rights() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api, settings: ["visibility": "private"], owner: "burak")
    let mail = try await box.receive(from: "mahrem@uzak.example", id: "<m1@x>")
    let path = "/v1/conversations/\(mail.conversation.lowercase)"
    #expect(try await upload(api, path, Self.png, as: "zeynep").status == 404)
    let uploaded = try await upload(api, path, Self.png, as: "burak")
    let id = try #require(try uploaded.json()["id"]?.string)
    #expect(try await api.send(.get, "/v1/attachments/\(id)/content", as: "zeynep", checked: false).status == 404)
    #expect(try await api.send(.get, "/v1/attachments/\(id)", as: "zeynep").status == 404)
    #expect(try await api.send(.delete, "/v1/attachments/\(id)", as: "zeynep").status == 404)
    #expect(try await api.send(.delete, "/v1/attachments/\(id)", as: "burak").status == 204)
    #expect(try await api.send(.get, "/v1/attachments/\(id)", as: "burak").status == 404)
  }

  @Test("programs are refused by their bytes, whatever they are called")
  func programs() async throws {
    let api = try await TestAPI.suite()
    let mail = try await Mailroom.open(api).receive(from: "virus@uzak.example")
    let path = "/v1/interactions/\(mail.interaction.lowercase)"
    let program: [UInt8] = [0x4D, 0x5A, 0x90, 0x00] + Array(repeating: 0, count: 100)
    #expect(try await upload(api, path, program, as: "zeynep", name: "fatura.pdf").problem == "program")
    #expect(try await upload(api, path, Array("BMW teklif listesi".utf8), as: "zeynep", name: "x").json()["media_type"] == .string("text/plain"))
    #expect(try await upload(api, path, Self.png, as: "elif").status == 403)
  }

  @Test(
    "what bytes are is found from the bytes",
    arguments: [
      (Array("%PDF-1.7\n".utf8), "application/pdf"), ([0xFF, 0xD8, 0xFF, 0xE0], "image/jpeg"), (Array("RIFF0000WEBPVP8 ".utf8) + [0], "image/webp"),
      (Array("Merhaba dünya, ğüşiöç".utf8), "text/plain"), (Array("<!DOCTYPE html><p>".utf8), "text/html"), ([0, 1, 2, 3], "application/octet-stream"),
      (
        [0x50, 0x4B, 3, 4] + Array(repeating: 0, count: 26) + Array("[Content_Types].xml....word/document.xml".utf8),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
      ),
      (
        [0x50, 0x4B, 3, 4] + Array(repeating: 0, count: 26) + Array("mimetypeapplication/vnd.oasis.opendocument.textPK".utf8),
        "application/vnd.oasis.opendocument.text"
      ),
      ([0x50, 0x4B, 3, 4] + Array(repeating: 0, count: 40), "application/zip"), (Array("BEGIN:VCALENDAR\r\n".utf8), "text/calendar"),
      (Array("#!/bin/sh\n".utf8), "text/x-shellscript"), (Array("MZ".utf8), "text/plain"), ([], "text/plain"), ([0xC4], "application/octet-stream"),
    ] as [([UInt8], String)])
  func signatures(_ bytes: [UInt8], _ type: String) {
    #expect(MediaType.of(bytes) == type)
  }

  @Test("a file beyond the limit leaves nothing, equal bytes are kept once, and what nothing names is swept")
  func folder() async throws {
    let place = FileManager.default.temporaryDirectory.appending(path: "muhatap-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: place) }
    let files = FileFolder(place, sizeLimit: 1_000)
    await #expect(throws: Problem.self) { try await files.store(Array(repeating: 1, count: 1_001)) }
    let one = try await files.store(Array("aynı".utf8))
    let two = try await files.store(Array("aynı".utf8))
    let other = try await files.store(Array("başka".utf8))
    #expect(one == two && one != other)
    #expect(try await files.bytes(one.sha256) == Array("aynı".utf8))
    #expect(try await files.bytes("../../../etc/passwd") == nil)
    let all = FileManager.default.enumerator(at: place, includingPropertiesForKeys: [.isRegularFileKey])?.allObjects.compactMap { $0 as? URL } ?? []
    #expect(try all.filter { try $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true }.count == 2)
    let keep = one.sha256
    #expect(try await files.sweep(before: Date().addingTimeInterval(-60)) { _ in [] } == 0)
    #expect(try await files.sweep(before: Date().addingTimeInterval(60)) { Set($0).intersection([keep]) } == 1)
    #expect(try await files.bytes(keep) != nil)
    #expect(try await files.bytes(other.sha256) == nil)
  }

  @Test("a large file is streamed up and down over HTTP")
  func streaming() async throws {
    let server = try await TestServer.suite()
    let api = server
    let customer = try await api.send(.post, "/v1/customers", as: "zeynep", json: ["kind": "person", "name": "Büyük Dosya"]).json()["id"] ?? .null
    let thread = try await api.send(.post, "/v1/conversations", as: "zeynep", json: ["customer_id": customer, "channel": "email"]).json()
    let bytes = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let path = "/v1/conversations/\(thread["id"]?.string ?? "")/attachments?name=veri.bin"
    let uploaded = try await api.send(.post, path, as: "zeynep", body: bytes, headers: ["content-type": "application/octet-stream"], checked: false)
    #expect(uploaded.status == 201, "\(uploaded.text)")
    let id = try uploaded.json()["id"]?.string ?? ""
    let content = try await api.send(.get, "/v1/attachments/\(id)/content", as: "zeynep", checked: false)
    #expect(content.status == 200 && content.bytes == bytes)
    let huge = try await api.send(
      .post, path, as: "zeynep", body: Array(repeating: 0, count: 26 << 20), headers: ["content-type": "application/octet-stream"], checked: false)
    #expect(huge.status == 413)
  }
}
