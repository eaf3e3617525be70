"""Where a finding comes from, as people read it: the rule by its name, the works behind it, how sure each is. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from clinic.eligibility import words
from clinic.eligibility.engine import knowledge

# The engine names a table, then the place in it: `safety_screens.tms_screen.fainting: tass; recalled`.
_NAMED = re.compile(r"(?P<table>[a-z_]+)(?:\.(?P<path>[\w.]+))?(?:: (?P<rest>.+))?", re.DOTALL)
_WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")

TABLES = {
    "trial_adequacy": "Rules of counting",
    "antidepressants": "Table of medicines",
    "other_medicines": "Table of other medicines",
    "interactions": "Table of interactions",
    "safety_screens": "Safety screens",
    "treatment_options": "Table of treatments",
    "instruments": "Instrument",
}
_SECTIONS = {
    "tms_screen": "TMS screen",
    "esketamine_screen": "Esketamine screen",
    "iv_ketamine": "IV ketamine screen",
    "urgent_flags": "Urgent flags",
}
_ENTRIES = {
    "definitions_of_trd": "definitions of TRD",
    "min_duration_weeks": "least weeks at dose",
    "adherence": "taken as prescribed",
    "response": "what counts as a response",
    "episode_scope": "which episode",
    "psychotherapy_adequacy": "what makes talk therapy adequate",
    "pseudo_resistance_checks": "other causes",
    "maudsley_staging_method": "Maudsley staging method",
    "bp_pre_dose": "blood pressure before the dose",
    "mdq": "MDQ",
}
# Sections of a table that hold an entry, where the entry's own name does not say it.
_HOLDERS = {
    "min_duration_weeks": "parameters",
    "adherence": "parameters",
    "response": "parameters",
    "episode_scope": "parameters",
    "maudsley_staging_method": "staging_models",
}
WORKS = {
    "apa_2017": "APA consensus 2017",
    "athf_lf": "ATHF long form 2001",
    "athf_long_form": "ATHF long form",
    "athf_sf": "ATHF-SF 2019",
    "bcbs_mp170": "BCBS MP-170 2024",
    "caremark": "Caremark",
    "caremark_spravato": "Caremark 2025",
    "cigna": "Cigna",
    "cochrane": "Cochrane",
    "cochrane_psych": "Cochrane 2018",
    "columbia": "Columbia screener 2021",
    "consensus_2021": "Expert consensus 2021",
    "cpic_drug_table": "CPIC 2020",
    "ctmss": "Clinical TMS Society 2016",
    "dm_trd": "Dutch Measure 2016",
    "document_a": "patient article",
    "document_b": "clinic article",
    "ema": "EMA 2013",
    "ema_guideline": "EMA 2013",
    "fda_compounded": "FDA on compounded ketamine 2023",
    "fda_label": "US prescribing information",
    "fda_label_trials": "FDA 2018",
    "fda_rems": "FDA REMS 2025",
    "fda_trd": "FDA 2018",
    "gepirone_monograph": "Exxua label 2023",
    "gmtrd_consensus": "Expert consensus 2021",
    "lumateperone_news": "lumateperone approval 2025",
    "mcintyre_2021": "McIntyre and others 2021",
    "mcmaster_textbook": "McMaster textbook 2020",
    "mdd_dosing_table": "MGH dosing card 2019",
    "medical_mutual": "Medical Mutual",
    "mgh_atrq": "MGH-ATRQ 2010",
    "mgh_staging": "Fava 2003",
    "msm": "Maudsley framework 2018",
    "payer_policies": "policies of payers 2026",
    "qualchoice_bi734": "QualChoice BI734 2024",
    "rems_form": "Spravato REMS form 2024",
    "rossi_2009": "Rossi and others 2009",
    "rossi_2021": "Rossi and others 2021",
    "sforzini": "Sforzini and others 2022",
    "spravato_label": "Spravato label",
    "spravatohcp": "Spravato for professionals 2025",
    "stard": "STAR*D 2009",
    "tass": "TMS Adult Safety Screen",
    "thase_rush": "Thase and Rush 1997",
    "tms_clinic_lists": "lists of TMS clinics 2024",
    "uptodate_table": "UpToDate 2019",
}


@dataclass(frozen=True)
class Citation:
    """A source. `table` and `place`: the entry of the catalogue and the spot on its page; both empty where it is no table of ours."""

    name: str
    rest: str
    table: str = ""
    place: str = ""

    @property
    def text(self) -> str:
        """Name and rest in one line."""
        return "; ".join(part for part in (self.name, self.rest) if part)


def cite(source: str | Mapping[str, Any]) -> Citation:
    """A source as an assessment keeps it, in words: the text of a finding, or the row of a trial."""
    if isinstance(source, str):
        return _cite(source)
    found = _cite(str(source["source"]))
    sure = [works(str(source["verified"]))] if source.get("verified") else []
    if source.get("confidence"):
        sure.append(f"{source['confidence']} confidence")
    if source.get("title"):
        return Citation(str(source["title"]), "; ".join(sure))
    return Citation(found.name, "; ".join(sure), found.table, found.place)


@cache
def _cite(source: str) -> Citation:
    found = _NAMED.fullmatch(source)
    if found is None or found["table"] not in TABLES:
        return Citation(words.sentence(source), "")
    table, path = found["table"], (found["path"] or "").split(".")
    name = _SECTIONS.get(path[0]) or TABLES[table]
    entry = path[-1] if path[-1] not in (*_SECTIONS, "") else ""
    if entry:
        name = f"{name}: {_ENTRIES.get(entry) or words.plain(entry)}"
    rest = re.sub(r"^clinic;", "practice of clinics;", found["rest"] or "")
    return Citation(name, works(rest), table, _place(table, path))


def works(text: str) -> str:
    """Each key of a work by the work's short name."""
    return _WORD.sub(lambda word: WORKS.get(word[0], words.plain(word[0])), text)


def _place(table: str, path: list[str]) -> str:
    """The spot on the page of a table: `counting_rules.combination`, `antidepressants.sertraline`."""
    entry = path[-1]
    content = knowledge.antidepressants() if table == "antidepressants" else {}
    for section in ("antidepressants", "augmentation_agents"):
        if any(row["id"] == entry for row in content.get(section) or ()):
            return f"{section}.{entry}"
    if table == "interactions":
        section = "pairs" if any(row["id"] == entry for row in knowledge.interactions()["pairs"]) else "treatments"
        return f"{section}.{entry}"
    return ".".join(path) if len(path) > 1 else _HOLDERS.get(entry, entry)
