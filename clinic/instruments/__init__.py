"""Questionnaires: their items where these are free, how they are scored, and what a change means. Pure."""

from clinic.instruments.scoring import (
    CSSRS_ANSWERS,
    BadAnswers,
    Instrument,
    Response,
    band,
    keys,
    load,
    response,
    score,
    shared,
)

__all__ = [
    "CSSRS_ANSWERS",
    "BadAnswers",
    "Instrument",
    "Response",
    "band",
    "keys",
    "load",
    "response",
    "score",
    "shared",
]
