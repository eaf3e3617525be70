"""What a person reads on a page as it was rendered: its words, in full or in passing, by text block.

What stands folded (`.then`) is read where the person chose an answer that unfolds it.
"""

from collections.abc import Collection, Iterator
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
    """Collects (text, read in full) of the visible parts of `<main>`. `chosen`: answers, each as (name, value)."""

    def __init__(self, chosen: Collection[tuple[str, str]] = ()) -> None:
        super().__init__(convert_charrefs=True)
        self.chosen = chosen
        self.is_open: list[bool] = []  # by question around: whether an answer unfolds what follows
        self.stack: list[tuple[str, bool, bool, bool]] = []  # tag, hidden, in passing, asks what unfolds more
        self.found: list[tuple[str, bool]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and "data-opens" in given and (given["name"], given["value"]) in self.chosen:
            self.is_open = [True] * len(self.is_open)
        if tag in VOID:
            return
        classes = set((given.get("class") or "").split())
        if "asks" in classes:
            self.is_open.append(False)
        if tag in BLOCKS:
            self.close_block()
        hidden = tag in SKIP or "hidden" in given or bool(classes & NOT_SEEN)
        hidden = hidden or ("then" in classes and not self.is_open[-1])
        hidden = hidden or (tag != "summary" and bool(self.stack) and self.stack[-1][0] == "details")  # closed
        self.stack.append((tag, hidden, bool(classes & PASSING) or tag == "small", "asks" in classes))

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self.close_block()
        while self.stack:
            closed, _, _, is_asking = self.stack.pop()
            if is_asking:
                self.is_open.pop()
            if closed == tag:
                break

    def handle_data(self, data: str) -> None:
        if any(each[0] == "main" for each in self.stack) and not any(each[1] for each in self.stack):
            self.text += data

    def close_block(self) -> None:
        text = " ".join(self.text.split())
        self.text = ""
        if text:
            self.found.append((text, not any(each[2] for each in self.stack)))


def blocks(html: str, chosen: Collection[tuple[str, str]] = ()) -> Iterator[tuple[str, bool]]:
    """Text blocks in order, each with whether it is read in full."""
    parser = Blocks(chosen)
    parser.feed(html)
    return iter(parser.found)
