"""Staff sign-in (Flask-Security: argon2, optional TOTP) and who calls in a request."""

import hashlib

from flask import Flask, g
from flask_login import current_user, user_logged_in, user_logged_out
from flask_security import Security, SQLAlchemyUserDatastore

from clinic import audit
from clinic.audit import Actor, ActorKind
from clinic.db import db
from clinic.staff import queries
from clinic.staff.models import StaffRole, StaffUser
from clinic.web.access import StaffCaller

datastore = SQLAlchemyUserDatastore(db, StaffUser, StaffRole)


def init_app(app: Flask) -> None:
    """Set up Flask-Security and load the caller before every request."""
    settings = app.config["SETTINGS"]
    key = settings.secret_keys[0]
    app.config.update(
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106 - the scheme, not a password
        SECURITY_PASSWORD_SALT=hashlib.sha256(f"password {key}".encode()).hexdigest(),
        SECURITY_PASSWORD_SINGLE_HASH=["argon2"],
        SECURITY_PASSWORD_LENGTH_MIN=12,
        SECURITY_PASSWORD_CHECK_BREACHED=None,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_URL_PREFIX="/staff",
        SECURITY_POST_LOGIN_VIEW="/staff/",
        SECURITY_POST_LOGOUT_VIEW="/staff/login",
        SECURITY_TWO_FACTOR=True,
        SECURITY_TWO_FACTOR_REQUIRED=False,
        SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],
        SECURITY_TOTP_SECRETS={"1": hashlib.sha256(f"totp {key}".encode()).hexdigest()},
        SECURITY_TOTP_ISSUER="Daybreak",
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_FLASH_MESSAGES=True,
        SECURITY_CSRF_IGNORE_UNAUTH_ENDPOINTS=False,
        SECURITY_REDIRECT_VALIDATE_MODE=["regex"],
        SECURITY_I18N_DOMAIN="flask_security",
    )
    Security(app, datastore, register_blueprint=True)
    app.before_request(load_caller)
    user_logged_in.connect(_signed_in, app)
    user_logged_out.connect(_signed_out, app)


def load_caller() -> None:
    """Set `g.staff` and `g.actor` from the staff cookie; reads the row once a request."""
    g.staff = None
    g.actor = None
    if not current_user.is_authenticated:
        return
    g.staff = StaffCaller(
        id=current_user.id,
        name=current_user.name,
        roles=frozenset(role.name for role in current_user.roles),
        location_ids=queries.granted_sites(current_user),
        has_all_sites=current_user.has_all_sites,
    )
    g.actor = Actor(ActorKind.STAFF, str(current_user.id))


def _signed_in(_app: Flask, user: StaffUser, **_: object) -> None:
    audit.record(user, "signed_in", by=Actor(ActorKind.STAFF, str(user.id)))
    db.session.commit()


def _signed_out(_app: Flask, user: StaffUser, **_: object) -> None:
    audit.record(user, "signed_out", by=Actor(ActorKind.STAFF, str(user.id)))
    db.session.commit()
