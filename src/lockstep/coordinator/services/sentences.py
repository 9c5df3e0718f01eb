"""What is wrong with what people wrote, by field, in our own words: clients in the field know some of them.

What a model found is told here for every face, whichever of them read it.
"""

from collections.abc import Sequence
from typing import Final

from pydantic_core import ErrorDetails

REQUIRED: Final = "This field is required."
NOT_NULL: Final = "This field may not be null."
_WORDS: Final = {
    "missing": REQUIRED,
    "string_type": "This must be a text, not {given}.",
    "string_unicode": "This text has a character in it that is none (half of a surrogate pair).",
    "string_too_short": "This field may not be blank.",
    "string_too_long": "This text is too long; at most {max_length} characters are allowed.",
    "list_type": 'Expected a list of items but got type "{type}".',
    "too_short": "At least {min_length} is needed.",
    "too_long": "This list is too long; at most {max_length} are allowed.",
    "bool_type": "This must be true or false, not {given}.",
    "bool_parsing": "This must be true or false, not {given}.",
    "int_parsing": "This must be a whole number, not {given}.",
    "int_parsing_size": "This number is too large.",
    "int_type": "This must be a whole number, not {given}.",
    "greater_than_equal": "This number is too small; {ge} is the least.",
    "less_than_equal": "This number is too large; {le} is the most.",
    "literal_error": "{given} is not one of {expected}.",
}


def sentences(errors: Sequence[ErrorDetails], *, inside: int = 0) -> dict[str, list[str]]:
    """Return what is wrong, by field; the key of something inside a list is `field.index`.

    `inside` is how many steps of each error's place lead to the fields, such as 1 where they are a query.
    """
    said: dict[str, list[str]] = {}
    for error in errors:
        where = [str(part) for part in error["loc"][inside:]] or ["studies"]
        path = ".".join(where[:2]) if where[0] == "tags" else where[0]
        sentence = _sentence(error)
        if sentence not in said.setdefault(path, []):
            said[path].append(sentence)
    return said


def _sentence(error: ErrorDetails) -> str:
    """Return one error in our words; clients in the field know some of them."""
    given, limits = error["input"], error.get("ctx", {})
    if error["type"] == "value_error":
        return str(limits["error"])
    if given is None and error["type"] != "missing":
        return NOT_NULL
    words = _WORDS.get(error["type"])
    if error["type"] == "string_pattern_mismatch":
        words = "This field may not be blank." if "\0" not in str(given) else "This text has a NUL character in it."
    if error["type"] == "too_short" and error["loc"][0] in {"studies", "study_ids"}:
        words = "Must have at least one study"
    if words is None:
        return f"{error['msg']}."
    return words.format(**limits, given=shown(given), type=type(given).__name__)


def shown(given: object) -> str:
    """Return what was given, as a sentence can hold it."""
    longest = 60
    text = ascii(given)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
