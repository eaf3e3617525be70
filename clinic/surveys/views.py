"""Check-ins on the patient's phone, and the trend on the record."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from markupsafe import Markup

from clinic import clock
from clinic.eligibility.packet_parts import ScoreFact
from clinic.eligibility.packets import OUTSIDE
from clinic.errors import AlreadyOver, Invalid, NotFound
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.scheduling import staging
from clinic.staff.models import Role
from clinic.surveys import charting, flow, improving, judging, operations, presenter, queries
from clinic.surveys.charting import Chart
from clinic.surveys.flow import CSSRS, ITEM9, SCREENER_PAGES, Page
from clinic.surveys.forms import AfterSafetyForm, answers_in, name_of, page_form, screener_form
from clinic.surveys.models import Survey, SurveyState
from clinic.tasks import safety as alerts
from clinic.tasks.help import medical_promises, promises
from clinic.web import access, charts, context, scales
from clinic.web.access import current_actor, current_patient

LEAD = queries.LEAD
READERS = (Role.NURSE, Role.THERAPIST, Role.PRESCRIBER)
NUMBER = "int(min=1, max=200):number"

bp = Blueprint("surveys", __name__, template_folder="templates")
mine = access.patient(LinkPurpose.SURVEY, LinkPurpose.SIGN_IN)
chart.TABS.append(chart.Tab(50, lazy_gettext("Check-ins"), "surveys.listing", "chart"))


@bp.get("/surveys")
@mine
def listing() -> Any:
    """Check-ins that wait, and how the scores went."""
    caller = current_patient()
    if caller.purpose == LinkPurpose.SURVEY:
        return redirect(url_for(".start", survey_id=caller.survey_id))
    assert caller.patient_id is not None
    found = charting.chart_of(caller.patient_id)
    return render_template(
        "surveys/list.html",
        found=found,
        trend=_trend(found),
        minutes={survey.id: flow.minutes(survey.instruments) for survey in found.open} if found else {},
        tabs=chart.tabs("surveys.listing"),
    )


@bp.get("/surveys/<int:survey_id>")
@mine
def start(survey_id: int) -> Any:
    """Go to the first open question."""
    survey = _own(survey_id)
    if survey.state != SurveyState.OPEN:
        return redirect(url_for(".done", survey_id=survey.id))
    return redirect(_go_on(survey))


def _go_on(survey: Survey) -> str:
    """The rest of a screener that was begun, then the first page with an open question, then the sending."""
    draft = survey.draft or {}
    step = flow.screener_open(draft)
    number = flow.first_open(survey.instruments, draft)
    if step is not None and (step > 1 or (number is None and CSSRS in survey.instruments)):
        return url_for(".screener", survey_id=survey.id, step=step)
    if number is not None:
        return url_for(".item", survey_id=survey.id, number=number)
    return url_for(".send", survey_id=survey.id)


@bp.route(f"/surveys/<int:survey_id>/<{NUMBER}>", methods=["GET", "POST"])
@mine
def item(survey_id: int, number: int) -> Any:
    """One page of questions, items of a scale word for word; an answer is kept, then the next one is shown."""
    survey = _own(survey_id)
    page = _page(survey, number)
    if survey.state != SurveyState.OPEN and request.method == "GET":
        return redirect(url_for(".done", survey_id=survey.id))
    if "skip" in request.form:
        return _kept(survey, dict.fromkeys(page.keys)) or redirect(_after(survey, number))
    form = page_form(page, survey.draft or {})
    if not form.validate_on_submit():
        return _item_page(survey, number, page, form), 422 if form.is_submitted() else 200
    answers = answers_in(form, page)
    over = _kept(survey, answers)
    if (answers.get(ITEM9) or 0) >= 1:
        return redirect(url_for(".safety", survey_id=survey.id))
    if judging.safety_codes(answers):
        return redirect(url_for(".medical", survey_id=survey.id, number=number))
    return over or redirect(_after(survey, number))


@bp.post(f"/surveys/<int:survey_id>/<{NUMBER}>/save")
@mine
def autosave(survey_id: int, number: int) -> Any:
    """Keep answers while the page stays open; questions that were not touched yet stay open."""
    survey = _own(survey_id)
    page = _page(survey, number)
    form = page_form(page, {})
    if not form.validate():
        return jsonify(error="invalid"), 422
    answers = {key: value for key, value in answers_in(form, page).items() if name_of(key, page) in request.form}
    operations.save_answers(survey.id, answers, by=current_actor())
    is_grave = (answers.get(ITEM9) or 0) >= 1
    return jsonify(saved_at=context.clock12(clock.now(), queries.help_of(survey).tz), safety=is_grave)


def _page(survey: Survey, number: int) -> Page:
    found = flow.pages(tuple(survey.instruments))
    if number > len(found):
        raise NotFound("no such question")
    return found[number - 1]


@bp.route("/surveys/<int:survey_id>/safety", methods=["GET", "POST"])
@mine
def safety(survey_id: int) -> Any:
    """Before anything else: who can be called now, and what happens next."""
    survey, form = _own(survey_id), AfterSafetyForm()
    if form.validate_on_submit():
        if form.next.data == "questions" and survey.state == SurveyState.OPEN:
            return redirect(url_for(".screener", survey_id=survey.id, step=1))
        if form.next.data == "person":
            alerts.add_words(f"survey:{survey.id}", alerts.WANTS_A_PERSON, by=current_actor())
            flash(_("To talk to a person now: call or text 988, or call the clinic. You can go on here any time."))
        return redirect(url_for(".start", survey_id=survey.id))
    page = render_template("surveys/safety.html", survey=survey, form=form, promises=promises(queries.help_of(survey)))
    return page, 422 if form.is_submitted() else 200


@bp.get(f"/surveys/<int:survey_id>/<{NUMBER}>/medical")
@mine
def medical(survey_id: int, number: int) -> Any:
    """After an answer that a clinician must hear of at once: whom to call now, and what happens next."""
    survey = _own(survey_id)
    is_open = survey.state == SurveyState.OPEN
    go_on = _after(survey, number) if is_open else url_for(".done", survey_id=survey.id)
    return render_template("surveys/medical.html", promises=medical_promises(queries.help_of(survey)), go_on=go_on)


@bp.route("/surveys/<int:survey_id>/more/<int(min=1, max=3):step>", methods=["GET", "POST"])
@mine
def screener(survey_id: int, step: int) -> Any:
    """The questions after the safety card, saved page by page; one that was left open counts as skipped."""
    survey = _own(survey_id)
    if survey.state != SurveyState.OPEN and request.method == "GET":
        return redirect(url_for(".done", survey_id=survey.id))
    keys = SCREENER_PAGES[step - 1]
    form = screener_form(step, survey.draft or {})
    if form.validate_on_submit():
        over = _kept(survey, {key: form[name_of(key)].data for key in keys})
        return over or redirect(_go_on(_own(survey_id)))
    page = render_template(
        "surveys/screener.html",
        survey=survey,
        step=step,
        steps=len(SCREENER_PAGES),
        form=form,
        fields=[name_of(key) for key in keys],
        back_url=_before_screener(survey),
        instrument=scales.shown(CSSRS),
    )
    return page, 422 if form.is_submitted() else 200


def _before_screener(survey: Survey) -> str:
    if (survey.draft or {}).get(ITEM9):
        return url_for(".safety", survey_id=survey.id)
    last = len(flow.pages(tuple(survey.instruments)))
    return url_for(".item", survey_id=survey.id, number=last) if last else ""


@bp.route("/surveys/<int:survey_id>/send", methods=["GET", "POST"])
@mine
def send(survey_id: int) -> Any:
    """Look once more, and send."""
    survey = _own(survey_id)
    if survey.state != SurveyState.OPEN:
        return redirect(url_for(".done", survey_id=survey.id))
    draft, problem = survey.draft or {}, ""
    if request.method == "POST":
        try:
            operations.send_answers(survey.id, by=current_actor())
            return redirect(url_for(".done", survey_id=survey.id))
        except Invalid:
            problem = _("Answer at least one question.")
        except AlreadyOver:
            return redirect(url_for(".done", survey_id=survey.id))
    last = flow.before(survey.instruments, len(flow.pages(tuple(survey.instruments))) + 1, draft)
    page = render_template("surveys/send.html", survey=survey, parts=_said(survey, draft), problem=problem, last=last)
    return page, 422 if problem else 200


def _said(survey: Survey, draft: dict[str, Any]) -> list[dict[str, Any]]:
    """What was answered, a part for each questionnaire: (page number, question, answer or None)."""
    parts: dict[str, dict[str, Any]] = {}
    for number, page in enumerate(flow.pages(tuple(survey.instruments)), 1):
        if flow.is_skipped(page, draft):
            continue
        words = scales.shown(page.instrument)
        part = parts.setdefault(page.instrument, {"words": words, "rows": []})
        for key in page.keys:
            part["rows"].append((number, *_words(key, words, draft.get(key))))
    return list(parts.values())


def _words(key: str, words: Any, value: Any) -> tuple[str, str | None]:
    """Question and answer of a key, in the words of the page."""
    number = flow.item_of(key)[1]
    if number == flow.GATE:
        return words.gate, next(iter(words.answers.values()))[value] if value is not None else None
    if number == flow.DIFFICULTY:
        return words.functional[0], words.functional[1][value] if value is not None else None
    answers = words.answers[int(number)]
    if value is None:
        return words.items[int(number)], None
    return words.items[int(number)], answers[value] if answers else str(value)


@bp.get("/surveys/<int:survey_id>/done")
@mine
def done(survey_id: int) -> Any:
    """It was sent, or it is closed."""
    survey = _own(survey_id)
    if survey.state == SurveyState.OPEN:
        return redirect(url_for(".start", survey_id=survey.id))
    is_home_open = current_patient().purpose == LinkPurpose.SIGN_IN
    return render_template("surveys/done.html", survey=survey, is_home_open=is_home_open)


def _own(survey_id: int) -> Survey:
    """The check-in, if this patient session opens it. Raises NotFound."""
    caller, survey = current_patient(), queries.get(survey_id)
    if survey.patient_id != caller.patient_id:
        raise NotFound("no such check-in")
    if caller.purpose == LinkPurpose.SURVEY and caller.survey_id != survey.id:
        raise NotFound("no such check-in")
    return survey


def _kept(survey: Survey, answers: dict[str, Any]) -> Any:
    """Keep answers; a page to go to instead where the check-in was closed meanwhile."""
    try:
        operations.save_answers(survey.id, answers, by=current_actor())
    except AlreadyOver as over:
        is_grave = over.details.get("level") and not judging.safety_codes(answers)
        return redirect(url_for(".safety" if is_grave else ".done", survey_id=survey.id))
    return None


def _item_page(survey: Survey, number: int, page: Page, form: Any) -> str:
    facts = queries.help_of(survey) if ITEM9 in page.keys else None
    draft = survey.draft or {}
    back = flow.before(survey.instruments, number, draft)
    return render_template(
        "surveys/item.html",
        survey=survey,
        number=number,
        count=len(flow.pages(tuple(survey.instruments))),
        page=page,
        fields=[form[name_of(key, page)] for key in page.keys],
        form=form,
        back=back,
        is_item9=ITEM9 in page.keys,
        is_first_part=page.keys[0].endswith(f".{flow.GATE}"),
        instrument=scales.shown(page.instrument),
        promises=promises(facts) if facts is not None and not facts.is_open else [],
    )


def _after(survey: Survey, number: int) -> str:
    """The page after this one; after the last the screener, where it was begun or asked for, then the sending."""
    draft = queries.get(survey.id).draft or {}
    following = flow.following(survey.instruments, number, draft)
    if following is not None:
        return url_for(".item", survey_id=survey.id, number=following)
    return (
        url_for(".start", survey_id=survey.id) if CSSRS in survey.instruments else url_for(".send", survey_id=survey.id)
    )


# -- parts of other pages ---------------------------------------------------------------------------------------------


def _trend(found: Chart | None) -> charts.Trend | None:
    return presenter.trend(found) if found is not None else None


def _section(template: str) -> Callable[[int], Markup | None]:
    def render(patient_id: int) -> Markup | None:
        found = charting.chart_of(patient_id)
        if found is None:
            return None
        bands = {row.id: (row.result.get("band") or "").replace("_", " ") for row in found.rows}
        waiting = [(survey, presenter.occasion_words(survey.occasion)) for survey in found.open]
        minutes = flow.minutes(found.open[0].instruments) if found.open else 0
        return context.rendered(
            template,
            found=found,
            trend=_trend(found),
            bands=bands,
            waiting=waiting,
            minutes=minutes,
            judged=charting.judged(found),
            patient_id=patient_id,
        )

    return render


def _packet_scores(patient_id: int) -> list[ScoreFact]:
    """Check-ins for a packet; what the intake scored is in its record."""
    tz = ZoneInfo(patients.get(patient_id).tz)
    return [
        ScoreFact(
            instrument=row.instrument,
            total=row.result["total"],
            taken_on=row.taken_at.astimezone(tz).date(),
            path=f"scores.{row.id}",
            origin="Check-in answered by the patient" if row.source == "survey" else f"Score from {row.source}",
        )
        for row in queries.scores(patient_id)
        if row.source != "intake" and row.result.get("total") is not None
    ]


OUTSIDE["scores"] = _packet_scores
staging.MEASURED.append(improving.improvement_of)
chart.add_section(30, _section("surveys/chart.html"), roles=READERS)
chart.add_home(40, _section("surveys/home.html"))
