"""What pydantic found wrong, as problems with JSON paths and plain words."""

from typing import Any

from pydantic import ValidationError

from clinic.cli.jsonio import InputRefused, Problem, json_path

_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "is required",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text of whole characters",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def _words(error: Any) -> str:
    if error["type"] in _WORDS:
        return _WORDS[error["type"]]
    message = str(error["msg"])
    if error["type"] == "literal_error":
        return f"must be one of {error['ctx']['expected']}".replace("'", "")
    return message.removeprefix("Input should ").removeprefix("Value error, ")


def refusal(error: ValidationError) -> InputRefused:
    """Every fault of a document as one refusal."""
    rows = error.errors(include_url=False, include_input=False)
    return InputRefused([Problem(json_path(row["loc"]), _words(row)) for row in rows])
