"""People at their browsers, and systems with a token, in a process of their own: `visitors PLAN JOURNAL`.

Each is a thread that does what such a person does, waits, and goes on, whatever the clinic answers. Every request is a line of
the journal. A line of a write says what was to be written (`key`, `value`) and whether the clinic said that it was: yes, no, or
nobody knows. Everyone writes to things of their own, so that the order of a key's lines is the order of its writes.
"""

import hashlib
import json
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO

import httpx

TOKEN = re.compile(r'name="csrf_token"[^>]*?value="([^"]+)"')
PLACE = re.compile(r'name="place"[^>]*?value="([^"]+)"')
PLAN = re.compile(r'name="plan"[^>]*?value="([0-9a-f-]{36})"')
CUT, HUNG = 0, -1  # in place of a status: the connection broke, or no answer came in time
PATIENCE = 45.0  # seconds


class Cut(Exception):
    """The page did not come; the person starts again from where they were."""


class Journal:
    """Lines of JSON, each written whole."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, threading.Lock()

    def write(self, **line: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


class Visitor:
    """One browser, or one system, at an address of its own behind the proxy."""

    def __init__(self, number: int, plan: Mapping[str, Any], own: Mapping[str, Any], journal: Journal) -> None:
        self.number, self.plan, self.own, self._journal = number, plan, own, journal
        self.dice = random.Random(f"{plan['seed']} {number}")
        address = f"10.{number // 250 % 250}.{number % 250}.7"
        transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=1, keepalive_expiry=4))
        self._http = httpx.Client(
            base_url=plan["url"], timeout=PATIENCE, transport=transport, headers={"X-Forwarded-For": address}
        )

    def pause(self) -> None:
        """As long as a person reads."""
        time.sleep(self.dice.expovariate(1 / self.plan["pause"]) if self.plan["pause"] else 0)

    def get(self, path: str) -> httpx.Response:
        """A page; redirects are the caller's. Raises Cut."""
        self.pause()
        return self._answer("GET", path)

    def write(
        self,
        path: str,
        key: list[Any],
        value: Any,
        *,
        said: Callable[[httpx.Response], dict[str, Any]] | None = None,
        **sent: Any,
    ) -> httpx.Response:
        """Send something that is to stay. `said` reads what was written out of an answer of success."""
        self.pause()
        return self._answer("POST", path, claim={"key": key, "value": value}, said=said, **sent)

    def post(self, path: str, **sent: Any) -> httpx.Response:
        """Send something that nobody asks for afterwards. Raises Cut."""
        self.pause()
        return self._answer("POST", path, **sent)

    def _answer(
        self, method: str, path: str, *, claim: dict[str, Any] | None = None, said: Any = None, **sent: Any
    ) -> httpx.Response:
        began, answer, status = time.time(), None, CUT
        try:
            answer = self._http.request(method, path, **sent)
            status = answer.status_code
        except httpx.TimeoutException:
            status = HUNG
        except httpx.TransportError:
            pass
        line: dict[str, Any] = {"at": began, "took": time.time() - began, "who": self.number, "status": status}
        line |= {"what": f"{method} {re.sub(r'[0-9a-f-]{36}|[0-9]+|(?<=/l/).+', '_', path.split('?')[0])}"}
        if claim is not None:
            line |= claim | {"written": _written(answer)}
            if said is not None and line["written"] == "yes":
                line |= said(answer)
        self._journal.write(**line)
        if answer is None or status >= 500:
            raise Cut
        return answer

    def token(self, page: httpx.Response) -> str:
        """The form's token. Raises Cut where the page holds none, since it is another page then."""
        found = TOKEN.search(page.text)
        if found is None:
            raise Cut
        return found[1]

    def cookie(self, name: str) -> str:
        return hashlib.sha256(self._http.cookies.get(name, "").encode()).hexdigest()

    # -- what everyone does first -------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """As staff."""
        page = self.get("/staff/login")
        if page.status_code == 200:
            sent = {"csrf_token": self.token(page), "email": self.own["email"], "password": self.plan["password"]}
            if self.post("/staff/login", data=sent).status_code != 302:
                raise Cut

    def open_link(self, links: list[str]) -> None:
        """Spend the next link, and say the date of birth."""
        path = links.pop(0) if len(links) > 1 else links[0]
        self.post(path, data={"csrf_token": self.token(self.get(path))})
        month, day, year = self.own["born"]
        sent = {"csrf_token": self.token(self.get("/birth-date")), "month": month, "day": day, "year": year}
        self.post("/birth-date", data=sent)

    def run(self, until: float) -> None:
        """Do it again and again; who is thrown out comes in again."""
        steps, arrives = KINDS[self.own["kind"]], self.plan["ramp"] * self.dice.random()
        time.sleep(arrives)
        while time.time() < until:
            try:
                for _ in steps(self):
                    if time.time() > until:
                        return
            except Cut:
                self.pause()


def _written(answer: httpx.Response | None) -> str:
    """Did the clinic say that it was written? A page that is shown again, or the way to sign in, says that it was not."""
    if answer is None or answer.status_code >= 500:
        return "unknown"
    if answer.status_code == 302:
        return "no" if answer.headers["location"].startswith(("/staff/login", "/link", "/birth-date")) else "yes"
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return "yes" if is_json and answer.status_code in (200, 201) else "no"


# -- who comes: each yields after something that is whole -------------------------------------------------------------------


def reader(me: Visitor) -> Iterator[None]:
    """Staff who look things up."""
    me.sign_in()
    pages = [
        "/staff/",
        "/staff/patients?q={number}",
        "/staff/patients/{id}",
        "/staff/courses",
        "/staff/day/{site}/{day}",
    ]
    while True:
        who = me.dice.choice(me.plan["patients"])
        path = me.dice.choice(pages).format(**who, site=me.dice.choice(me.plan["sites"]), day=me.plan["today"])
        answer = me.get(path)
        if answer.status_code == 302 and "login" in answer.headers["location"]:
            raise Cut
        yield


def desk(me: Visitor) -> Iterator[None]:
    """Staff who look a person up and change what the clinic knows of them."""
    me.sign_in()
    while True:
        who = me.dice.choice(me.own["patients"])
        me.get(f"/staff/patients?q={who['number']}")
        path = f"/staff/patients/{who['id']}/contacts"
        payer = f"Payer {me.number}-{me.dice.randrange(10**6)}"
        sent = who["contacts"] | {"payer": payer, "csrf_token": me.token(me.get(path))}
        me.write(path, ["payer", who["id"]], payer, data=sent)
        me.get(f"/staff/patients/{who['id']}")
        yield


def mover(me: Visitor) -> Iterator[None]:
    """Staff who move sessions to another free time; others want the same one."""
    me.sign_in()
    while True:
        session = me.dice.choice(me.own["sessions"])
        path = f"/staff/sessions/{session}/move"
        page = me.get(path)
        places = PLACE.findall(page.text)
        if page.status_code == 302:
            raise Cut
        if places:
            place = me.dice.choice(places).replace("&#43;", "+")
            me.write(path, ["place", session], place, data={"csrf_token": me.token(page), "place": place})
        me.get(f"/staff/day/{me.dice.choice(me.plan['sites'])}/{me.plan['today']}")
        yield


def booker(me: Visitor) -> Iterator[None]:
    """Staff who book a whole course, and cancel it for the next one."""
    me.sign_in()
    path = f"/staff/courses/new?patient={me.own['patient']}"
    while True:
        sent = {
            "csrf_token": me.token(me.get(path)),
            "protocol": "itbs_left",
            "after": "",
            "before": "",
            "zip_code": "",
        }
        offered = me.post(path, data=sent)
        if offered.status_code != 302:
            yield
            continue
        page = me.get(offered.headers["location"])
        plans = PLAN.findall(page.text)
        if not plans:
            raise Cut
        sent = {"csrf_token": me.token(page), "plan": plans[0]}
        booked = me.write("/staff/courses", ["course", plans[0]], None, data=sent, said=_course)
        if booked.status_code == 302:
            course = _course(booked)["value"]
            page = me.get(f"/staff/courses/{course}")
            sent = {"csrf_token": me.token(page), "reason": "Another time"}
            me.write(f"/staff/courses/{course}/cancel", ["course ended", course], "cancelled", data=sent)
        yield


def _course(answer: httpx.Response) -> dict[str, Any]:
    return {"value": int(answer.headers["location"].rsplit("/", 1)[1])}


def system(me: Visitor) -> Iterator[None]:
    """A system that books visits by the API; every other one is cancelled again. What got no answer is sent once more."""
    headers = {"Authorization": f"Bearer {me.plan['token']}"}
    while True:
        starts = datetime.fromisoformat(me.plan["opens"]) + timedelta(
            days=me.dice.randrange(60), minutes=30 * me.dice.randrange(16)
        )
        body = {"patient_id": me.own["patient"], "kind": "therapy", "staff": me.dice.choice(me.plan["therapists"])}
        body |= {
            "location": me.dice.choice(me.plan["sites"]),
            "starts_at": starts.isoformat(),
            "minutes": 30,
            "reason": "Asked for",
        }
        key = {"Idempotency-Key": f"{me.number}-{me.dice.getrandbits(64)}"}
        for attempt in range(6):
            try:
                made = me.write(
                    "/api/v1/appointments",
                    ["visit", key["Idempotency-Key"]],
                    None,
                    json=body,
                    headers=headers | key,
                    said=_visit,
                )
            except Cut:
                time.sleep(attempt)
                continue
            if made.status_code == 201 and me.dice.random() < 0.5:
                visit = made.json()["id"]
                me.write(
                    f"/api/v1/appointments/{visit}/cancel",
                    ["visit state", visit],
                    "cancelled",
                    json={"reason": "No"},
                    headers=headers,
                )
            break
        yield


def _visit(answer: httpx.Response) -> dict[str, Any]:
    said = answer.json()
    return {"value": said["id"], "starts_at": said["starts_at"]}


def patient(me: Visitor) -> Iterator[None]:
    """Somebody who answers their check-ins, looks at their dates, and says how they want to be reminded."""
    if me.get("/me").status_code != 200:
        me.open_link(me.own["links"])
    for survey in me.own["surveys"]:
        path = me.get(f"/surveys/{survey}").headers.get("location", "")
        while not path.endswith("/done"):
            if not path.startswith("/surveys/"):
                raise Cut
            sent = {"csrf_token": me.token(me.get(path))}
            if path.endswith("/send"):
                path = me.write(path, ["sent", survey], "answered", data=sent).headers.get("location", "")
            else:
                number, answer = path.rsplit("/", 1)[1], me.dice.randrange(4)
                answer = 0 if number == "9" else answer  # nobody is called for this
                item = ["answer", survey, int(number)]
                path = me.write(path, item, answer, data=sent | {"answer": answer}).headers.get("location", "")
            yield
    for style in cycle(("each", "digest")):
        me.get("/me")
        me.get("/me/dates")
        sent = {"csrf_token": me.token(me.get("/me/messages")), "email": "yes", "style": style}
        me.write("/me/messages", ["style", me.own["patient"]], style, data=sent)
        yield


def newcomer(me: Visitor) -> Iterator[None]:
    """A stranger at the intake, who goes back and forth between its first pages."""
    start = me.get("/intake/start")
    me.post("/intake/start", data={"csrf_token": me.token(start), "fresh": "1"})
    who = me.cookie("daybreak_patient")
    while True:
        for page, field in (("about", "given"), ("brings", "reason")):
            shown = me.get(f"/intake/{page}")
            hidden = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', shown.text))
            word = f"Word {me.number} {me.dice.randrange(10**6)}"
            sent = {"family": "Load", "birth_month": "5", "birth_day": "17", "birth_year": "1980", field: word}
            me.write(f"/intake/{page}", ["intake", who, page, field], word, data=sent | hidden)
            yield


KINDS: dict[str, Callable[[Visitor], Iterator[None]]] = {
    one.__name__: one for one in (reader, desk, mover, booker, system, patient, newcomer)
}


def main(plan_file: str, journal_file: str) -> None:
    """Everyone comes, and leaves when the time is over."""
    plan = json.loads(Path(plan_file).read_text())
    until = time.time() + plan["seconds"]
    with Path(journal_file).open("w") as file:
        journal = Journal(file)
        people = [Visitor(number, plan, own, journal) for number, own in enumerate(plan["visitors"])]
        threads = [threading.Thread(target=one.run, args=(until,), daemon=True) for one in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until + 2 * PATIENCE - time.time()))
        journal.write(left=sum(thread.is_alive() for thread in threads))


if __name__ == "__main__":
    main(*sys.argv[1:])
