"""What reports do to text that comes from backends: cut it, make it visible, link only what is a link."""

from __future__ import annotations

import pytest

from layerlaws.report.text import block, line, link, link_name

SOURCE = "https://github.com/somebody/something/issues/7"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//host/x",
        "http://",
        "https://a b",
        "https://good@evil.example/",
        'https://x/"onclick=',
        "https://x/<b>",
        "https://x/\n",
        "https://[x",
        "ftp://x/",
        "",
        "https://x/" + "y" * 1000,
    ],
)
def test_what_is_no_plain_web_address_is_no_link(url: str) -> None:
    assert link(url) == ""


def test_links_are_called_by_what_they_lead_to() -> None:
    assert link_name(SOURCE) == "somebody/something#7"
    assert link_name("https://www.example.org/a/b.html?q=1#c") == "example.org/a/b.html"
    assert link_name("https://github.com.evil.example/a/b/issues/1") == "github.com.evil.example/a/b/issues/1"


def test_text_is_cut_and_made_visible() -> None:
    assert line("a\nb  c") == "a b c"
    assert line("x" * 301) == "x" * 300 + " ... (301 characters, whole in the record)"
    assert line("x" * 301, 10) == "x" * 10 + " ..."
    assert block("a\nb\u202e\x00\ud800") == "a\nb\\u202e\\x00\\ud800"
