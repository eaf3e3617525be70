"""Made-up content for /dev/components, where every part of the pages is shown in every state."""

from datetime import date, timedelta
from typing import Any

from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    DateField,
    DecimalField,
    EmailField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TelField,
    TextAreaField,
)
from wtforms.validators import DataRequired, NumberRange
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.web import charts
from clinic.web.charts import Level, Mark, PathSession, Score, Segment, WatchCheck

MONTHS = ["January", "February", "March"]


class SampleForm(FlaskForm):
    """One field of each kind."""

    name = StringField("Your name")
    email = EmailField("Email")
    phone = TelField("Mobile phone")
    born = DateField("Date of birth")
    dose = DecimalField(
        "Most you took in a day",
        [NumberRange(max=400, message="2000 mg is far above the usual 200. Check the number, or choose “not sure”.")],
    )
    visits = IntegerField("About how many visits")
    payer = SelectField("Insurance", choices=[("", "Choose"), ("cigna", "Cigna"), ("other", "Another one")])
    reason = TextAreaField("Reason, in your words")
    weeks = RadioField(
        "For about how many weeks?",
        [DataRequired("Choose the nearest answer, or “Not sure”.")],
        choices=[
            ("under_4", "Under 4"),
            ("4", "4 or 5"),
            ("not_sure", "Not sure"),
            ("6", "6 to 8"),
            ("over_8", "Over 8"),
        ],
    )
    outcome = RadioField(
        "What happened?",
        choices=[
            ("none", "It did not help enough"),
            ("lost", "It helped at first, then stopped"),
            ("effects", "Side effects made me stop"),
            ("not_sure", "Not sure"),
        ],
    )
    kinds = SelectMultipleField(
        "Kinds of talk therapy",
        choices=[("cbt", "CBT"), ("ipt", "IPT"), ("dbt", "DBT")],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    agree = BooleanField("Send me text messages about my visits")
    drug = StringField("Name of the medicine")
    from_month = SelectField("From", choices=MONTHS)
    from_year = SelectField("From, year", choices=["2024", "2025"])
    to_month = SelectField("To", choices=MONTHS)
    to_year = SelectField("To, year", choices=["2024", "2025"])
    dates_unsure = BooleanField("Not sure")


def form(*, refused: bool = False) -> SampleForm:
    """A form as it is first shown, or as it comes back."""
    if not refused:
        return SampleForm(formdata=None, outcome="lost", kinds=["cbt"], from_month="March", from_year="2025", prefix="")
    answers = {
        "dose": "2000",
        "from_month": "March",
        "from_year": "2025",
        "to_month": "January",
        "to_year": "2025",
        "payer": "cigna",
        "outcome": "none",
    }
    sent = MultiDict({f"bad-{key}": value for key, value in answers.items()})
    bad = SampleForm(formdata=sent, prefix="bad", meta={"csrf": False})
    bad.validate()
    bad.to_month.errors = ["The end is before the start. Did you mean January 2026?"]
    return bad


def course() -> charts.CoursePath:
    """A course of 36 with one miss, a closure and a taper."""
    first, closed = date(2026, 10, 19), {date(2026, 11, 26), date(2026, 11, 27)}
    days = [day for n in range(45) if (day := first + timedelta(days=n)).weekday() < 5 and day not in closed][:31]
    days += [date(2026, 12, day) for day in (7, 9, 11, 15, 17, 23)]
    today = date(2026, 11, 24)
    sessions = [
        PathSession(
            on=day,
            mark=Mark.MISSED
            if day == date(2026, 11, 5)
            else Mark.NEXT
            if day == today
            else Mark.DONE
            if day < today
            else Mark.PLANNED,
            number=n,
            time="8:20",
        )
        for n, day in enumerate(days, start=1)
    ]
    return charts.course_path(sessions, closed=closed)


def proposal() -> charts.CoursePath:
    """A proposed course with two other times, as booking shows it."""
    first = date(2026, 11, 30)
    closed = {date(2026, 12, 25), date(2027, 1, 1)}
    days = [day for n in range(60) if (day := first + timedelta(days=n)).weekday() < 5 and day not in closed][:30]
    sessions = [
        PathSession(
            on=day,
            mark=Mark.NEXT if n == 1 else Mark.OTHER if n in (13, 26) else Mark.PLANNED,
            number=n,
            time="9:10" if n in (13, 26) else "8:20",
            url="#session",
        )
        for n, day in enumerate(days, start=1)
    ]
    return charts.course_path(sessions, closed=closed)


def accelerated() -> charts.CoursePath:
    """Five days of ten sessions."""
    first = date(2026, 11, 23)
    sessions = [
        PathSession(
            on=first + timedelta(days=day),
            mark=Mark.DONE if day < 2 else Mark.NEXT if (day, n) == (2, 0) else Mark.PLANNED,
            number=day * 10 + n + 1,
        )
        for day in range(5)
        for n in range(10)
    ]
    return charts.course_path(sessions)


def _plans() -> dict[str, Any]:
    starts = [
        [(date(2026, 11, 30) + timedelta(days=n), 500) for n in range(0, 60, 2)],
        [(date(2026, 11, 25) + timedelta(days=n), 460 + n) for n in range(0, 60, 2)],
    ]
    strips = [charts.strip(days, wanted=500, first=date(2026, 11, 25), last=date(2027, 2, 3)) for days in starts]
    first, last = charts.best([5, 0]), charts.best([0, 9])
    return {
        "plans": [
            {"value": "p1", "title": "Steady time", "summary": "Same chair, same hour", "chosen": True},
            {"value": "p2", "title": "Soonest start", "summary": "Five days earlier, times vary", "chosen": False},
        ],
        "rows": [
            {
                "label": "First session",
                "note": "",
                "cells": [{"text": "Mon, Nov 30", "best": first[0]}, {"text": "Wed, Nov 25", "best": first[1]}],
            },
            {
                "label": "At a glance",
                "note": "the line is 8:20",
                "cells": [
                    {"chart": strips[0], "chart_label": "One steady line at 8:20"},
                    {"chart": strips[1], "chart_label": "Starts sooner, later every day"},
                ],
            },
            {
                "label": "Device changes",
                "note": "",
                "cells": [{"text": "None", "best": last[0]}, {"text": "9", "best": last[1]}],
            },
        ],
    }


def _history() -> dict[str, Any]:
    rows = [
        [
            Segment(date(2023, 3, 10), date(2023, 4, 12), Level.BELOW, 0.5),
            Segment(date(2023, 4, 12), date(2023, 8, 29), Level.AT, 2.0),
        ],
        [Segment(date(2024, 4, 1), date(2024, 7, 20), Level.UNSURE, 1.0)],
        [Segment(date(2025, 3, 1), None, Level.AT, 1.0)],
    ]
    words = [
        {"name": "Sertraline", "note": "SSRI", "label": "From March to August 2023, 20 weeks at or above the minimum dose", "weeks": "20", "dose": "100 mg", "outcome": "No change", "scores": "21 to 18", "state_kind": "good", "state_word": "Counts", "evidence": "Pharmacy fills", "evidence_url": "#source"},
        {"name": "Bupropion XL", "note": "NDRI", "label": "Some time between April and July 2024, dates not sure", "weeks": "3 to 8", "dose": "300 mg", "outcome": "No change", "scores": "no score", "state_kind": "unsure", "state_word": "Can’t tell", "evidence": "Patient only"},
        {"name": "Escitalopram", "note": "SSRI", "label": "Since March 2025 at the minimum dose, still taking", "weeks": "88", "dose": "10 mg", "outcome": "Lost response", "scores": "19 to 8, then 19", "state_kind": "due", "state_word": "You decide", "state_icon": "user", "evidence": "Pharmacy fills", "evidence_url": "#source"},
    ]  # fmt: skip
    return {"chart": charts.timeline(rows, today=date(2026, 11, 23)), "trials": words}


def components() -> dict[str, Any]:
    """Everything that templates/dev/components.html shows."""
    scores = [
        Score(0, 19, "Oct 16"),
        Score(5, 20, "Oct 23"),
        Score(10, 18, "Oct 30"),
        Score(14, 15, "Nov 6"),
        Score(19, None, "Nov 13"),
        Score(24, 11, "Nov 20"),
    ]
    checks = [
        WatchCheck(2, "done", "10:02"),
        WatchCheck(40, "next", "40 min, 10:42"),
        WatchCheck(120, "to_do", "from 12:02"),
    ]
    return {
        "good_form": form(),
        "bad_form": form(refused=True),
        "course": course(),
        "proposal": proposal(),
        "accelerated": accelerated(),
        "trend": charts.trend(scores, maximum=27, remission_below=5, sessions=36),
        "trend_single": charts.trend(scores[:1], maximum=27, remission_below=5, sessions=36),
        "trend_none": charts.trend([], maximum=27),
        "history": _history(),
        "watch": charts.watch(checks, elapsed=38),
        "shifts": [(charts.shift(20), "20 later"), (charts.shift(-35), "35 earlier"), (charts.shift(0), "no change")],
        **_plans(),
    }


def front() -> dict[str, Any]:
    """A front page of an invented clinic, for tests and previews."""
    return {
        "clinic_name": "Harbor Light Clinic",
        "slogan": "",
        "start_url": "#start",
        "phone": "(714) 555-0100",
        "sign_in_url": "#sign-in",
        "how_common": "About 3 in 10 people who take medicine for depression are in this place (sources differ: 22 to 44 of 100).",
        "treatments": [
            {"name": "TMS", "text": "Magnetic pulses, while you sit awake in a chair", "how_often": "Weekdays for about six weeks, then 3, 2, 1 a week", "each_visit": "15 to 50 minutes", "drive_home": "Yes, on your own", "where": "Eastport, Westport"},
            {"name": "Esketamine nasal spray", "text": "A spray you give yourself, with a nurse near", "how_often": "Twice a week for four weeks, then less often", "each_visit": "At least 2 hours", "drive_home": "No. Bring a ride", "where": "Eastport"},
            {"name": "Ketamine by drip", "text": "Into a vein. Not FDA-approved for depression", "how_often": "About six times in two to three weeks", "each_visit": "About 2 hours", "drive_home": "No. Bring a ride", "where": "Southport"},
            {"name": "Medicine review", "text": "A doctor looks at dose, time, mix and side effects", "how_often": "A visit, then checks at 2, 4 and 6 weeks", "each_visit": "30 to 60 minutes", "drive_home": "Yes", "where": "All three, or by video"},
            {"name": "Talk therapy", "text": "CBT, DBT or IPT with a trained therapist", "how_often": "Once a week", "each_visit": "50 minutes", "drive_home": "Yes", "where": "All three, or by video"},
        ],
        "facts": [{"question": "How well does TMS work?", "answer": "Studies differ by kind. In open studies 40 to 60 of 100 people got at least half better (response).", "url": "#sources", "link": "Sources and our own numbers"}],
        "sites": [
            {"name": "Eastport", "treatments": "TMS, esketamine, medicine review, talk therapy", "starts": ["Full TMS courses can start November 30"], "hours": "Weekdays 7 am to 6 pm", "address": "12 Pier Road, Eastport", "url": "#east"},
            {"name": "Westport", "treatments": "TMS, medicine review, talk therapy", "starts": ["Full TMS courses can start December 1"], "hours": "Weekdays 8 am to 5 pm", "url": "#west"},
            {"name": "Southport", "treatments": "Ketamine by drip, medicine review, talk therapy", "starts": [], "no_course": "No TMS here. Nearest: Eastport", "url": "#south"},
        ],
        "video_note": "Video visits for medicine review and talk therapy, anywhere in the state.",
    }  # fmt: skip
