"""What a person reads on a page as it was rendered: its words, in full or in passing, by text block."""

from collections.abc import Iterator
from html.parser import HTMLParser

SKIP = {"script", "style", "svg", "select", "template", "header", "footer", "head", "dialog"}
VOID = {"input", "br", "img", "hr", "meta", "link"}
BLOCKS = {
    "p",
    "h1",
    "h2",
    "h3",
    "li",
    "legend",
    "label",
    "button",
    "dt",
    "dd",
    "th",
    "td",
    "small",
    "a",
    "div",
    "section",
}
PASSING = {"hint", "choice", "btn", "tap"}  # classes of what is not read word by word
NOT_SEEN = {"vh", "skip", "dock", "later", "time-left", "meta"}  # and what frames every page alike


class Blocks(HTMLParser):
    """Collects (text, read in full) of the visible parts of `<main>`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[tuple[str, bool, bool]] = []  # tag, hidden, in passing
        self.found: list[tuple[str, bool]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        classes = set((given.get("class") or "").split())
        if tag in BLOCKS:
            self.close_block()
        hidden = tag in SKIP or "hidden" in given or bool(classes & NOT_SEEN)
        self.stack.append((tag, hidden, bool(classes & PASSING) or tag == "small"))

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self.close_block()
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if any(tag == "main" for tag, _, _ in self.stack) and not any(hidden for _, hidden, _ in self.stack):
            self.text += data

    def close_block(self) -> None:
        text = " ".join(self.text.split())
        self.text = ""
        if text:
            self.found.append((text, not any(passing for _, _, passing in self.stack)))


def blocks(html: str) -> Iterator[tuple[str, bool]]:
    """Text blocks in order, each with whether it is read in full."""
    parser = Blocks()
    parser.feed(html)
    return iter(parser.found)
