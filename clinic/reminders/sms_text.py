"""How a text is billed and sent: the GSM alphabet, and segments. Pure."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")  # take two places each
# What people write without anyway where room is short: one such letter cuts a text from 160 places to 70.
_PLAIN = str.maketrans("áíóúÁÍÓÚâêîôûçãõ‘’“”–—…\u00a0\u202f", "aiouAIOUaeioucao''\"\"--. \u0020")


def is_gsm(text: str) -> bool:
    """Does every letter belong to the GSM alphabet?"""
    return all(letter in _GSM or letter in _GSM_TWICE for letter in text)


def fold(text: str) -> str:
    """The text in the GSM alphabet, where dropping accents gets it there; else as it is."""
    if is_gsm(text):
        return text
    plain = text.translate(_PLAIN)
    return plain if is_gsm(plain) else text


def segments(text: str) -> int:
    """How many texts a message is billed as: 160 places of the GSM alphabet, else 70 of UTF-16; less when joined."""
    if is_gsm(text):
        places = len(text) + sum(letter in _GSM_TWICE for letter in text)
        return 1 if places <= 160 else -(-places // 153)
    places = len(text.encode("utf-16-le")) // 2
    return 1 if places <= 70 else -(-places // 67)
