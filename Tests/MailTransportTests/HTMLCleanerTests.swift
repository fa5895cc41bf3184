import MailTransport
import Testing

@Suite("Cleaning HTML")
struct HTMLCleanerTests {
  @Test(
    "what would run, load or deceive is gone, and the text stays",
    arguments: [
      ("<p onclick=\"x()\">Selam</p>", "<p>Selam</p>"),
      ("a<script>alert('<b>')</script>b", "ab"),
      ("<SCRIPT\n>x</ScRiPt  >son", "son"),
      ("<a href=\"java&#115;cript:alert(1)\">x</a>", "<a rel=\"noopener noreferrer nofollow\">x</a>"),
      ("<a href=' https://x'>x</a>", "<a rel=\"noopener noreferrer nofollow\">x</a>"),
      ("<a href=https://carsi.example/?a=1&amp;b=2>x", "<a href=\"https://carsi.example/?a=1&amp;b=2\" rel=\"noopener noreferrer nofollow\">x</a>"),
      ("<img src=https://izleyici.example/1.gif alt='Çarşı'>", "Çarşı"),
      ("<img src='cid:logo' onerror=x>", "<img src=\"cid:logo\">"),
      ("<img src=\"data:image/svg+xml,<svg onload=x>\">", ""),
      ("<style>@import 'x'</style><div style='background:url(x)'>y</div>", "<div>y</div>"),
      ("<iframe src=x>y</iframe>z", "z"),
      ("<b><i>x</b>y", "<b><i>x</i></b>y"),
      ("1 < 2 & 3 > 2 &lt;script&gt;", "1 &lt; 2 &amp; 3 &gt; 2 &lt;script&gt;"),
      ("<svg><p title=\"</svg><img onerror=x>\">k", "<p title=\"&lt;/svg&gt;&lt;img onerror=x&gt;\">k</p>"),
      ("<!-- <b> --><u>x", "<u>x</u>"),
      ("<math><mtext><table><mglyph><style><img src=x onerror=y></style>", "<table></table>"),
      ("<p title='\"><script>'>x", "<p title=\"&quot;&gt;&lt;script&gt;\">x</p>"),
      ("<form action=x><input name=y>z</form>", "z"),
      ("&Scedil;&#x130;&ouml;&bilinmez;", "Şİö&amp;bilinmez;"),
    ])
  func cleaning(_ html: String, _ clean: String) {
    #expect(HTMLCleaner.clean(html) == clean)
    #expect(HTMLCleaner.clean(HTMLCleaner.clean(html)) == clean, "cleaning twice changes something")
  }

  @Test("the text of a page has its lines and no markup")
  func text() {
    let html =
      "<html><head><title>x</title></head><body><p>Merhaba&nbsp;Ali,</p>\n<p>Siparişiniz:<ul><li>Çay<li>Şeker</ul><table><tr><td>1<td>2</table>son<br>satır"
    #expect(HTMLCleaner.text(html) == "Merhaba\u{A0}Ali,\n\nSiparişiniz:\n- Çay\n- Şeker\n\n1 2\n\nson\nsatır")
  }
}
