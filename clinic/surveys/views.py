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
from clinic.instruments import scoring
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.staff.models import Role
from clinic.surveys import operations, queries
from clinic.surveys.cadence import INSTRUMENT
from clinic.surveys.forms import SCREENER_STEPS, AfterSafetyForm, item_form, screener_form
from clinic.surveys.models import Survey, SurveyState
from clinic.surveys.operations import ITEM9
from clinic.tasks import safety as alerts
from clinic.tasks.help import promises
from clinic.web import access, charts, context, scales
from clinic.web.access import current_actor, current_patient

READERS = (Role.NURSE, Role.THERAPIST, Role.PRESCRIBER)
ITEMS = 9

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
    found = queries.chart_of(caller.patient_id)
    return render_template("surveys/list.html", found=found, trend=_trend(found), tabs=chart.tabs("surveys.listing"))


@bp.get("/surveys/<int:survey_id>")
@mine
def start(survey_id: int) -> Any:
    """Go to the first open question."""
    survey = _own(survey_id)
    if survey.state != SurveyState.OPEN:
        return redirect(url_for(".done", survey_id=survey.id))
    draft = survey.draft or {}
    number = next((n for n in range(1, ITEMS + 1) if str(n) not in draft), None)
    if number is None:
        return redirect(url_for(".send", survey_id=survey.id))
    return redirect(url_for(".item", survey_id=survey.id, number=number))


@bp.route("/surveys/<int:survey_id>/<int(min=1, max=9):number>", methods=["GET", "POST"])
@mine
def item(survey_id: int, number: int) -> Any:
    """One item, word for word; an answer is kept, then the next one is shown."""
    survey = _own(survey_id)
    if survey.state != SurveyState.OPEN and request.method == "GET":
        return redirect(url_for(".done", survey_id=survey.id))
    if "skip" in request.form:
        return _kept(survey, {str(number): None}) or redirect(_after(survey, number))
    form = item_form(number, data={"answer": (survey.draft or {}).get(str(number))})
    if not form.validate_on_submit():
        return _item_page(survey, number, form), 422 if form.is_submitted() else 200
    over = _kept(survey, {str(number): form.answer.data})
    if number == ITEM9 and form.answer.data >= 1:
        return redirect(url_for(".safety", survey_id=survey.id))
    return over or redirect(_after(survey, number))


@bp.post("/surveys/<int:survey_id>/<int(min=1, max=9):number>/save")
@mine
def autosave(survey_id: int, number: int) -> Any:
    """Keep an answer while the page stays open."""
    survey, form = _own(survey_id), item_form(number)
    if not form.validate():
        return jsonify(error="invalid"), 422
    operations.save_answers(survey.id, {str(number): form.answer.data}, by=current_actor())
    is_grave = number == ITEM9 and form.answer.data >= 1
    return jsonify(saved_at=context.clock12(clock.now(), queries.help_of(survey).tz), safety=is_grave)


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
        return redirect(url_for(".send", survey_id=survey.id))
    page = render_template("surveys/safety.html", survey=survey, form=form, promises=promises(queries.help_of(survey)))
    return page, 422 if form.is_submitted() else 200


@bp.route("/surveys/<int:survey_id>/more/<int(min=1, max=3):step>", methods=["GET", "POST"])
@mine
def screener(survey_id: int, step: int) -> Any:
    """The questions after the safety card, saved page by page."""
    survey = _own(survey_id)
    if survey.state != SurveyState.OPEN and request.method == "GET":
        return redirect(url_for(".done", survey_id=survey.id))
    keys, draft = SCREENER_STEPS[step - 1], survey.draft or {}
    form = screener_form(step, data={key: draft.get(key) for key in keys})
    if form.validate_on_submit():
        answers = {key: form[key].data for key in keys if form[key].data is not None}
        over = _kept(survey, answers) if answers else None
        return over or redirect(_after_screener(survey, step, answers))
    page = render_template(
        "surveys/screener.html",
        survey=survey,
        step=step,
        steps=len(SCREENER_STEPS),
        form=form,
        fields=keys,
        instrument=scales.shown("cssrs"),
    )
    return page, 422 if form.is_submitted() else 200


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
    words = scales.shown(INSTRUMENT)
    rows = [(n, text, words.answers[n].get(draft.get(str(n), -1))) for n, text in words.items.items()]
    page = render_template("surveys/send.html", survey=survey, rows=rows, problem=problem, instrument=words)
    return page, 422 if problem else 200


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


def _kept(survey: Survey, answers: dict[str, int | None]) -> Any:
    """Keep answers; a page to go to instead where the check-in was closed meanwhile."""
    try:
        operations.save_answers(survey.id, answers, by=current_actor())
    except AlreadyOver as over:
        level = over.details.get("level")
        return redirect(url_for(".safety" if level else ".done", survey_id=survey.id))
    return None


def _item_page(survey: Survey, number: int, form: Any) -> str:
    facts = queries.help_of(survey) if number == ITEM9 else None
    return render_template(
        "surveys/item.html",
        survey=survey,
        number=number,
        form=form,
        instrument=scales.shown(INSTRUMENT),
        promises=promises(facts) if facts is not None and not facts.is_open else [],
    )


def _after(survey: Survey, number: int) -> str:
    if number < ITEMS:
        return url_for(".item", survey_id=survey.id, number=number + 1)
    return url_for(".send", survey_id=survey.id)


def _after_screener(survey: Survey, step: int, answers: dict[str, int | None]) -> str:
    """Questions 3 to 5 are asked only where question 2 is yes."""
    following = step + 1
    if step == 1 and answers.get("c2") != 1:
        following = 3
    if step < len(SCREENER_STEPS):
        return url_for(".screener", survey_id=survey.id, step=following)
    return url_for(".send", survey_id=survey.id)


# -- parts of other pages ---------------------------------------------------------------------------------------------


def _trend(found: queries.Chart | None) -> charts.Trend | None:
    if found is None:
        return None
    instrument = scoring.load(INSTRUMENT)
    assert instrument.high is not None
    scores = [
        charts.Score(point.session, point.total, context.short_day(point.taken_at, found.tz), point.is_late)
        for point in found.progress.points
        if point.session > 0 or point == (found.progress.baseline or found.progress.points[-1])
    ]
    return charts.trend(
        scores, maximum=instrument.high, remission_below=instrument.remission_at_most, sessions=found.planned
    )


def _section(template: str) -> Callable[[int], Markup | None]:
    def render(patient_id: int) -> Markup | None:
        found = queries.chart_of(patient_id)
        if found is None:
            return None
        bands = {row.id: (row.result.get("band") or "").replace("_", " ") for row in found.rows}
        return context.rendered(template, found=found, trend=_trend(found), bands=bands)

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
chart.add_section(30, _section("surveys/chart.html"), roles=READERS)
chart.add_home(40, _section("surveys/home.html"))
