"""Words in a patient's language on a request that is answered in another."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import g
from flask_babel import force_locale

from clinic.web import i18n


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Inside, texts and dates are in this language."""
    before = i18n.language()
    g.language = language
    try:
        with force_locale(language):
            yield
    finally:
        g.language = before
