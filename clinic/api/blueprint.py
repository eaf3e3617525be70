"""The one blueprint of the JSON API: bearer tokens, JSON bodies, problem details, idempotent POSTs, its own description."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, TypeVar

from apiflask import APIBlueprint, APIFlask
from flask import Flask, current_app, g, request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from clinic import clock
from clinic.api import idempotency
from clinic.api.answers import SCHEMAS
from clinic.audit import Actor, ActorKind
from clinic.errors import Invalid, NotFound, Refused
from clinic.patients import sites
from clinic.staff import queries as staff
from clinic.staff.models import Role
from clinic.web.access import Audience, declared
from clinic.web.errors import problem

bp = APIBlueprint("api", __name__, url_prefix="/api/v1", tag="Daybreak")

DESK = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER, Role.SERVICE)
FLOOR = (*DESK, Role.OPERATOR)
LARGEST_KEY = 2**63 - 1
PAGE = 100
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

CREATED = bp.doc(responses={201: "Created"})  # what an answer of 201 says of itself in the description


def answers(name: str, status: int = 200) -> Any:
    """The call answers this shape of `answers.SCHEMAS`, and no other success."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    words = "Created" if status == 201 else "Answered"
    response: Any = {"description": words, "content": {"application/json": {"schema": schema}}}
    return bp.doc(responses={status: response})


View = TypeVar("View", bound=Callable[..., Any])


# -- shapes ---------------------------------------------------------------------------------------------------------


class Body(BaseModel):
    """What a call takes. A key that is not known is refused, because it would be a wish that is not heard.

    Types are taken at their word: no number for a date, no "yes" for a consent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Nothing(Body):
    """No body."""


def _near(value: datetime) -> datetime:
    if not clock.is_near(value):
        raise ValueError("the year is out of range")
    return value


def _printable(value: str) -> str:
    if CONTROL.search(value):
        raise ValueError("no control characters")
    return value


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), AfterValidator(_printable)
]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Key = Annotated[int, Field(ge=1, le=LARGEST_KEY)]
SmallKey = Annotated[int, Field(ge=1, le=2**31 - 1)]
Moment = Annotated[AwareDatetime, AfterValidator(_near)]


def accepts(model: type[BaseModel], *, query: bool = False) -> Callable[[View], View]:
    """The view takes a JSON body (or query) of this shape as `body`; an empty body is an empty object. Raises Invalid."""

    def mark(view: View) -> View:
        described = bp.input(model, location="query" if query else "json")(view)  # never called: it would want a body

        @wraps(described)
        def call(*args: Any, **kwargs: Any) -> Any:
            return view(*args, body=_parsed(model, query=query), **kwargs)

        return call  # type: ignore[return-value]

    return mark


def _parsed(model: type[BaseModel], *, query: bool) -> BaseModel:
    try:
        if query:
            return model.model_validate_strings(request.args.to_dict())
        return model.model_validate_json(request.get_data() or b"{}")
    except ValidationError as error:
        faults = [
            {"field": ".".join(map(str, fault["loc"])) or "body", "message": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        text = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:5])
        raise Invalid(text, fields=[fault["field"] for fault in faults], faults=faults[:20]) from None


def listed(items: list[dict[str, Any]], key: str = "id") -> dict[str, Any]:
    """One page of a list that is already in order, after the cursor of the request. Raises Invalid."""
    limit = page_limit()
    cursor = request.args.get("cursor")
    if cursor is not None:
        at = next((n for n, item in enumerate(items) if str(item[key]) == cursor), None)
        if at is None:
            raise Invalid("cursor: not one that was given", fields=["cursor"])
        items = items[at + 1 :]
    more = len(items) > limit
    return {"items": items[:limit], "next_cursor": str(items[limit - 1][key]) if more else None}


def within_reach(location_id: int | None) -> None:
    """A place that this token was not granted does not exist for it. Raises NotFound."""
    reach = g.get("reach")
    if reach is not None and location_id is not None and location_id not in reach.location_ids:
        raise NotFound("no such row")


def page_limit() -> int:
    """How many rows of a list the request asks for. Raises Invalid."""
    text = request.args.get("limit", str(PAGE))
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 1000:
        raise Invalid("limit is 1 to 1000", fields=["limit"])
    return int(text)


def page_cursor() -> int | None:
    """The id after which the page begins, of a list that is paged in the database. Raises Invalid."""
    text = request.args.get("cursor")
    if text is not None and (not re.fullmatch("[0-9]{1,18}", text)):
        raise Invalid("cursor: not one that was given", fields=["cursor"])
    return None if text is None else int(text)


# -- every request --------------------------------------------------------------------------------------------------


@bp.before_request
def authenticate() -> Any:
    """Know the caller by the bearer token alone: a cookie is no credential here."""
    g.staff = g.patient = g.actor = g.token = None
    access = declared(current_app, request.endpoint or "")
    if access is None or access.audience is Audience.PUBLIC:
        return None
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer" and secret.strip()
    token = idempotency.claim(secret.strip(), access.roles) if is_bearer else None
    if token is None:
        answer = problem(401, "unauthorized", "Send a valid token: Authorization: Bearer ...")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    g.token, g.actor = token.id, Actor(ActorKind.SERVICE, str(token.id))
    if access.roles and token.role not in access.roles:
        raise Refused(f"a token of the role {token.role} may not do this")
    if not token.has_all_sites:
        g.reach = sites.Reach(staff.token_sites(token.id))
    sites.check_address(request.view_args or {})
    return idempotency.before(token.id)


@bp.after_request
def remember_answer(response: Any) -> Any:
    """Keep the answer of a POST under its key."""
    return idempotency.after(response)


@bp.teardown_request
def forget_attempt(error: BaseException | None) -> None:
    """An answer that never came leaves the key free for another attempt."""
    idempotency.abandon(error)


# -- the description ------------------------------------------------------------------------------------------------


class _Application(APIFlask):
    """Pages are plain blueprints: they have no place in the description."""

    def ensure_sync(self, func: Any) -> Any:
        """Nothing here is asynchronous: each hook of each request need not be looked at for it."""
        return func

    def register_blueprint(self, blueprint: Any, **options: Any) -> None:
        if not hasattr(blueprint, "enable_openapi"):
            blueprint.enable_openapi = False
        super().register_blueprint(blueprint, **options)


def make_app(import_name: str, **options: Any) -> Flask:
    """The Flask application that can describe this API; its own routes and error pages are switched off."""
    app = _Application(
        import_name, title="Daybreak", version="1", spec_path=None, docs_path=None, json_errors=False, **options
    )
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        SYNC_LOCAL_SPEC=False,
        AUTO_404_RESPONSE=False,
        VALIDATION_ERROR_STATUS_CODE=422,
        VALIDATION_ERROR_DESCRIPTION="The input is wrong; `fields` names each field.",
        SECURITY_SCHEMES={"token": {"type": "http", "scheme": "bearer"}},
    )
    app.security_schemes = {"token": {"type": "http", "scheme": "bearer"}}
    app.spec_processor(_finished)
    return app


PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
REFUSALS = {
    "400": "no such request can be read",
    "401": "no valid token",
    "403": "wrong role",
    "404": "no such row",
    "409": "the state forbids it",
    "413": "too large",
    "422": "wrong input",
    "429": "too many requests",
    "503": "the database does not answer",
}


def _finished(spec: Any) -> Any:
    """Say what every call has in common: the token, the idempotency key, and problem details for every refusal."""
    described: dict[str, Any] = spec if isinstance(spec, dict) else spec.to_dict()
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(SCHEMAS, Problem=PROBLEM)
    described["security"] = [{"token": []}]
    for path in described.get("paths", {}).values():
        for method, call in path.items():
            _describe(method, call)
    return described


PAGING = (
    {
        "name": "cursor",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
        "description": "`next_cursor` of the page before.",
    },
    {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": PAGE},
    },
)


def _describe(method: str, call: Any) -> None:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, words in REFUSALS.items():
        call["responses"][status] = {"description": words, "content": content}
    shown = call["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if str(shown.get("$ref", "")).endswith("Page"):
        call.setdefault("parameters", []).extend(PAGING)
    if method == "post":
        call.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 200},
                "description": "The same key with the same body answers the same, for 24 hours.",
            }
        )
