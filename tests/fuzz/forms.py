"""Forms as a page shows them, and what nobody would fill in.

The fuzzer reads pages as a browser does, remembers their links and forms, and sends them with answers changed, left
out, repeated, from elsewhere or hostile, as every kind of caller. It also lets statements fail on the way, to see that
nothing is left half-written.
"""

import inspect
import json
import re
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect, Rule
from wtforms import Form

from clinic.db import Base, db
from clinic.patients import sites
from clinic.web.access import Access, Audience, declared

MARK = "<fuzz onload=x>"  # never stands in a page as it was sent
ELSEWHERE = ("https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)")
HOSTILE = (
    "", " ", "0", "-1", "1", "2", "7", "999999", "2147483648", "9223372036854775808", "1e400", "nan", "inf", "٣", "½", "1,5",
    "true", "on", "none", "null", "\x00", "a\x00b", "\u202e", "\U0001f600", "é" * 300, "x" * 5_000, "x" * 60_000,
    MARK, f"\">'{MARK}", "{{ 7*7 }}", "{name.__class__}", "%s%n", "' OR 1=1 --", "=HYPERLINK(1)", "a\r\nBcc: b@example.org",
    "../../etc/passwd", "2026-11-24", "2026-02-30", "0001-01-01", "9999-12-31", "24/11/2026", "2026-W48", "2026-11", "09:30", "25:61",
    "23:59:59.999", "2026-11-24T10:00:00-08:00", "2026-11-24T10:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "00000000-0000-0000-0000-000000000000", "[]", "{}", "[[[[", "a@example.org", "+17145550100", "92831", "en", "tms", *ELSEWHERE,
)  # fmt: skip
# What a refusal may still write: who was here, which tries failed, what was typed and is kept for its writer.
KEPT_ON_REFUSAL = {
    "audit_events", "staff_sessions", "patient_sessions", "sign_in_failures", "held_forms", "staff_users",
    "intake_pages", "intake_trials", "intakes", "surveys",
}  # fmt: skip
# A language chosen before waits in the cookie for a request that knows whose it is; a plan that is stale comes anew.
BESIDE = re.compile(r"UPDATE (?:patients SET language=\S+ WHERE|outages SET (?:preview|revision)=)")
WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)")
SOURCES = re.compile(r"(?:form|values|args|files)(?:\.get(?:list)?\(|\[)\s*f?\"(\w+)\"")
LONGEST = 30.0  # seconds of the processor for one request: planning may think for ten


@dataclass(frozen=True)
class Field:
    """One field with what a browser would send of it."""

    name: str
    value: str = ""
    choices: tuple[str, ...] = ()
    is_file: bool = False


@dataclass
class Shown(HTMLParser):
    """Links and forms of a page."""

    links: list[str] = field(default_factory=list)
    forms: list[tuple[str, str, list[Field]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._select: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.links += [given[name] for name in ("href", "data-url", "data-next") if name in given]
        if tag == "form":
            self.forms.append((given.get("method", "get").upper(), given.get("action", ""), []))
        elif not self.forms:
            return
        elif tag == "select":
            self._select = (given.get("name", ""), [])
        elif tag == "option" and self._select:
            self._select[1].append(given.get("value", ""))
        elif tag in ("input", "textarea", "button") and given.get("name"):
            one = Field(given["name"], given.get("value", ""), is_file=given.get("type") == "file")
            self.forms[-1][2].append(one)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select and self.forms:
            name, choices = self._select
            self.forms[-1][2].append(Field(name, choices[0] if choices else "", tuple(choices)))
            self._select = None


@dataclass
class Answer:
    """What came of one request, with all that says how to send it again."""

    caller: str
    method: str
    url: str
    data: Any
    status: int
    broke: bool  # a statement was made to fail


class Watch:
    """What a request writes, transaction by transaction, and a statement that fails when told."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.done: list[set[str]] = []
        self.fails_at = 0
        self.broke = False

    def start(self, fails_at: int = 0) -> None:
        self.open, self.done, self.fails_at, self.broke = set(), [], fails_at, False

    def statement(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if self.fails_at:
            self.fails_at -= 1
            if not self.fails_at:
                self.broke = True
                raise OperationalError(statement, {}, ConnectionError("made to fail"))
        found = WRITES.match(statement)
        if found and not BESIDE.match(statement):
            self.open.add(found[1])

    def committed(self, _session: Session) -> None:
        if self.open:
            self.done.append(self.open)
        self.open = set()

    def rolled_back(self, *_: Any) -> None:
        self.open = set()

    @contextmanager
    def listening(self) -> Iterator["Watch"]:
        heard = (
            (Engine, "before_cursor_execute", self.statement),
            (Session, "after_commit", self.committed),
            (Session, "after_rollback", self.rolled_back),
        )
        for target, name, call in heard:
            event.listen(target, name, call)
        try:
            yield self
        finally:
            for target, name, call in heard:
                event.remove(target, name, call)


class Fuzzer:
    """Asks an application as one caller after another. `problems` is empty where it held."""

    def __init__(self, app: Flask, seed: int) -> None:
        self.app, self.dice = app, Random(seed)
        self.watch = Watch()
        self.problems: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.reached: set[tuple[str, str]] = set()
        self.slowest = (0.0, "")
        self._adapter = app.url_map.bind("localhost")
        self._seen: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=30))
        self._forms: dict[str, deque[tuple[str, list[Field]]]] = defaultdict(lambda: deque(maxlen=30))
        self._rules = [
            (rule, access, method)
            for rule in app.url_map.iter_rules()
            if (access := declared(app, rule.endpoint)) is not None
            for method in sorted((rule.methods or set()) & {"GET", "POST"})
            if access.audience is not Audience.TOKEN and rule.endpoint != "static"
        ]

    def run(self, client: FlaskClient, caller: str, steps: int) -> None:
        """`steps` requests of this caller: a role, a purpose of a patient's link, or a stranger."""
        mine = [each for each in self._rules if _may(caller, each[1])]
        with self.watch.listening():
            for _ in range(steps):
                rule, _access, method = self.dice.choice(mine if self.dice.random() < 0.93 else self._rules)
                self._ask(client, caller, rule, method)

    # -- one request --------------------------------------------------------------------------------------------------

    def _ask(self, client: FlaskClient, caller: str, rule: Rule, method: str) -> None:
        url, data = self._address(rule), None
        if method == "POST":
            url, data = self._form(rule, url)
        elif self.dice.random() < 0.3:
            data = self._filled(self._named_by_source(rule.endpoint))
        headers = {"Accept": "application/json"} if self.dice.random() < 0.15 else {}
        if self.dice.random() < 0.1:
            headers["Referer"] = "http://localhost" + self._address(self.dice.choice(self._rules)[0])
        self.watch.start(self.dice.randint(1, 25) if self.dice.random() < 0.04 else 0)
        began = time.process_time()
        try:
            response = self._sent(client, method, url, data, headers)
        except Exception as error:  # noqa: BLE001 - whatever a page lets through is what is looked for
            if self.watch.broke and isinstance(error, DBAPIError):  # broke behind the view: outside of tests a 503
                self.statuses[503] += 1
                db.session.rollback()
                return
            self._note(f"{type(error).__name__}: {str(error)[:300]} at {_place(error)}", caller, method, url, data)
            db.session.rollback()
            return
        finally:
            self.watch.fails_at = 0
            if self.watch.broke:
                db.session.rollback()  # as the end of a request does; here the session outlives it
        self._slow(time.process_time() - began, f"{method} {url}")
        answer = Answer(caller, method, url, data, response.status_code, self.watch.broke)
        self.statuses[response.status_code] += 1
        if response.status_code < 400:
            self.reached.add((method, rule.endpoint))
        for problem in self._judged(answer, response):
            self._note(problem, caller, method, url, data)
        if response.mimetype == "text/html" and response.status_code in (200, 409, 422):
            self._learn(response.get_data(as_text=True), url)
        response.close()

    def _sent(self, client: FlaskClient, method: str, url: str, data: Any, headers: dict[str, str]) -> Any:
        if method == "GET":
            return client.get(url.partition("?")[0] if data is not None else url, query_string=data, headers=headers)
        kind = self.dice.random()
        if kind < 0.02:
            return client.post(url, data=b"%ff%fe=%00&=&a[", content_type="application/x-www-form-urlencoded")
        if kind < 0.04:
            return client.post(url, data=b"--x\r\nContent-Disp", content_type="multipart/form-data; boundary=x")
        if kind < 0.08:
            body = self.dice.choice((b'{"a":' * 3000, b"[1]", b'"x"', b"null", b"{", self._as_json(data)))
            return client.post(url, data=body, content_type="application/json", headers=headers)
        return client.post(url, data=data, headers=headers)

    def _as_json(self, data: MultiDict[str, Any]) -> bytes:
        odd = (1, None, [1], {"a": 1}, True, 1e300)
        return json.dumps({name: self.dice.choice((str(value), *odd)) for name, value in data.items()}).encode()

    def _judged(self, answer: Answer, response: Any) -> Iterator[str]:
        if (
            answer.status >= 500
            and not (answer.broke and answer.status == 503)
            and not answer.url.startswith("/readyz")
        ):
            yield f"status {answer.status}"
        if response.mimetype == "text/html" and MARK in response.get_data(as_text=True):
            yield "what was sent stands in the page unescaped"
        if response.location and _leaves(response.location):
            yield f"sends to {response.location!r}"
        wrote = [tables - KEPT_ON_REFUSAL for tables in self.watch.done]
        wrote = [tables for tables in wrote if tables]
        if 400 <= answer.status < 500 and wrote:
            yield f"refused with {answer.status} and wrote {wrote}"
        if answer.broke and len(wrote) > 1:
            yield f"half-written: {wrote}"

    def _note(self, problem: str, caller: str, method: str, url: str, data: Any) -> None:
        sent = [(name, str(value)[:80]) for name, value in data.items(multi=True)] if data is not None else None
        self.problems.append(f"{problem}\n    {caller}: {method} {url[:300]} {sent}")

    def _slow(self, seconds: float, what: str) -> None:
        self.slowest = max(self.slowest, (seconds, what))
        if seconds > LONGEST:
            self.problems.append(f"took {seconds:.0f} s\n    {what}")

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _address(self, rule: Rule) -> str:
        seen, luck = self._seen[rule.endpoint], self.dice.random()
        if seen and luck < 0.6:
            return self.dice.choice(seen)
        values = {name: self._part(name, converter) for name, converter in rule._converters.items()}
        try:
            return self._adapter.build(rule.endpoint, values)
        except (ValueError, TypeError):
            return "/"

    def _part(self, name: str, converter: Any) -> Any:
        kind = type(converter).__name__
        if kind == "IntegerConverter":
            known = _ids(name)
            return self.dice.choice(known) if known and self.dice.random() < 0.9 else self.dice.choice((0, 1, 2**63))
        if kind == "UUIDConverter":
            return self.dice.choice([*_ids(name), "00000000-0000-0000-0000-000000000000"])
        if kind == "AnyConverter":
            return self.dice.choice(sorted(converter.items))
        if name == "slug":
            return self.dice.choice([*_slugs(), "x"])
        if name == "on":
            return self.dice.choice(["2026-11-23", "2026-11-24", "2027-01-04", "0001-01-01", "9999-12-31", "x"])
        return self.dice.choice([word for word in HOSTILE if 0 < len(word) < 300])

    # -- forms --------------------------------------------------------------------------------------------------------

    def _form(self, rule: Rule, url: str) -> tuple[str, MultiDict[str, Any]]:
        known = self._forms[rule.endpoint]
        if known and self.dice.random() < 0.75:
            url, fields = self.dice.choice(known)
            return url, self._filled(fields)
        return url, self._filled(self._named_by_source(rule.endpoint))

    def _filled(self, fields: list[Field]) -> MultiDict[str, Any]:
        wild = self.dice.choice((0.03, 0.15, 0.6))  # of the answers
        found: MultiDict[str, Any] = MultiDict()
        for one in fields:
            luck = self.dice.random()
            if luck < wild / 4:
                continue
            for _ in range(2 if luck > 0.98 else 1):
                found.add(one.name, self._value(one, wild))
        return found

    def _value(self, one: Field, wild: float) -> Any:
        if one.is_file:
            return self._file()
        if self.dice.random() < wild:
            if one.name.endswith(("patient", "device", "session", "location", "_id", "plan", "task", "survey")):
                return str(self.dice.choice([*_ids(f"{one.name.removesuffix('_id')}_id"), 1]))
            return self.dice.choice(HOSTILE)
        return self.dice.choice(one.choices) if one.choices and self.dice.random() < 0.8 else one.value

    def _file(self) -> tuple[BytesIO, str]:
        heads = (b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"PK\x03\x04", b"<svg onload=x>")
        content = self.dice.choice(heads) + self.dice.randbytes(self.dice.choice((0, 10, 3000)))
        return BytesIO(content), self.dice.choice(("a.pdf", "../x.png", f"{MARK}.jpg", "x" * 400 + ".pdf", "a\x00.pdf"))

    def _named_by_source(self, endpoint: str) -> list[Field]:
        names = _names(getattr(inspect.unwrap(self.app.view_functions[endpoint]), "__module__", ""))
        few = self.dice.sample(names, min(len(names), self.dice.randint(0, 8)))
        return [Field(name, self.dice.choice(HOSTILE)) for name in few]

    # -- what pages teach ---------------------------------------------------------------------------------------------

    def _learn(self, html: str, url: str) -> None:
        page = Shown()
        page.feed(html)
        for link in page.links:
            self._remember(link, "GET")
        for method, action, fields in page.forms:
            action = action or url
            endpoint = self._remember(action, method)
            if endpoint and method == "POST":
                self._forms[endpoint].append((action, fields))

    def _remember(self, link: str, method: str) -> str | None:
        parts = urlsplit(link)
        if parts.netloc or not parts.path.startswith("/") or len(link) > 2000:
            return None
        try:
            endpoint, _ = self._adapter.match(parts.path, method=method)
        except (HTTPException, RequestRedirect):
            return None
        if link not in self._seen[endpoint]:
            self._seen[endpoint].append(parts.path + (f"?{parts.query}" if dict(parse_qsl(parts.query)) else ""))
        return str(endpoint)


def _leaves(location: str) -> bool:
    """Whether a browser would take it for another site. It drops tabs and line ends, and reads a backslash as a slash."""
    read = re.sub(r"[\t\r\n]", "", location).strip().replace("\\", "/")
    return not re.match(r"http://localhost/", read) and bool(re.match(r"//|[a-zA-Z][a-zA-Z0-9+.-]*:", read))


def _may(caller: str, access: Access) -> bool:
    if access.audience is Audience.STAFF:
        return caller in access.roles or (not access.roles and caller in STAFF)
    if access.audience is Audience.PATIENT:
        return caller in access.purposes or (not access.purposes and caller not in (*STAFF, "stranger"))
    return access.audience is Audience.PUBLIC


STAFF = ("front_desk", "operator", "nurse", "therapist", "prescriber", "manager")
PURPOSES = ("sign_in", "intake", "survey", "visit", "ask")


def _ids(name: str) -> list[Any]:
    """Some keys of the rows that a part of an address names."""
    model = sites.SUBJECTS.get(name)
    table = name.removesuffix("_id") + "s"
    with sites.everyone():
        if model is not None:
            return list(db.session.scalars(select(sites.key_of(model)).order_by(sites.key_of(model).desc()).limit(20)))
        if table in Base.metadata.tables and "id" in Base.metadata.tables[table].c:
            return list(db.session.scalars(select(Base.metadata.tables[table].c.id).limit(20)))
    return []


def _slugs() -> list[str]:
    return list(db.session.scalars(text("SELECT slug FROM locations LIMIT 10")))


@cache
def _names(module: str) -> list[str]:
    """Names of fields and parameters that the view's own module speaks of."""
    found = sys.modules.get(module)
    if found is None or not module.startswith("clinic."):
        return ["next", "email", "password", "code", "remember"]
    names = set(SOURCES.findall(inspect.getsource(found)))
    for one in vars(found).values():
        if inspect.isclass(one) and issubclass(one, Form):
            names |= {name for name in dir(one) if hasattr(getattr(one, name), "creation_counter")}
    return sorted(names | {"next"})


def _place(error: BaseException) -> str:
    """Where in our own code it broke."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/clinic/" in file:
            place = f"clinic/{file.rpartition('/clinic/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
