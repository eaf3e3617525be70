"""How a form is shown: answers in rows, what another tab changed, and what happens next after a safety answer."""

from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from clinic.instruments.wording import Wording, is_published, wording
from clinic.intake import consents, drugs, forms, frame, pages, queries
from clinic.intake.forms import FORMS, PageForm
from clinic.intake.models import Intake
from clinic.intake.queries import EMPTY, Leaf
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.tasks.help import promises as promises
from clinic.web import context, i18n, scales

SCALES = {"phq9": "phq9", "cssrs": "cssrs", "gad7": "gad7", "ptsd": "pcptsd5", "alcohol": "audit_c"}
STEPS: dict[int, type[PageForm]] = {1: forms.DoseForm, 2: forms.OutcomeForm, 3: forms.LastForm, 4: forms.StepsForm}


def masked(patient: Patient | None) -> list[str]:
    """Where a link goes, as the owner knows it and nobody else learns it."""
    if patient is None:
        return []
    found = []
    if patient.email:
        name, _at, domain = patient.email.partition("@")
        found.append(f"{name[:1]}***@{domain}")
    if patient.phone:
        found.append(_("the phone that ends in %(digits)s", digits=patient.phone[-4:]))
    return found


def form_of(form_class: type[PageForm], intake: Intake, formdata: Any) -> PageForm:
    """The form of a page, with this person's date and the sites to choose from."""
    places = forms.place_names(locations.active()) if form_class is forms.PlacesForm else None
    return form_class(formdata, today=queries.today(intake), places=places)


def names_on(form_class: type[PageForm], intake: Intake) -> list[str]:
    """All fields that a page may hold, also those that this medicine is not asked."""
    return [name for name, _field in form_class(None, today=queries.today(intake))._unbound_fields]


def medicine_list(intake: Intake) -> list[dict[str, Any]]:
    """The list so far: brand and generic name, and the little that tells the rows apart."""
    found = []
    for row in queries.trials(intake.id):
        leaf = queries.trial_leaf(row)
        dose = leaf.values.get("dose", "")
        when = forms.dates_row(form_of(forms.OutcomeForm, intake, forms.stored(leaf.values)))
        facts = [f"{dose} mg" if dose.replace("-", "").replace(".", "").isdigit() else dose, when.answer]
        found.append(
            {
                "key": row.key,
                "name": drugs.named(leaf.values.get("drug", "")).shown or _("No name yet"),
                "facts": ", ".join(filter(None, facts)),
                "is_complete": leaf.is_complete,
            }
        )
    return found


def parts(intake: Intake, saved: dict[str, Leaf]) -> list[dict[str, Any]]:
    """Every answer by part and page, gaps too, with the way to change it."""
    answers = {key: leaf.values for key, leaf in saved.items()}
    found: list[dict[str, Any]] = []
    for key in pages.flow(answers, age(intake, answers)):
        about = pages.PAGES[key]
        if not found or found[-1]["title"] != _(about.title):
            found.append({"title": _(about.title), "pages": [], "medicines": None})
        part = found[-1]
        if key == pages.MEDICINES:
            part["medicines"] = medicine_rows(intake)
            part["none"] = bool(answers.get(key, {}).get("none"))
            part["url"] = frame.address("medicines")
            continue
        leaf = saved.get(key, EMPTY)
        form = form_of(FORMS[key], intake, forms.stored(leaf.values) if leaf.values else None)
        rows, words = list(form.rows()), scale_of(key)
        lang = words.language if words and words.language != i18n.language() else ""
        heading = _(about.heading) if about.heading else ""
        url = address(key, to=pages.REVIEW)
        part["pages"].append({"key": key, "heading": heading, "rows": rows, "lang": lang, "url": url})
    return found


def scale_of(page: str) -> Wording | None:
    """The questionnaire of a page, in the page's language where it was published."""
    key = "phq9" if page == "difficulty" else SCALES.get(page.split("-")[0])
    return scales.shown(key) if key else None


def shown_in_english(intake: Intake, saved: dict[str, Leaf]) -> list[str]:
    """Names of the questionnaires on the saved pages that this person was shown in English, for want of a published form."""
    asked = {SCALES.get(page.split("-")[0]) for page in saved} - {None}
    return [
        wording(key, i18n.DEFAULT).name for key in sorted(filter(None, asked)) if not is_published(key, intake.language)
    ]


def medicine_rows(intake: Intake) -> list[dict[str, Any]]:
    """Every medicine with all its answers."""
    found = []
    for row in queries.trials(intake.id):
        values = queries.trial_leaf(row).values
        steps = pages.medicine_steps(values)
        lines = [line for step in steps for line in form_of(STEPS[step], intake, forms.stored(values)).rows()]
        url = frame.address("medicine", key=row.key, step=1, to=pages.REVIEW)
        name = drugs.named(values.get("drug", "")).shown or _("No name yet")
        found.append({"name": name, "rows": lines, "url": url})
    return found


def differences(here: PageForm, there: PageForm) -> list[tuple[str, str, str]]:
    """Question, answer on this page, answer saved in the other place."""
    nothing = _("no answer")
    ours, theirs = ({row.question: row.answer or nothing for row in form.rows()} for form in (here, there))
    return [
        (question, ours.get(question, nothing), theirs.get(question, nothing))
        for question in ours | theirs
        if ours.get(question, nothing) != theirs.get(question, nothing)
    ]


def address(page: str, to: str = "") -> str:
    """Where a page is; `to`: where saving it leads."""
    if page in (pages.MEDICINES, pages.REVIEW):
        return frame.address(page)
    return frame.address("page", page=page, to=to or None)


def consent_rows(patient_id: int) -> list[dict[str, Any]]:
    """Every consent text with the newest answer to it, also those that were not asked."""
    given = {row.consent: row for row in queries.consent_answers(patient_id)}
    channels = patients.consents(patient_id)
    rows = []
    for key in consents.KEYS:
        row, text = given.get(key), consents.shown(key, i18n.language())
        granted = channels.get(key) if key in consents.CHANNELS else row.granted if row else None
        rows.append(
            {
                "key": key,
                "title": text.title,
                "text": text.text,
                "granted": granted,
                "version": row.version if row else None,
                "language": row.language if row else None,
                "answered_at": row.answered_at if row else None,
                "is_newer": row is not None and row.version != text.version,
                "is_channel": key in consents.CHANNELS,
            }
        )
    return rows


def age(intake: Intake, answers: pages.Pages) -> int | None:
    """Full years today, where the birth date is known."""
    born = queries.born(intake, answers)
    return pages.age_on(born, queries.today(intake)) if born else None


def clock12(at: datetime | None, intake: Intake) -> str:
    """`10:41 am` on this person's wall; nothing for a page that was never saved."""
    return str(context.clock12(at, queries.tz_of(intake))) if at else ""
