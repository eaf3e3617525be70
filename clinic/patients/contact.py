"""Addresses, checked and brought to one form."""

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from clinic.errors import Invalid

REGION = "US"


def phone_or_none(text: str) -> str | None:
    """E.164, or None where the text is no telephone number."""
    try:
        number = phonenumbers.parse(text, REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def checked_phone(text: str | None) -> str | None:
    """E.164, or None for an empty text. Raises Invalid."""
    if not text or not text.strip():
        return None
    phone = phone_or_none(text)
    if phone is None:
        raise Invalid("This does not look like a phone number. Write it with area code, for example 714 555 0123.")
    return phone


def checked_email(text: str | None) -> str | None:
    """The address in its normal form, or None for an empty text. Raises Invalid."""
    if not text or not text.strip():
        return None
    try:
        return validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid(f"This does not look like an email address: {error}") from None
