"""What a password has to be (NIST SP 800-63B): long, not known to everyone, nothing else. No mixtures, no expiry."""

import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any

from flask_security import PasswordUtil

MIN_LENGTH = 12
MAX_LENGTH = 128  # longer ones would only cost time to hash
TOO_SHORT = f"A password has at least {MIN_LENGTH} characters. A few words in a row are good."
TOO_LONG = f"A password has at most {MAX_LENGTH} characters."
TOO_KNOWN = "This password is among those that are tried first. Choose words that belong together only for you."
TOO_NEAR = "A password does not hold your name, your email or the clinic's name."
TOO_PLAIN = "This password repeats or counts. Choose a few words that do not follow from each other."
OWN_WORDS = ("daybreak",)
GUESSES = 1e8  # estimated guesses below which a password is one of those that are tried first


def faults(password: str, about: Iterable[str] = ()) -> list[str]:
    """Why a password is refused, in words; empty where it may be used. `about`: name, email and clinic of the person."""
    if len(password) < MIN_LENGTH:
        return [TOO_SHORT]
    if len(password) > MAX_LENGTH:
        return [TOO_LONG]
    folded = password.casefold()
    if any(word in folded for word in _words(about)):
        return [TOO_NEAR]
    if len(set(folded)) < 5 or _counts(folded):
        return [TOO_PLAIN]
    if _is_known(folded):
        return [TOO_KNOWN]
    return []


def _words(about: Iterable[str]) -> set[str]:
    found = {word for text in (*about, *OWN_WORDS) for word in re.findall(r"\w+", text.casefold())}
    return {word for word in found if len(word) > 3}


def _counts(text: str) -> bool:
    """`abcdefghijkl`, `123456789012`, and their ways back."""
    steps = {(ord(b) - ord(a)) for a, b in pairwise(text)}
    return len(steps) == 1 or text in "01234567890123456789" or text in "98765432109876543210"


def _is_known(folded: str) -> bool:
    """A common password, alone or with what people add to it: digits, signs, a second copy."""
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    half = folded[: len(folded) // 2]
    candidates = {folded, bare, folded.translate(_LEET), bare.translate(_LEET)}
    if folded == half * 2:
        candidates.add(half)
    return not candidates.isdisjoint(common()) or _guesses(folded) < GUESSES


_LEET = str.maketrans("013457@$!", "oieastasi")


@cache
def common() -> frozenset[str]:
    """Passwords that are known to everyone: the thirty thousand of zxcvbn's list, offline."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def _guesses(password: str) -> float:
    from zxcvbn import zxcvbn

    return float(zxcvbn(password[:72], max_length=72)["guesses"])


class Passwords(PasswordUtil):  # type: ignore[misc]
    """The rules where Flask-Security asks for them."""

    def validate(self, password: str, is_register: bool, **kwargs: Any) -> tuple[list[str] | None, str]:
        """Faults and the normal form of a new password."""
        normal = self.normalize(password)
        user = kwargs.get("user")
        about = [user.name, user.email] if user is not None else []
        return faults(normal, about) or None, normal
