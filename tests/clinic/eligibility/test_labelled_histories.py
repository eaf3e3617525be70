"""Histories labelled by hand: every label is compared, and a failure says which one broke and on what story.

The labels were read off the rules and the drug table by a person; nothing here computes an expected answer.
"""

from collections import defaultdict
from typing import Any

import pytest

from clinic.eligibility.engine import IntakeRecord, assess
from tests.data.histories.read import BASE, cases, record_of

THEMES: dict[str, list[dict[str, Any]]] = defaultdict(list)
for case in cases():
    THEMES[case["theme"]].append(case)
CASES = [case for theme in THEMES.values() for case in theme]
# The clinical detail of a row and the public verdict that goes with it.
VERDICT_OF = {
    "adequate_failed": "adequate",
    "adequate_partial": "adequate",
    "low_dose_by_strict_source": "adequate",
    "inadequate_dose": "inadequate_dose",
    "inadequate_duration": "inadequate_duration",
    "borderline_duration": "inadequate_duration",
    "ongoing_not_yet_adequate": "inadequate_duration",
    "inadequate_adherence": "inadequate_adherence",
    "intolerance": "intolerance",
    "adequate_responded": "responded",
    "lost_response": "responded",
    "not_an_antidepressant_trial": "not_counted",
    "historic_episode": "not_counted",
    "contraindicated": "not_counted",
    "duplicate_ingredient": "duplicate",
    "unknown": "undetermined",
}
CRITERION_OF = {"met": "met", "not_met": "unmet", "undetermined": "unknown"}
TREATMENTS = ("tms", "esketamine", "iv_ketamine")


def agrees(got: str, label: str) -> bool:
    return got != label[1:] if label.startswith("!") else got == label


def row_differences(label: str, row: dict[str, Any], asked: set[str]) -> list[str]:
    first, *words = label.split()
    if first == "any":
        verdict, detail = words.pop(0), None
    else:
        verdict, detail = VERDICT_OF[first], first
    wrong = []
    if row["verdict"] != verdict:
        wrong.append(f"verdict {row['verdict']}, labelled {verdict}")
    if VERDICT_OF[row["detail"]] != row["verdict"] or (detail and row["detail"] != detail):
        wrong.append(f"detail {row['detail']}, labelled {detail or verdict}")
    reasons = {why["code"] for why in row["why"]}
    if not reasons:
        wrong.append("no reason")
    if verdict == "undetermined":
        reasons = {why["field"] for why in row["why"] if why.get("field")} | asked
    return wrong + [f"{word} is not among the reasons {sorted(reasons)}" for word in words if word not in reasons]


def differences(case: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What the answer has otherwise than the labels, in words."""
    label = case["label"]
    trd = found["trd"]
    asked = {ask["field"] for ask in found["ask"]}
    wrong = []
    if "trd" in label and not agrees(trd["verdict"], label["trd"]):
        wrong.append(f"TRD {trd['verdict']}, labelled {label['trd']}")
    if trd["adequate_trials"] != label["adequate"]:
        wrong.append(f"{trd['adequate_trials']} adequate trials, labelled {label['adequate']}")

    criteria = dict(BASE["labels"]["criteria"])
    if label.get("trd") in CRITERION_OF:
        criteria["adequate_trials"] = CRITERION_OF[label["trd"]]
    status = {finding["code"]: finding["status"] for finding in trd["findings"]}
    for code, expected in (criteria | label.get("criteria", {})).items():
        if not agrees(status.get(code, "absent"), expected):
            wrong.append(f"criterion {code} {status.get(code)}, labelled {expected}")
    wrong += [f"no note {code}" for code in label.get("notes", []) if code not in status]
    wrong += [f"note {code}, labelled none" for code in label.get("no_notes", []) if code in status]

    if len(found["trials"]) != len(label["rows"]):
        wrong.append(f"{len(found['trials'])} rows, labelled {len(label['rows'])}")
    for row, expected in zip(found["trials"], label["rows"], strict=False):
        asked_of_row = {field.split(".", 1)[1] for field in asked if field.startswith(f"trials[{row['index']}].")}
        wrong += [f"trial {row['index']}: {each}" for each in row_differences(expected, row, asked_of_row)]
    for row, ingredient in zip(found["trials"], label.get("ingredients", []), strict=False):
        if row["ingredient"] != ingredient:
            wrong.append(f"trial {row['index']}: ingredient {row['ingredient']}, labelled {ingredient}")

    path = label.get("path", {})
    path = dict.fromkeys(TREATMENTS, path) if isinstance(path, str) else path
    for treatment, expected in path.items():
        got = found["pathways"][treatment]["verdict"]
        if not agrees(got, expected):
            codes = [finding["code"] for finding in found["pathways"][treatment]["findings"]]
            wrong.append(f"{treatment} {got} {codes}, labelled {expected}")

    urgent = label.get("urgent", BASE["labels"]["urgent"])
    if found["urgent"]["flag"] is not urgent:
        wrong.append(f"urgent {found['urgent']}, labelled {urgent}")

    if "staging" in label:
        staging = found["staging"]["maudsley"]
        if label["staging"] is None or staging is None:
            if staging != label["staging"]:
                wrong.append(f"staging {staging}, labelled {label['staging']}")
        else:
            got = staging["points"] | staging
            wrong += [f"staging {key} {got[key]}, labelled {n}" for key, n in label["staging"].items() if got[key] != n]

    policies = {policy["id"]: policy for policy in found["policies"]}
    for name, expected in label.get("policies", {}).items():
        if name not in policies:
            wrong.append(f"policy {name} was not checked")
            continue
        status = {finding["code"]: finding["status"] for finding in policies[name]["findings"]}
        got = status | {"verdict": policies[name]["verdict"]}
        wrong += [f"{name} {key} {got.get(key)}, labelled {n}" for key, n in expected.items() if got.get(key) != n]

    return wrong + [f"{field} is not asked" for field in label.get("ask", []) if field not in asked]


def broken_labels(case: dict[str, Any]) -> list[str]:
    by_payer_name = (case.get("record") or {}).get("payer")
    policies = () if by_payer_name else tuple(case["label"].get("policies", ()))
    record = IntakeRecord.model_validate(record_of(case))
    found = assess(record, ruleset=case.get("ruleset", "default"), policies=policies).to_json()
    return differences(case, found)


@pytest.mark.parametrize("theme", THEMES)
def test_histories(theme):
    wrong = {f"{case['id']}, {case['story']}": broken_labels(case) for case in THEMES[theme]}
    wrong = {story: labels for story, labels in wrong.items() if labels}
    assert not wrong, "\n".join(f"{story}: {'; '.join(labels)}" for story, labels in wrong.items())


def test_there_are_enough_histories_and_every_name_is_its_own():
    assert len(CASES) >= 200
    assert len({case["id"] for case in CASES}) == len(CASES)


def test_every_verdict_and_every_answer_about_resistance_is_labelled_somewhere():
    rows = {VERDICT_OF.get(label.split()[0], label.split()[-1]) for case in CASES for label in case["label"]["rows"]}
    assert rows == set(VERDICT_OF.values())
    assert {case["label"].get("trd") for case in CASES} >= {"met", "not_met", "undetermined"}
