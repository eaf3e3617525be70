"""The parts that pages are put together from, without database and without the bundle."""

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask, render_template, render_template_string
from flask_babel import Babel
from flask_wtf import CSRFProtect

import clinic.web
from clinic.web import context, samples

WEB = Path(clinic.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Tags and attributes of a page; complains about elements that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def ids(self) -> Counter[str]:
        return Counter(a["id"] for _, a in self.tags if a.get("id"))


@pytest.fixture
def pages() -> Iterator[Flask]:
    app = Flask("pages", root_path=str(WEB.parent), template_folder="web/templates", static_folder="web/static")
    app.config.update(SECRET_KEY="only for this test", TESTING=True)
    app.jinja_env.globals["asset"] = lambda name: f"/static/dist/{name}"
    app.jinja_env.filters["unbroken"] = context.unbroken
    Babel(app)
    CSRFProtect(app)
    with app.test_request_context():
        yield app


def show(source: str, **values: object) -> str:
    return render_template_string(source, **values)


NAV = [{"label": "Today", "url": "/today", "current": True, "key": "t"}]
CLINIC = {"name": "Harbor Light Clinic", "phone": "(714) 555-0100"}
WHOLE = {
    "dev/components.html": lambda: {**samples.components(), "nav": NAV, "find_url": "/find"},
    "front.html": samples.front,
    **{f"errors/{status}.html": dict for status in (400, 403, 404, 409, 413, 422, 429, 500, 503)},
}


@pytest.fixture(params=sorted(WHOLE))
def page(request: pytest.FixtureRequest, pages: Flask) -> Page:
    return Page(render_template(request.param, clinic_profile=CLINIC, **WHOLE[request.param]()))


def test_a_page_keeps_to_the_content_policy(page: Page):
    for tag, attributes in page.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "style"
        assert tag != "script" or attributes.get("src")


def test_ids_are_unique_and_every_reference_is_met(page: Page):
    ids = page.ids()
    assert [name for name, count in ids.items() if count > 1] == []
    for _, attributes in page.tags:
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
            for target in (attributes.get(name) or "").split():
                assert target in ids, f"{name}={target}"


def test_a_page_has_one_first_heading_one_main_and_a_language(page: Page):
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert page.all("html")[0]["lang"] == "en"


def test_help_is_at_the_foot_of_every_page_for_people(pages: Flask):
    for name in sorted(set(WHOLE) - {"dev/components.html"}):
        html = render_template(name, clinic_profile=CLINIC, **WHOLE[name]())
        assert 'href="tel:988"' in html.rsplit("<footer", 1)[1]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(WEB / "templates")))
def test_no_template_asks_for_inline_style_or_script(path: Path):
    source = re.sub(r"{#.*?#}", "", path.read_text(), flags=re.S)
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=\s*[\"']|<script(?![^>]*\ssrc=)|hx-on|\bjs:", source)


def test_only_the_tokens_and_the_print_rules_name_colors():
    for path in (WEB / "assets" / "css").glob("*.css"):
        if path.name in ("tokens.css", "print.css"):
            continue
        rules = re.sub(r"/\*.*?\*/|url\([^)]*\)", "", path.read_text(), flags=re.S)
        found = [color for color in re.findall(r"#[0-9a-f]{3,8}\b|\brgb\([^)]*\)", rules) if "13 26 33" not in color]
        assert found == [], path.name


def test_the_field_that_was_refused_is_tied_to_its_message(pages: Flask):
    form = samples.form(refused=True)
    html = show("{% from 'macros/forms.html' import field %}{{ field(form.dose, 'In mg.') }}", form=form)
    box = Page(html).all("input")[0]
    assert box["aria-invalid"] == "true"
    assert box["aria-describedby"] == "bad-dose-hint bad-dose-error"
    assert box["value"] == "2000"


def test_a_field_without_fault_claims_none(pages: Flask):
    html = show("{% from 'macros/forms.html' import field %}{{ field(f) }}", f=samples.form().name)
    box = Page(html).all("input")[0]
    assert "aria-invalid" not in box
    assert "required" not in box


def test_not_sure_stands_last_and_is_dashed(pages: Flask):
    html = show("{% from 'macros/forms.html' import choices %}{{ choices(f) }}", f=samples.form().weeks)
    page = Page(html)
    assert [box["value"] for box in page.all("input")] == ["under_4", "4", "6", "over_8", "not_sure"]
    assert [row["class"] for row in page.all("label")][-1] == "choice unsure"


def test_the_answer_that_was_given_is_checked(pages: Flask):
    html = show("{% from 'macros/forms.html' import choices %}{{ choices(f) }}", f=samples.form().outcome)
    assert [box["value"] for box in Page(html).all("input") if "checked" in box] == ["lost"]


def test_the_summary_links_to_the_first_answer_of_a_group(pages: Flask):
    form = samples.form(refused=True)
    source = (
        "{% from 'macros/forms.html' import error_summary, choices %}{{ error_summary(form) }}{{ choices(form.weeks) }}"
    )
    page = Page(show(source, form=form))
    assert "#bad-weeks-0" in [link["href"] for link in page.all("a")]
    assert page.ids()["bad-weeks-0"] == 1


def test_a_form_without_faults_has_no_summary(pages: Flask):
    source = "{% from 'macros/forms.html' import error_summary %}{{ error_summary(form) }}"
    assert show(source, form=samples.form()).strip() == ""


def test_an_unavailable_button_says_why_and_cannot_send(pages: Flask):
    source = (
        "{% from 'macros/forms.html' import submit %}{{ submit('Sign', reason='Read the answer first.', id='sign') }}"
    )
    page = Page(show(source))
    button = page.all("button")[0]
    assert (button["aria-disabled"], button["type"], button["aria-describedby"]) == ("true", "button", "sign-why")
    assert "disabled" not in button
    assert page.ids()["sign-why"] == 1


def test_the_safety_card_promises_only_what_it_is_given(pages: Flask):
    source = "{% from 'macros/parts.html' import safety_card %}{{ safety_card('555-0100', lines) }}"
    html = show(source, lines=["A person will call you by 5 pm."])
    assert "by 5 pm" in html
    assert "What happens next" not in show(source, lines=[])
    assert "has been told" not in html


def test_the_safety_card_offers_call_text_clinic_and_emergency(pages: Flask):
    source = "{% from 'macros/parts.html' import safety_card %}{{ safety_card('(714) 555-0100') }}"
    links = [link["href"] for link in Page(show(source)).all("a")]
    assert links == ["tel:988", "sms:988", "tel:7145550100", "tel:911"]


def test_a_number_is_written_as_people_read_it(pages: Flask):
    source = "{% from 'macros/parts.html' import phone_words %}{{ phone_words(number) }}"
    assert show(source, number="+17145550100") == "(714) 555-0100"
    assert show(source, number="+442071234567") == "+442071234567"


def test_a_waiting_safety_card_is_hidden_and_does_not_claim_to_be_saved(pages: Flask):
    source = "{% from 'macros/parts.html' import safety_card %}{{ safety_card(hidden=true) }}"
    page = Page(show(source))
    assert "hidden" in page.all("div")[0]
    assert "hidden" in next(span for span in page.all("span") if "data-when-saved" in span)


def test_a_path_is_one_sentence_and_a_list(pages: Flask):
    html = show("{% from 'macros/course.html' import path %}{{ path(course) }}", course=samples.course())
    page = Page(html)
    picture = next(div for div in page.all("div") if div.get("role") == "img")
    assert (picture["aria-label"] or "").startswith("25 of 36 sessions done. 1 was missed.")
    assert len(page.all("li")) == 37


def test_a_trend_has_a_title_a_sentence_and_a_table(pages: Flask):
    source = "{% from 'charts/trend.svg.html' import trend_chart %}{{ trend_chart(trend, 'x', 'Scores') }}"
    html = show(source, trend=samples.components()["trend"])
    page = Page(html)
    assert page.all("svg")[0]["aria-labelledby"] == "x-t x-d"
    assert html.count("not answered") == 2
    assert len(page.all("tr")) == 7


def test_one_score_says_so(pages: Flask):
    source = "{% from 'charts/trend.svg.html' import trend_chart %}{{ trend_chart(trend) }}"
    assert "One check-in so far." in show(source, trend=samples.components()["trend_single"])
    assert "No check-in yet." in show(source, trend=samples.components()["trend_none"])


def test_what_people_typed_is_escaped(pages: Flask):
    source = "{% from 'macros/parts.html' import state, note %}{{ state('good', word) }}{{ note('', word) }}"
    html = show(source, word="<script>alert(1)</script>")
    assert "<script" not in html


def test_an_undo_is_a_post_with_a_token(pages: Flask):
    source = "{% from 'macros/parts.html' import action %}{{ action('Undo', '/undo', fields={'id': 7}) }}"
    page = Page(show(source))
    assert page.all("form")[0]["method"] == "post"
    assert {box["name"] for box in page.all("input")} == {"csrf_token", "id"}


def test_a_slot_takes_its_place_from_classes(pages: Flask):
    source = "{% from 'macros/board.html' import slot %}{{ slot(9 * 60 + 37, 90, 'planned', 'K.L.') }}"
    html = show(source)
    assert Page(html).all("div")[0]["class"] == "slot h9 m35 len-h1 len-m30 tall"
    assert "9:37 to 11:07, Planned." in html
