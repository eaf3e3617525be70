"""The forms of sign-in, with what Flask-Security leaves to us: waits after failures, one answer for every account."""

import math
from typing import Any

from flask import g, request
from flask_login import current_user
from flask_security import WebauthnUtil
from flask_security.forms import ChangePasswordForm, LoginForm, TwoFactorVerifyCodeForm, VerifyForm
from flask_security.recovery_codes import MfRecoveryForm
from flask_security.totp import Totp
from flask_security.webauthn import WebAuthnSigninResponseForm
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from clinic import audit
from clinic.audit import system
from clinic.db import db
from clinic.staff import lockout, sessions
from clinic.staff.passwords import MAX_LENGTH
from clinic.web import cookies, visit


def too_soon(email: str) -> str:
    """A sentence where this caller has to wait before the next try; the same for an account that does not exist."""
    wait = lockout.wait(email, request.remote_addr or "", cookies.read(lockout.DEVICE_COOKIE))
    if not wait:
        return ""
    minutes = math.ceil(wait.total_seconds() / 60)
    return f"Too many tries. Wait {'a minute' if minutes == 1 else f'{minutes} minutes'}, then try again."


def failed(email: str) -> None:
    """Note a try that did not work."""
    lockout.failed(email, request.remote_addr or "", cookies.read(lockout.DEVICE_COOKIE))
    audit.record_event("sign_in", lockout.account_key(email).hex()[:16], "failed", by=system("sign-in"))
    db.session.commit()


# What Flask-Security says to people, in our words: by the name of its setting.
REFUSED = {
    "GENERIC_AUTHN_FAILED": "That email and that password do not go together. Check both and try again.",
    "EMAIL_NOT_PROVIDED": "Write your email.",
    "PASSWORD_NOT_PROVIDED": "Write your password.",
    "INVALID_PASSWORD": "That is not your password.",
    "RETYPE_PASSWORD_MISMATCH": "The two new passwords differ.",
    "PASSWORD_IS_THE_SAME": "Choose one that is not your present password.",
    "TWO_FACTOR_INVALID_TOKEN": "That code does not fit. Take the one that the app shows now; each works once.",
    "INVALID_RECOVERY_CODE": "That recovery code does not fit, or was used before.",
    "WEBAUTHN_NAME_REQUIRED": "Give the passkey a name.",
    "WEBAUTHN_NAME_INUSE": "You have a passkey named %(name)s already.",
}
DONE = {
    "PASSWORD_CHANGE": "Your password is changed. Your other browsers are signed out.",
    "TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL": "Codes of your authenticator app are on.",
    "TWO_FACTOR_DISABLED": "Codes of an authenticator app are off.",
    "WEBAUTHN_REGISTER_SUCCESSFUL": "The passkey %(name)s is added.",
    "WEBAUTHN_CREDENTIAL_DELETED": "The passkey %(name)s is removed.",
}


class SignInForm(LoginForm):  # type: ignore[misc]
    """Email and password. There is no "stay signed in": a session ends when nobody is there."""

    remember = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email.label.text = "Email"

    def validate(self, **kwargs: Any) -> bool:
        """As Flask-Security does, after the wait and before the count."""
        email, password = str(self.email.data or ""), self.password.data
        if words := too_soon(email):
            self.form_errors.append(words)
            return False
        if isinstance(password, str) and len(password) > MAX_LENGTH * 4:
            self.password.data = password[: MAX_LENGTH * 4]  # hashing more of it would only cost time
        if super().validate(**kwargs):
            return True
        if email and password:
            failed(email)
        return False


class PasswordAgainForm(VerifyForm):  # type: ignore[misc]
    """The password once more, before something that matters."""

    def validate(self, **kwargs: Any) -> bool:
        """Counted like a sign-in: an open browser is no place to guess at."""
        if words := too_soon(self.user.email):
            self.form_errors.append(words)
            return False
        if super().validate(**kwargs):
            visit.keep(sessions.renewed(g.staff_session))
            return True
        failed(self.user.email)
        return False


class NewPasswordForm(ChangePasswordForm):  # type: ignore[misc]
    """The present password, and a new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.password.label.text = "Present password"
        self.new_password.label.text = "New password"
        self.new_password_confirm.label.text = "New password once more"


class CodeForm(TwoFactorVerifyCodeForm):  # type: ignore[misc]
    """Six digits of an app."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.code.label.text = "Code"

    def validate(self, **kwargs: Any) -> bool:
        """Six digits can be guessed, so tries are counted."""
        return _counted(self, self.user, super().validate, **kwargs)


class RecoveryForm(MfRecoveryForm):  # type: ignore[misc]
    """One of the codes that were written down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.code.label.text = "Recovery code"

    def validate(self, **kwargs: Any) -> bool:
        """Counted too; written as people write them."""
        self.code.data = "".join(str(self.code.data or "").split()).lower()
        return _counted(self, self.user, super().validate, **kwargs)


def _counted(form: Any, user: Any, validate: Any, **kwargs: Any) -> bool:
    if user is None:
        return bool(validate(**kwargs))
    if words := too_soon(user.email):
        form.form_errors.append(words)
        return False
    if validate(**kwargs):
        return True
    failed(user.email)
    return False


class PasskeyForm(WebAuthnSigninResponseForm):  # type: ignore[misc]
    """The answer of a passkey, at sign-in or to prove again who one is."""

    def validate(self, **kwargs: Any) -> bool:
        """Flask-Security says of an inactive account that it is; that is no way in."""
        if not super().validate(**kwargs) or self.user is None or not self.user.is_active:
            return False
        if self.is_verify and self.user == current_user:
            visit.keep(sessions.renewed(g.staff_session))
        return True


class Codes(Totp):  # type: ignore[misc]
    """Codes of authenticator apps: none is taken twice."""

    def get_last_counter(self, user: Any) -> int | None:
        """The step of the last code that was taken."""
        found: int | None = user.tf_last_counter
        return found

    def set_last_counter(self, user: Any, tmatch: Any) -> None:
        """This one was."""
        user.tf_last_counter = tmatch.counter


class PasskeyRules(WebauthnUtil):  # type: ignore[misc]
    """A passkey instead of a password proves the person too (fingerprint, face or PIN), and is found without a name."""

    def authenticator_selection(self, user: Any, usage: str) -> AuthenticatorSelectionCriteria:
        """What kind of key may be added."""
        is_first = usage == "first"
        return AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED if is_first else ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.REQUIRED
            if is_first
            else UserVerificationRequirement.DISCOURAGED,
        )

    def user_verification(self, user: Any, usage: list[str]) -> UserVerificationRequirement:
        """Instead of a password: always."""
        return UserVerificationRequirement.DISCOURAGED if "secondary" in usage else UserVerificationRequirement.REQUIRED
