"""What can go wrong with a request to the coordinator, by whose fault it is.

An error's text is a sentence with facts for the one who asked. Which HTTP status, GraphQL message or exit code an
error becomes is decided in one table of each face; nothing in here knows.
"""

from collections.abc import Mapping, Sequence


class CoordinatorError(Exception):
    """Something was asked of the coordinator that it does not do."""


class NotFound(CoordinatorError):
    """What was asked for does not exist."""


class Invalid(CoordinatorError):
    """The request is wrong in itself; `fields` holds the sentences by the field that they are about."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items()))
        self.fields = {name: list(texts) for name, texts in fields.items()}


class Conflict(CoordinatorError):
    """The request is right in itself and does not fit the state that things are in."""


class Changed(CoordinatorError):
    """What was to be changed is no longer as the caller had seen it; nothing was changed."""


class KeyReused(CoordinatorError):
    """A key that stands for one request was sent with another."""


class Forbidden(CoordinatorError):
    """The caller is known and may not do this."""


class Unauthorized(Forbidden):
    """The caller is not known, or not by a token that holds, and may not do this without being known."""


class Unavailable(CoordinatorError):
    """A service that the coordinator needed for the request did not do its part; nothing was changed."""


class LeaseHeld(CoordinatorError):
    """Another worker is at work on the release."""


class LeaseLost(CoordinatorError):
    """Another worker has taken the release over; whatever this one still holds of it is void."""
