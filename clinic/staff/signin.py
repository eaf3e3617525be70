"""Staff sign-in (Flask-Security: argon2, codes, passkeys, recovery codes) and who calls in a request."""

import hashlib
import secrets
from typing import Any

import flask_login
from flask import Flask, Response, after_this_request, current_app, g, request
from flask_login import current_user, user_logged_out
from flask_security import Security, SQLAlchemyUserDatastore
from flask_security.signals import (
    password_changed,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
    wan_deleted,
    wan_registered,
)

from clinic import audit, clock
from clinic.audit import Actor, ActorKind
from clinic.db import db
from clinic.staff import lockout, queries, sessions
from clinic.staff.models import Passkey, StaffRole, StaffUser
from clinic.staff.passwords import MIN_LENGTH, Passwords
from clinic.staff.signin_forms import (
    DONE,
    REFUSED,
    CodeForm,
    Codes,
    NewPasswordForm,
    PasskeyForm,
    PasskeyRules,
    PasswordAgainForm,
    RecoveryForm,
    SignInForm,
)
from clinic.web import access, cookies, visit
from clinic.web.access import StaffCaller, declared

BY_PAGE = {  # which second step a page of Flask-Security takes
    "security.two_factor_token_validation": "authenticator",
    "security.wan_signin_response": "webauthn",
    "security.mf_recovery": "recovery",
}

datastore = SQLAlchemyUserDatastore(db, StaffUser, StaffRole, Passkey)


def init_app(app: Flask) -> None:
    """Set up Flask-Security and load the caller before every request."""
    settings = app.config["SETTINGS"]
    key = settings.secret_keys[0]
    app.config.update(
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106 - the scheme, not a password
        SECURITY_PASSWORD_SALT=hashlib.sha256(f"password {key}".encode()).hexdigest(),
        SECURITY_PASSWORD_SINGLE_HASH=["argon2"],
        SECURITY_PASSWORD_LENGTH_MIN=MIN_LENGTH,
        SECURITY_PASSWORD_NORMALIZE_FORM="NFKC",  # noqa: S106
        SECURITY_PASSWORD_CHECK_BREACHED=None,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_URL_PREFIX="/staff",
        SECURITY_POST_LOGIN_VIEW="/staff/",
        SECURITY_POST_LOGOUT_VIEW="/staff/login",
        SECURITY_POST_CHANGE_VIEW="/staff/account",
        SECURITY_TWO_FACTOR=True,
        SECURITY_TWO_FACTOR_REQUIRED=False,  # who needs it is held against every page: clinic.web.access
        SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],
        SECURITY_TWO_FACTOR_POST_SETUP_VIEW="/staff/account",
        SECURITY_TWO_FACTOR_RESCUE_EMAIL=False,
        SECURITY_TOTP_SECRETS={
            str(len(settings.secret_keys) - place): hashlib.sha256(f"totp {one}".encode()).hexdigest()
            for place, one in enumerate(settings.secret_keys)
        },
        SECURITY_TOTP_ISSUER="Daybreak",
        SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY=30,  # seconds before and after
        SECURITY_WEBAUTHN=True,
        SECURITY_WAN_RP_NAME="Daybreak",
        SECURITY_WAN_ALLOW_AS_FIRST_FACTOR=True,
        SECURITY_WAN_ALLOW_AS_MULTI_FACTOR=True,
        SECURITY_WAN_ALLOW_USER_HINTS=False,  # they would tell which accounts exist
        SECURITY_WAN_POST_REGISTER_VIEW="/staff/account",
        SECURITY_MULTI_FACTOR_RECOVERY_CODES=True,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_N=8,
        SECURITY_DATETIME_FACTORY=clock.now,
        SECURITY_FRESHNESS=access.FRESH_FOR,
        SECURITY_FRESHNESS_GRACE_PERIOD=access.FRESH_FOR,
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_FLASH_MESSAGES=True,
        SECURITY_CSRF_IGNORE_UNAUTH_ENDPOINTS=False,
        SECURITY_REDIRECT_VALIDATE_MODE=["regex"],
        SECURITY_I18N_DOMAIN="flask_security",
        **{f"SECURITY_MSG_{name}": (words, "error") for name, words in REFUSED.items()},
        **{f"SECURITY_MSG_{name}": (words, "success") for name, words in DONE.items()},
    )
    Security(
        app,
        datastore,
        register_blueprint=True,
        login_form=SignInForm,
        verify_form=PasswordAgainForm,
        change_password_form=NewPasswordForm,
        two_factor_verify_code_form=CodeForm,
        mf_recovery_form=RecoveryForm,
        wan_signin_response_form=PasskeyForm,
        password_util_cls=Passwords,
        totp_cls=Codes,
        webauthn_util_cls=PasskeyRules,
    )
    app.login_manager.request_loader(_nobody)  # type: ignore[attr-defined]  # Flask-Security has set it up
    app.before_request(load_caller)
    access.hold_with(_hold)
    for signal, receiver in (
        (user_authenticated, _signed_in),
        (user_logged_out, _signed_out),
        (password_changed, _changed_password),
        (tf_profile_changed, _set_up_codes),
        (tf_disabled, _codes_off),
        (wan_registered, _set_up_passkey),
        (wan_deleted, _passkey_off),
    ):
        signal.connect(receiver, app)


def _nobody(_request: Any) -> None:
    """A signed token of the library in an address, a header or a body is no way in: staff come by their session."""


def load_caller() -> None:
    """Set `g.staff` and `g.actor` from the staff cookie, where its session is open."""
    g.staff = g.actor = g.staff_session = g.ran_out = None
    if not current_user.is_authenticated:
        return
    found = queries.session_and_sites(visit.token() or "", current_user)
    if found is None or not sessions.is_open(found.row):
        g.ran_out = current_user.id if found is not None and found.row.ended_at is None else None
        g.is_leaving = True
        flask_login.logout_user()
        visit.clear()
        return
    row, location_ids = found
    page = declared(current_app, request.endpoint or "")
    if page is None or not page.background:
        sessions.seen(row)
    roles = frozenset(role.name for role in current_user.roles)
    g.staff = StaffCaller(
        id=current_user.id,
        name=current_user.name,
        roles=roles,
        location_ids=location_ids,
        has_all_sites=current_user.has_all_sites,
        session_id=row.id,
        verified_at=row.verified_at,
        needs_second_step=needs_second_step(roles) and sessions.SECOND_STEPS.isdisjoint(row.methods),
    )
    g.staff_session = row.id
    g.actor = Actor(ActorKind.STAFF, str(current_user.id))


def needs_second_step(roles: frozenset[str]) -> bool:
    """Whether this clinic asks these roles for more than a password."""
    return not roles.isdisjoint(current_app.config["SETTINGS"].second_step_roles)


def open_session(user: StaffUser, methods: list[str]) -> None:
    """Sign a person in on this browser. The caller commits."""
    token = sessions.open_within_transaction(
        user.id, methods=methods, address=request.remote_addr or "", browser=request.user_agent.string
    )
    visit.keep(token)


def _signed_in(_app: Flask, user: StaffUser, authn_via: list[str] | None = None, **_: object) -> None:
    if authn_via == ["change"]:
        return  # a new password on this browser: its session goes on
    methods = list(authn_via or ["password", BY_PAGE.get(request.endpoint or "", "authenticator")])
    open_session(user, methods)
    audit.record(user, "signed_in", by=Actor(ActorKind.STAFF, str(user.id)), methods=methods)
    device = cookies.read(lockout.DEVICE_COOKIE)
    lockout.succeeded(user.email, request.remote_addr or "", device)
    visit.flag_held(sessions.has_held(user.id))
    db.session.commit()
    if lockout.known_device(user.email, device) is None:
        value = lockout.device_cookie(user.email, secrets.token_urlsafe(16))

        @after_this_request
        def remember(response: Response) -> Response:
            cookies.write(response, lockout.DEVICE_COOKIE, value, seconds=int(lockout.DEVICE_LASTS.total_seconds()))
            return response


def _signed_out(_app: Flask, user: StaffUser, **_: object) -> None:
    if g.pop("is_leaving", False) or request.endpoint == "security.change_password":
        return
    found = sessions.find(visit.token())
    if found.row is not None:
        found.row.ended_at = clock.now()
    audit.record(user, "signed_out", by=Actor(ActorKind.STAFF, str(user.id)))
    db.session.commit()
    visit.clear()


def _changed_password(_app: Flask, user: StaffUser, **_: object) -> None:
    """Every other browser is signed out: whoever knew the old password is out with it."""
    by = Actor(ActorKind.STAFF, str(user.id))
    sessions.end_all_within_transaction(user.id, but=g.staff_session, by=by)
    audit.record(user, "password_changed", by=by)
    db.session.commit()


def _set_up_codes(_app: Flask, user: StaffUser, **_: object) -> None:
    _second_step(user, "second_step_on", "authenticator")


def _set_up_passkey(_app: Flask, user: StaffUser, **more: object) -> None:
    _second_step(user, "passkey_added", "webauthn")


def _second_step(user: StaffUser, action: str, kind: str) -> None:
    if g.get("staff_session"):
        sessions.verified(g.staff_session, method="set_up")
    audit.record(user, action, by=Actor(ActorKind.STAFF, str(user.id)), kind=kind)
    db.session.commit()


def _codes_off(_app: Flask, user: StaffUser, **_: object) -> None:
    audit.record(user, "second_step_off", by=Actor(ActorKind.STAFF, str(user.id)), kind="authenticator")
    db.session.commit()


def _passkey_off(_app: Flask, user: StaffUser, **_: object) -> None:
    audit.record(user, "passkey_removed", by=Actor(ActorKind.STAFF, str(user.id)))
    db.session.commit()


def _hold(user_id: int, path: str, content: dict[str, Any]) -> None:
    sessions.hold(user_id, path, content)
