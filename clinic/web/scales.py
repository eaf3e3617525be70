"""Questionnaires as a page shows them: in its language where their owners published one."""

from flask_babel.speaklater import LazyString

from clinic.instruments import scoring
from clinic.instruments.wording import Wording, wording
from clinic.web import i18n


def shown(key: str) -> Wording:
    """The words of a questionnaire for this request."""
    return wording(key, i18n.language())


def items(key: str) -> dict[int, scoring.Item]:
    """Items by number, for forms that are built before the page's language is known."""
    return {
        item.number: scoring.Item(
            item.number,
            LazyString(lambda n=item.number: shown(key).items[n]),
            {value: LazyString(lambda n=item.number, v=value: shown(key).answers[n][v]) for value in item.answers},
            item.loinc,
        )
        for item in scoring.load(key).items
    }


def follow_up(key: str) -> LazyString:
    """The question that goes with an item, likewise."""
    return LazyString(lambda: shown(key).follow_up)


def functional(key: str) -> tuple[LazyString, list[LazyString]]:
    """The question that is not scored with its answers in order, likewise."""
    english = wording(key, i18n.DEFAULT).functional
    assert english is not None
    text = LazyString(lambda: (shown(key).functional or english)[0])
    return text, [LazyString(lambda n=n: (shown(key).functional or english)[1][n]) for n in range(len(english[1]))]


def gate(key: str) -> LazyString:
    """The question that comes before the items, likewise."""
    return LazyString(lambda: shown(key).gate)
