"""`clinic score`: one sitting of a questionnaire, or a stage, without a database."""

import sys
from typing import Any

import click

from clinic.cli import jsonio
from clinic.cli.jsonio import InputRefused, Problem

_STAGES = ("subsyndromal", "mild", "moderate", "severe_without_psychosis", "severe_with_psychosis")
_MAUDSLEY = ("duration_months", "severity", "failed_antidepressants", "augmentation_used", "ect_used")
_SEXES = ("female", "male", "other", "unknown")


def _refuse_unknown_keys(document: dict[str, Any], known: tuple[str, ...]) -> None:
    problems = [
        Problem(jsonio.json_path([key]), "unknown key") for key in document if key not in ("id", "instrument", *known)
    ]
    if "id" in document and not isinstance(document["id"], str | None):
        problems.append(Problem("$.id", "must be text"))
    if problems:
        raise InputRefused(problems)


def _maudsley(document: dict[str, Any]) -> dict[str, Any]:
    from clinic.eligibility.engine import staging

    _refuse_unknown_keys(document, _MAUDSLEY)
    months, failed = document.get("duration_months"), document.get("failed_antidepressants")
    severity = document.get("severity")
    problems = []
    if months is not None:
        number = isinstance(months, int | float) and not isinstance(months, bool)
        if not number or not 0 <= months <= 1440:
            problems.append(Problem("$.duration_months", "must be a number of months from 0 to 1440"))
    if failed is not None and (isinstance(failed, bool) or not isinstance(failed, int) or not 0 <= failed <= 300):
        problems.append(Problem("$.failed_antidepressants", "must be a whole number from 0 to 300"))
    if severity is not None and severity not in _STAGES:
        problems.append(Problem("$.severity", f"must be one of {', '.join(_STAGES)}"))
    problems += [
        Problem(f"$.{key}", "must be true or false")
        for key in ("augmentation_used", "ect_used")
        if not isinstance(document.get(key), bool | None)
    ]
    if problems:
        raise InputRefused(problems)
    return staging.maudsley(
        duration_months=months,
        severity=severity,
        failed_antidepressants=failed,
        augmentation_used=document.get("augmentation_used"),
        ect_used=document.get("ect_used"),
    )


def _questionnaire(document: dict[str, Any], key: str) -> dict[str, Any]:
    from clinic import instruments

    field = "answers" if key == "cssrs" else "items"
    _refuse_unknown_keys(document, (field, "sex") if key == "audit_c" else (field,))
    sex = document.get("sex")
    if sex is not None and sex not in _SEXES:
        jsonio.refuse("$.sex", f"must be one of {', '.join(_SEXES)}")
    if document.get(field) is None:
        jsonio.refuse(f"$.{field}", "is required")
    try:
        return instruments.score(key, document[field], sex=sex)
    except instruments.BadAnswers as fault:
        path = [fault.field] if fault.index is None else [fault.field, fault.index]
        jsonio.refuse(jsonio.json_path(path), str(fault))


def score_document(document: Any) -> dict[str, Any]:
    """The score of one request; an id is echoed. Raises InputRefused."""
    if not isinstance(document, dict):
        jsonio.refuse("$", "must be an object")
    from clinic import instruments

    key = document.get("instrument")
    known = (*instruments.keys(), "maudsley")
    if not isinstance(key, str) or key not in known:
        jsonio.refuse("$.instrument", f"must be one of {', '.join(known)}")
    found = _maudsley(document) if key == "maudsley" else _questionnaire(document, key)
    return {"id": document["id"], **found} if document.get("id") is not None else found


@click.command(short_help="Score PHQ-9, GAD-7, AUDIT-C, the Columbia screener, the Maudsley stage.")
@click.argument("file", required=False)
@click.option("--jsonl", is_flag=True, help="One request a line in, one score a line out.")
def score(file: str | None, jsonl: bool) -> None:
    """Read a request from FILE, or standard input for - or none, and print the score as JSON.

    Exit code 0: answered; 2: refused, each problem on its own line of standard error.
    """
    sys.exit(jsonio.answer(file, score_document, jsonl=jsonl))
