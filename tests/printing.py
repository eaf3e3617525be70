"""Pages as they come out of a printer: Chromium's own PDF of rendered HTML, with the style sheets of the program."""

import io
import re
import unicodedata
from pathlib import Path

from playwright.sync_api import Browser
from pypdf import PdfReader

import clinic

STATIC = Path(clinic.__file__).parent / "web" / "static"


def printed(chromium: Browser, html: str, *, zoom: int = 100) -> PdfReader:
    """The page as Chromium prints it on Letter paper, with its own style sheets."""
    sheets = [
        STATIC / name.removeprefix("/static/") for name in re.findall(r'<link rel="stylesheet" href="([^"?]+)', html)
    ]
    styles = "".join(f"<style>{sheet.read_text()}</style>" for sheet in sheets)
    larger = f"<style>html {{ font-size: {zoom}% }}</style>"
    page_html = re.sub(r"<link [^>]*>|<script.*?</script>", "", html, flags=re.S).replace(
        "</head>", f"{styles}{larger}</head>"
    )
    page = chromium.new_page()
    page.set_content(page_html)
    data = page.pdf(format="Letter", prefer_css_page_size=True)
    page.close()
    return PdfReader(io.BytesIO(data))


def read(pdf: PdfReader) -> str:
    """The words of every page; some browsers set two letters as one sign (a ligature)."""
    return unicodedata.normalize("NFKC", " ".join(" ".join(page.extract_text() for page in pdf.pages).split()))
