"""Demo: summaries that were released, what the people asked, items of their plans, and a referral."""

import uuid
from datetime import date, timedelta

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.care import drafting, noting, operations, planning, referring
from clinic.care.referring import NewReferral
from clinic.care.speaking import speaking
from clinic.eligibility import queries as eligibility
from clinic.patients import queries as patients

RELEASED = {14: "declined", 15: "approved", 27: "in a course"}  # by the person's number: where they stand
SEED = 20261121
STEPS = {
    "en": "Talk with your doctor about how it goes, and choose the next step.",
    "es": "Hable con su médico sobre cómo va y elijan el siguiente paso.",
}

ITEMS = {
    "en": (
        "Walk for 20 minutes, three days a week",
        "Same time to bed and up, also on weekends",
        "CBT: twelve visits with a trained therapist",
        "Look at the check-ins and decide how to go on",
    ),
    "es": (
        "Caminar 20 minutos, tres días a la semana",
        "Acostarse y levantarse a la misma hora, también el fin de semana",
        "TCC: doce citas con un terapeuta",
        "Ver los cuestionarios y decidir cómo seguir",
    ),
}


def write_notes(staff_id: int, by: Actor, today: date) -> None:
    """What the clinic says of two treatments."""
    demo = {"en": "Demo clinic, not a real price or plan", "es": "Clínica de muestra, no es un precio ni un plan real"}
    for option, field, language, text in (
        ("tms", "cover", "en", "Most plans ask for a letter first. We write it and send it."),
        ("tms", "cover", "es", "Casi todos los planes piden primero una carta. La escribimos y la enviamos."),
        ("iv_ketamine", "cost", "en", "You pay for each visit. Ask us for the price list."),
        ("iv_ketamine", "cost", "es", "Usted paga cada visita. Pídanos la lista de precios."),
    ):
        noting.write(
            option,
            field,
            language,
            text=text,
            source=demo[language],
            as_of=today,
            staff_id=staff_id,
            by=by,
        )


def release_summary(patient_id: int, number: int, *, on: date, staff_id: int, by: Actor) -> None:
    """The summary of one person as a clinician released it."""
    row = eligibility.present_assessment(patient_id)
    assert row is not None
    language = patients.get(patient_id).language
    with speaking(language):
        content = drafting.build(row.result, row.record)
    content["options"] = ["tms", "esketamine", "psychotherapy_augmentation", "augmentation"]
    revision = operations.start_draft(patient_id, row.id, content, language=language, staff_id=staff_id, by=by)
    revision = operations.save_draft(
        patient_id, content, next_step=STEPS[language], next_step_on=on, revision=revision, staff_id=staff_id, by=by
    )
    operations.release(patient_id, revision=revision, staff_id=staff_id, by=by)
    _plan(patient_id, on, language, staff_id=staff_id, by=by)
    if RELEASED[number] == "declined":
        _ask(patient_id, number, "trial 1", "I think I took it longer. How can I find out?")
        referring.add(
            patient_id,
            NewReferral(
                direction="in",
                about=referring.CARE,
                name="Dr. Rowan Example",
                organization="Example Family Medicine",
                contact="+17145550199",
                may_share=True,
                referred_on=clock.today("America/Los_Angeles") - timedelta(days=9),
            ),
            staff_id=staff_id,
            by=by,
        )
    elif RELEASED[number] == "approved":
        _ask(patient_id, number, "option esketamine", "")
        referring.add(
            patient_id,
            NewReferral(direction="out", about="psychotherapy_augmentation", name="Example Therapy Group"),
            staff_id=staff_id,
            by=by,
        )


def _plan(patient_id: int, on: date, language: str, *, staff_id: int, by: Actor) -> None:
    walk, bed, talk, look = ITEMS[language]
    for kind, text, for_patient, due in (
        ("exercise", walk, True, None),
        ("sleep", bed, True, None),
        ("psychotherapy", talk, True, None),
        ("decision_point", look, True, on + timedelta(days=28)),
        ("medication", "Level and dose: look again", False, on + timedelta(days=14)),
    ):
        planning.add(patient_id, kind=kind, text=text, for_patient=for_patient, due_on=due, staff_id=staff_id, by=by)


def _ask(patient_id: int, number: int, about: str, text: str) -> None:
    key = str(uuid.UUID(int=SEED + number))
    operations.ask(patient_id, about=about, text=text, form_key=key, by=Actor(ActorKind.PATIENT, str(patient_id)))
