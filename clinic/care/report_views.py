"""Staff: who has no next step, outcomes, and what the clinic says of treatments."""

from dataclasses import replace
from datetime import date
from typing import Any

from flask import flash, redirect, render_template, request, url_for

from clinic import clock
from clinic.care import (
    forms,
    noting,
    options,
    queries,
    rates,
)
from clinic.care.blueprint import bp
from clinic.care.staff_pages import LANGUAGE_WORDS, lay_fault
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.protocols.base import catalogue
from clinic.staff.models import Role
from clinic.web import access, context, tables
from clinic.web.access import current_actor, current_staff
from clinic.web.arguments import row_id

READERS = (Role.MANAGER, Role.PRESCRIBER, Role.NURSE)
PAGE = 50
context.NAV.append(("Reports", "care.next_steps", frozenset(map(str, READERS))))


@bp.get("/staff/reports/next-steps")
@access.staff(*READERS)
def next_steps() -> Any:
    """People under care with nothing dated ahead."""
    now, staff = clock.now(), current_staff()
    rows = queries.without_next_step(
        now,
        clock.today(locations.clinic_tz()),
        location_ids=staff.location_ids,
        after_id=request.args.get("after", 0, type=row_id),
        limit=PAGE + 1,
    )
    more = len(rows) > PAGE
    return render_template(
        "care/next_steps.html",
        rows=rows[:PAGE],
        next_url=url_for(".next_steps", after=rows[PAGE - 1].patient_id) if more else "",
        is_first="after" not in request.args,
        more=more,
        now=now,
        tz=locations.clinic_tz(),
    )


# What a treatment is called in the catalog of options, whose published figures stand beside.
FIGURES_OF = {"tms": "tms", "esketamine": "esketamine", "iv_ketamine": "iv_ketamine"}


@bp.get("/staff/reports/outcomes")
@access.staff(*READERS)
def outcomes() -> Any:
    """The clinic's own response and remission, with how many are missing, beside the published figures."""
    found = _outcomes()
    return render_template(
        "care/outcomes.html",
        **found,
        few=rates.FEW,
        public_from=rates.PUBLIC_FROM,
        csv_url=url_for(".outcomes_csv") + (f"?{request.query_string.decode()}" if request.query_string else ""),
    )


SHARES = ("response", "response_percent", "remission", "remission_percent")
COLUMNS = ("group", "ended_from", "ended_until", "courses", "known", "missing", *SHARES)


@bp.get("/staff/reports/outcomes.csv")
@access.staff(*READERS, fresh=True)
def outcomes_csv() -> Any:
    """The same as a file: one line a group, small groups without a rate."""
    found = _outcomes()
    rows = []
    for shown in found["groups"]:
        own = shown.rates
        counts = (
            ["suppressed"] * 4
            if shown.is_suppressed
            else [own.response, shown.response, own.remission, shown.remission]
        )
        rows.append([shown.label, found["since"], found["until"], own.courses, own.known, own.missing, *counts])
    return tables.download("outcomes.csv", COLUMNS, rows)


def _outcomes() -> dict[str, Any]:
    """Groups of ended courses by what was asked for: all, then each site and protocol."""
    staff, tz = current_staff(), locations.clinic_tz()
    today = clock.today(tz)
    names = {key: name for key, name in locations.names().items() if key in staff.location_ids}
    site = request.args.get("site", type=int)
    site = site if site in names else None
    protocols = dict(catalogue())
    protocol = request.args.get("protocol") if request.args.get("protocol") in protocols else None
    since, until = _day("from", None), _day("to", None)
    which = rates.Which(
        location_ids=frozenset({site}) if site else frozenset(names),
        protocol=protocol,
        ended_from=since,
        ended_until=until,
        tz=tz,
    )
    now = clock.now()
    everything = rates.Shown("All that was asked for", rates.clinic_rates(now, which))
    groups = [everything]
    if site is None and len(names) > 1:
        groups += rates.hidden(
            [
                rates.Shown(name, rates.clinic_rates(now, replace(which, location_ids=frozenset({key}))))
                for key, name in names.items()
            ]
        )
    if protocol is None:
        groups += rates.hidden(
            [
                rates.Shown(one.name, rates.clinic_rates(now, replace(which, protocol=key)))
                for key, one in protocols.items()
            ]
        )
    modality = protocols[protocol].modality if protocol else "tms"
    option = next(iter(options.catalogue([FIGURES_OF[modality]])), None)
    return {
        "groups": [everything, *(group for group in groups[1:] if group.rates.courses)],
        "own": everything,
        "published": option.figures if option is not None else (),
        "published_of": option.name if option is not None else "",
        "sites": [("", "All my sites"), *((str(key), name) for key, name in names.items())],
        "protocols": [("", "All protocols"), *((key, one.name) for key, one in protocols.items())],
        "site": str(site or ""),
        "protocol": protocol or "",
        "since": since.isoformat() if since else "",
        "until": until.isoformat() if until else "",
        "today": today,
    }


def _day(name: str, fallback: date | None) -> date | None:
    """A date of the address; anything else is no limit."""
    try:
        found = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return fallback
    return found if clock.is_near(found) else fallback


@bp.get("/staff/settings/options")
@access.staff(Role.MANAGER)
def option_notes() -> Any:
    """Cost, cover and notes by treatment, and the guide's figures in the clinic's own words."""
    found = {(row.option, row.field, row.language): row for row in queries.notes()}
    return render_template(
        "care/option_notes.html",
        choices=options.catalogue(),
        fields=noting.FIELDS,
        languages=LANGUAGE_WORDS,
        found=found,
        quotes=options.quotes(),
        guide=noting.GUIDE,
    )


@bp.route("/staff/settings/options/<option>/<field>/<language>", methods=["GET", "POST"])
@access.staff(Role.MANAGER)
def option_note(option: str, field: str, language: str) -> Any:
    """One note: what patients read, where it comes from, and when it was true."""
    quotes = options.quotes()
    if language not in LANGUAGE_WORDS:
        raise NotFound("There is no such note.")
    if field not in (quotes if option == noting.GUIDE else noting.FIELDS) or option not in (
        *options.ids(),
        noting.GUIDE,
    ):
        raise NotFound("There is no such note.")
    present = {(row.option, row.field, row.language): row for row in queries.notes([option])}.get(
        (option, field, language)
    )
    form = forms.NoteForm(obj=present)
    status = 200
    if form.is_submitted():
        status = 422
        if form.validate():
            try:
                noting.write(
                    option,
                    field,
                    language,
                    text=form.text.data or "",
                    source=form.source.data or "",
                    as_of=form.as_of.data,
                    staff_id=current_staff().id,
                    by=current_actor(),
                )
            except (Invalid, Conflict) as error:
                lay_fault(form, error)
                status = 409 if isinstance(error, Conflict) else 422
            else:
                flash("Saved. Patients see it now." if (form.text.data or "").strip() else "Taken away.")
                return redirect(url_for(".option_notes"))
    return render_template(
        "care/option_note.html",
        form=form,
        name=quotes[field].text if option == noting.GUIDE else options.names()[option],
        field=field,
        is_quote=option == noting.GUIDE,
        language=LANGUAGE_WORDS[language],
        present=present,
    ), status


def _count_without_next_step() -> int:
    staff = current_staff()
    return queries.count_without_next_step(
        clock.now(), clock.today(locations.clinic_tz()), location_ids=staff.location_ids
    )


context.add("without_next_step", lambda: _count_without_next_step)  # asked only by the page that shows it
