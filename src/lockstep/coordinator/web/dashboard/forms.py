"""Reads the forms that pages send, and keeps what was written and what was wrong with it for showing again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from lockstep.coordinator.core.errors import CoordinatorError, Invalid
from lockstep.coordinator.web.bodies import FORM, read_form
from lockstep.coordinator.web.callers import accept_form
from lockstep.coordinator.web.dashboard.tokens import FIELD, Token

_FORBIDDEN = 403


@dataclass(slots=True)
class Form:
    """A form: the values of its fields, and sentences about those that are wrong, `""` for the form as a whole."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a field."""
        given = self.values.get(name, ())
        return given[-1] if given else default

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return list(self.values.get(name, ()))

    def has(self, name: str) -> bool:
        """Tell whether a field was sent, as a ticked box is."""
        return name in self.values

    def text(self, name: str) -> str:
        """Return a field of several lines, with line ends as everybody else has them."""
        return self.one(name).replace("\r\n", "\n")

    def blame(self, error: CoordinatorError) -> None:
        """Keep what an error says, by its fields if it has any."""
        said = error.fields if isinstance(error, Invalid) else {"": [str(error)]}
        for path, sentences in said.items():
            self.errors.setdefault(path.partition(".")[0], []).extend(sentences)


async def read(request: Request) -> Form:
    """Return the form that a page sent; its token is the proof that lets a session's caller act.

    Raises:
        BadBody, BodyTooLong, UnknownMediaType: it could not be read.
        HTTPException: 403, it does not carry the token of this browser.
    """
    sent: FormData = await read_form(request, (FORM,))
    values = {name: [value for value in sent.getlist(name) if isinstance(value, str)] for name in sent}
    if not Token.of(request).matches(values.get(FIELD, [""])[-1]):
        raise HTTPException(
            _FORBIDDEN,
            "This form is from before the browser's cookies were cleared. Go back, reload, and send it again.",
        )
    accept_form(request)
    request.state.sent = values
    return Form(values)
