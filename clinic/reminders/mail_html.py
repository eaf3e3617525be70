"""The text of a mail as a page: the same words, one column, links that can be pressed. Pure.

Mail programs know neither our stylesheet nor our typefaces, so the little that is needed stands in the page itself;
colors are those of the pages. Nothing is loaded from anywhere: a picture would tell when the mail was opened.
"""

import re
from html import escape

from clinic.reminders.wording import MONTHS

# Addresses, and telephone numbers as `content.py` writes them.
_PRESSED = re.compile(r"https?://\S+|\(\d{3}\) \d{3}-\d{4}(?!\d)")
_BUTTON = re.compile(r"^([^:\n]{1,80}): (https?://\S+)$")
# What does not break over two lines: 8:20 am, Nov 24, 24 nov.
_TOGETHER = re.compile(
    r"(?<=\d:\d\d) (?=[ap]m\b)"
    rf"|(?<=\b(?:{'|'.join(MONTHS['en'])})) (?=\d{{1,2}}\b)"
    rf"|(?<=\d) (?=(?:{'|'.join(MONTHS['es'])})\b)"
)
_PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark"><title>{title}</title><style>
body{{margin:0;padding:0;background:#eef3f5;color:#15303b;font:17px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}}
.page{{max-width:34rem;margin:0 auto;padding:24px 20px}}
.sheet{{background:#ffffff;border-radius:18px;padding:20px 24px}}
.name{{font-weight:650;margin:0 0 16px;color:#0e5468}}
p{{margin:0 0 14px}} ul{{margin:0 0 14px;padding-left:20px}} li{{margin:0 0 6px}} a{{color:#0e5468}}
.press{{display:inline-block;background:#0e5468;color:#ffffff;text-decoration:none;font-weight:600;border-radius:10px;padding:12px 18px}}
.foot{{padding:16px 24px 0;font-size:15px;color:#43606c}} .foot p{{margin:0 0 8px}}
@media (prefers-color-scheme:dark){{body{{background:#0d1a21;color:#e9f1f3}}.sheet{{background:#142630}}.name,a{{color:#8fd0e0}}.press{{background:#8fd0e0;color:#0d1a21}}.foot{{color:#abc0c9}}}}
</style></head><body><div class="page"><div class="sheet"><p class="name">{title}</p>{body}</div><div class="foot">{foot}</div></div></body></html>
"""


def as_html(body: str, language: str, *, foot: int = 0) -> str:
    """`body` as it goes out as text; its last `foot` paragraphs stand below the sheet."""
    title, *paragraphs = _TOGETHER.sub("\N{NO-BREAK SPACE}", body.strip()).split("\n\n")
    cut = len(paragraphs) - foot if foot else len(paragraphs)
    parts = [_paragraph(one) for one in paragraphs[:cut]]
    below = [f"<p>{_linked(one)}</p>" for one in paragraphs[cut:]]
    return _PAGE.format(language=language, title=escape(title), body="".join(parts), foot="".join(below))


def _paragraph(text: str) -> str:
    button = _BUTTON.match(text)
    if button:
        return f'<p><a class="press" href="{escape(button[2])}">{escape(button[1])}</a></p>'
    lines = text.split("\n")
    items = [line[2:] for line in lines if line.startswith("- ")]
    rest = [_linked(line) for line in lines if not line.startswith("- ")]
    made = f"<p>{'<br>'.join(rest)}</p>" if rest else ""
    return made + ("<ul>" + "".join(f"<li>{_linked(item)}</li>" for item in items) + "</ul>" if items else "")


def _linked(line: str) -> str:
    button = _BUTTON.match(line)
    if button:
        return f'<a href="{escape(button[2])}">{escape(button[1])}</a>'
    pieces, at = [], 0
    for found in _PRESSED.finditer(line):
        shown = found.group()
        to = shown if shown.startswith("http") else "tel:+1" + re.sub(r"\D", "", shown)
        pieces += [escape(line[at : found.start()]), f'<a href="{escape(to)}">{escape(shown)}</a>']
        at = found.end()
    return "".join([*pieces, escape(line[at:])])
