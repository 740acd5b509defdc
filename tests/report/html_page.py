"""A page taken apart, so that tests can look at its elements."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

NASTY = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{7*7}}"
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Elements in order, as (tag, attributes), and whether every tag is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_self_contained(text: str) -> None:
    """Nothing in the page leads out of it, and no attribute runs a script."""
    page = Page(text)
    addresses = [value for _, own in page.elements for name, value in own.items() if name in {"src", "href"}]
    assert all(str(one).startswith(("data:image/webp;base64,", "#")) for one in addresses)
    assert not re.search(r"@import|url\(|https?://", text)
    assert not [name for _, own in page.elements for name in own if name.startswith("on")]


def assert_in_order(page: Page) -> None:
    """Every tag is closed, headings skip no level, names are given once, and what points at a name finds it."""
    assert page.open == []
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    pointed = [
        attributes[key] for _, attributes in page.elements for key in ("aria-labelledby", "for") if key in attributes
    ]
    pointed += [str(one["href"])[1:] for one in page.all("a")]
    assert set(pointed) <= set(names)
    assert page.all("html")[0]["lang"] == "en"
