"""A rule set: the numbers by which trials are counted."""

from dataclasses import dataclass
from functools import cache

from clinic.eligibility.engine import knowledge


@dataclass(frozen=True)
class RuleSet:
    """Numbers of one published way of counting. Weeks are weeks at or above the least adequate dose."""

    id: str
    version: str
    min_weeks: float
    borderline_from_weeks: float
    min_trials: int
    min_dose_field: str
    forgiven_gap_weeks: float
    new_episode_after_weeks_well: float
    adherence_min_percent: float
    combination_counts_once: bool  # two antidepressants taken together are one trial
    cross_taper_counts: bool
    adult_from_years: int
    pregnancy_ages: tuple[int, int]


@cache
def ruleset(ruleset_id: str) -> RuleSet:
    """A rule set by its id. Raises KeyError for one that is not in the catalogue."""
    row = knowledge.ruleset_table(ruleset_id)
    youngest, oldest = row["pregnancy_ages"]
    return RuleSet(
        id=row["id"],
        version=row["version"],
        min_weeks=row["min_weeks"],
        borderline_from_weeks=row["borderline_from_weeks"],
        min_trials=row["min_trials"],
        min_dose_field=row["min_dose_field"],
        forgiven_gap_weeks=row["forgiven_gap_days"] / 7,
        new_episode_after_weeks_well=row["new_episode_after_weeks_well"],
        adherence_min_percent=row["adherence_min_percent"],
        combination_counts_once=row["combination"] == "one_trial",
        cross_taper_counts=row["cross_taper"] == "counts",
        adult_from_years=row["adult_from_years"],
        pregnancy_ages=(youngest, oldest),
    )
