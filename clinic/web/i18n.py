"""The language of a page: patients read English or Spanish, staff pages are English.

A choice by the link on a page goes before what is stored about the person, that before what the browser asks for. A
choice that was made before we know whose it is waits in a cookie and is stored as soon as we do.
"""

from collections.abc import Callable
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, current_app, g, has_request_context, redirect, request
from flask_babel import Babel, Domain, get_locale, refresh
from sqlalchemy.exc import SQLAlchemyError

from clinic.db import db
from clinic.web import access, cookies
from clinic.web.access import Audience, PatientCaller

LANGUAGES = {"en": "English", "es": "Español"}
DEFAULT = "en"
HALVES = {"en": ("am", "pm"), "es": ("a.\u00a0m.", "p.\u00a0m.")}  # of the day; a line does not break inside
PARAMETER = "lang"
COOKIE = "daybreak_language"
COOKIE_LASTS = 365 * 24 * 3600
FOLDER = Path(__file__).parent.parent / "translations"
STAFF_PATHS = ("/staff", "/api", "/dev")
_KEPT = ".kept"  # ends the cookie's value once the choice is stored with the person: it is not stored again


class Keeper(NamedTuple):
    """Where a feature keeps a person's language. Lower `order` is asked first.

    `read` answers None where this caller has none there; `keep` writes a choice with its audit event.
    """

    order: int
    read: Callable[[PatientCaller], str | None]
    keep: Callable[[PatientCaller, str], None]


KEEPERS: list[Keeper] = []


class _Catalogs(Domain):  # type: ignore[misc]  # flask_babel has no types
    """Words out of the .po files themselves: nothing is compiled, so nothing can be stale or missing."""

    def get_translations(self) -> NullTranslations:
        locale = get_locale()
        return catalog(str(locale)) if locale is not None else NullTranslations()


class _Babel(Babel):  # type: ignore[misc]
    @cached_property
    def domain_instance(self) -> Domain:
        return _Catalogs()


@cache
def catalog(language: str) -> NullTranslations:
    """The words of a language; English is the text itself."""
    path = FOLDER / language / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as source:
        messages = read_po(source, locale=language)
    binary = BytesIO()
    write_mo(binary, messages)
    binary.seek(0)
    return Translations(binary)


def init_app(app: Flask) -> None:
    """Choose a language for every page. Comes after the sign-ins, whose callers it asks about."""
    _Babel(app, locale_selector=language)
    app.before_request(_settle)
    app.after_request(_say)
    app.context_processor(lambda: {"lang": language(), "languages": _switch()})


def add_keeper(
    order: int, read: Callable[[PatientCaller], str | None], keep: Callable[[PatientCaller, str], None]
) -> None:
    """Let a feature keep the language of the people that it knows."""
    KEEPERS.append(Keeper(order, read, keep))
    KEEPERS.sort(key=lambda keeper: keeper.order)


def language() -> str:
    """`en` or `es`: what this request is answered in."""
    if not has_request_context():
        return DEFAULT
    if "language" not in g:
        g.language = DEFAULT  # what is asked below may itself want words
        g.language = _chosen() if is_for_patients() else DEFAULT
    return str(g.language)


def suggest(wanted: str | None) -> None:
    """Show this request in the language of the person whom a link names, unless another was chosen here."""
    if wanted in LANGUAGES:
        g.language_of_link = wanted
        g.pop("language", None)
        refresh()


def is_for_patients() -> bool:
    """Whether this request's page is read by patients and visitors, and not by staff or programs."""
    if request.path.startswith(STAFF_PATHS) or (request.endpoint or "").startswith("security."):
        return False
    declared = access.declared(current_app, request.endpoint) if request.endpoint else None
    if declared is not None:
        return declared.audience in (Audience.PATIENT, Audience.PUBLIC)
    return g.get("staff") is None or g.get("patient") is not None


def _chosen() -> str:
    return (
        _stored()
        or _in_cookie()
        or g.get("language_of_link")
        or request.accept_languages.best_match(list(LANGUAGES))
        or DEFAULT
    )


def _keeper() -> tuple[Keeper, str] | None:
    """Who keeps the language of this caller, and which one it is. Nobody, where the database does not answer."""
    caller = g.get("patient")
    if caller is None or g.get("database_down"):
        return None
    try:
        for keeper in KEEPERS:
            found = keeper.read(caller)
            if found in LANGUAGES:
                return keeper, str(found)
    except SQLAlchemyError:
        db.session.rollback()
        g.database_down = True
    return None


def _stored() -> str | None:
    found = _keeper()
    return found[1] if found else None


def _in_cookie() -> str | None:
    value = (cookies.read(COOKIE) or "").removesuffix(_KEPT)
    return value if value in LANGUAGES else None


def _settle() -> Any:
    """Take a choice out of the address, or one that waits in the cookie; store it where we know whose it is."""
    if request.endpoint == "static" or not is_for_patients():
        return None
    asked = request.args.get(PARAMETER) if request.method == "GET" else None
    choice = asked if asked in LANGUAGES else None
    is_kiosk = g.get("patient") is not None and g.patient.is_kiosk
    if choice is None and not is_kiosk and not (cookies.read(COOKIE) or "").endswith(_KEPT):
        choice = _in_cookie()  # on a clinic's device it may be that of the person before
    found = _keeper() if choice else None
    if choice and found:
        keeper, stored = found
        if stored != choice:
            keeper.keep(g.patient, choice)
        g.language_cookie = "" if is_kiosk else choice + _KEPT  # a clinic's device serves the next person too
    elif asked in LANGUAGES:
        g.language_cookie = choice
    if asked is None:
        language()  # settled before anything is written: a page about a failed write asks no more questions
        return None
    g.pop("language", None)
    return redirect(_here({name: values for name, values in request.args.lists() if name != PARAMETER}))


def _here(arguments: dict[str, list[str]]) -> str:
    """This page's address. One leading slash, and what a browser would drop is encoded: two would be another site."""
    query = urlencode(arguments, doseq=True)
    return quote("/" + request.path.lstrip("/\\"), safe="/!$&'()*+,:;=@~") + (f"?{query}" if query else "")


def _switch() -> list[dict[str, Any]]:
    """The languages with the address of this page in each; none on staff pages."""
    if not has_request_context() or not is_for_patients():
        return []
    now = language()
    may_get = request.url_rule is None or "GET" in (request.url_rule.methods or ())
    kept = {name: values for name, values in request.args.lists() if name != PARAMETER}
    return [
        {
            "code": code,
            "name": name,
            "url": _here({**kept, PARAMETER: [code]}) if may_get else f"/?{PARAMETER}={code}",
            "current": code == now,
        }
        for code, name in LANGUAGES.items()
    ]


def _say(response: Response) -> Response:
    """Tell browsers and caches which language this is, and what it depends on."""
    if response.mimetype == "text/html" and request.endpoint != "static":
        response.headers["Content-Language"] = language()
        if is_for_patients():
            response.vary.update(("Accept-Language", "Cookie"))
    cookie = g.get("language_cookie")
    if cookie:
        cookies.write(response, COOKIE, cookie, seconds=COOKIE_LASTS)
    elif cookie == "":
        cookies.forget(response, COOKIE)
    return response
