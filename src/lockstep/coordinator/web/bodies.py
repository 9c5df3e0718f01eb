"""Reads the body of a request: JSON, a form, or a multipart form, whichever the caller prefers.

What comes out is a mapping of fields that the services check. A body is read up to a bound, whatever its headers
claim, and one that cannot be understood is refused with what was wrong with it. An empty body has no fields.
"""

import json
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Any, Final, NoReturn, TypeVar, get_origin

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, Headers
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from lockstep.coordinator.core.errors import CoordinatorError
from lockstep.coordinator.services.inputs import Input, check

BODY_LIMIT_BYTES: Final = 1024 * 1024
"""The longest body that is read: a release with its studies and notes is far shorter."""

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_FIELDS_LIMIT: Final = 10_000
"""Fields of a form: a release with all the studies that it may have has about half as many."""

MEDIA_TYPES: Final = (JSON, FORM, MULTIPART)


class BadBody(CoordinatorError):
    """The body could not be understood."""


class BodyTooLong(CoordinatorError):
    """The body is longer than the bound."""


class UnknownMediaType(CoordinatorError):
    """The body is of a kind that is not read here."""


Model = TypeVar("Model", bound=Input)


async def read(request: Request, model: type[Model]) -> Model:
    """Return what the body of a request says.

    Raises:
        BadBody, BodyTooLong, UnknownMediaType: it could not be read.
        Invalid: it is not what it should be.
    """
    body = await _bytes(request)
    if not body:
        return check(model, {})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return check(model, _json(body))
    lists = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is list}
    if kind in {FORM, MULTIPART}:
        return check(model, _fields(await _form(kind, request.headers, body), lists), strict=False)
    raise UnknownMediaType(f"A body of type {kind or '(none)'!r} is not read here; {JSON}, {FORM} and {MULTIPART} are.")


async def read_form(request: Request, kinds: Collection[str] = (FORM, MULTIPART)) -> FormData:
    """Return the fields of a form as they were sent, unchecked.

    Raises:
        BadBody, BodyTooLong, UnknownMediaType: it could not be read.
    """
    body = await _bytes(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise UnknownMediaType(f"A form of type {kind or '(none)'!r} is not read here; {' and '.join(kinds)} are.")
    return await _form(kind, request.headers, body)


async def read_fields(request: Request, text_kind: str, text_field: str) -> Mapping[str, Any]:
    """Return the fields of a body as they were sent, unchecked; a body of type `text_kind` is one field, a text.

    Raises:
        BadBody, BodyTooLong, UnknownMediaType: it could not be read.
    """
    body = await _bytes(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return {}
    if kind == JSON:
        return _json(body)
    if kind == text_kind:
        try:
            return {text_field: body.decode()}
        except UnicodeDecodeError as error:
            raise BadBody(f"The body is not UTF-8 ({error.reason} at byte {error.start}).") from None
    if kind in {FORM, MULTIPART}:
        return dict((await _form(kind, request.headers, body)).items())
    known = ", ".join((*MEDIA_TYPES, text_kind))
    raise UnknownMediaType(f"A body of type {kind or '(none)'!r} is not read here; {known} are.")


async def _bytes(request: Request) -> bytes:
    claimed = request.headers.get("content-length", "0")
    body = bytearray()
    if claimed.isascii() and claimed.isdigit() and int(claimed[:20]) > BODY_LIMIT_BYTES:
        _refuse_length()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT_BYTES:
            _refuse_length()
    return bytes(body)


def _refuse_length() -> NoReturn:
    raise BodyTooLong(f"The body is longer than {BODY_LIMIT_BYTES} bytes, the most that is read.")


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadBody("JSON parse error - it is nested too deeply.") from None
    except ValueError as error:
        raise BadBody(f"JSON parse error - {str(error)[:200]}.") from None
    if not isinstance(fields, dict):
        raise BadBody(f"The body must be a JSON object with the fields, not {type(fields).__name__}.")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


async def _form(kind: str, headers: Headers, body: bytes) -> FormData:
    try:
        if kind == FORM:
            return await FormParser(headers, _stream(body), max_fields=_FIELDS_LIMIT).parse()
        return await MultiPartParser(headers, _stream(body), max_files=0, max_fields=_FIELDS_LIMIT).parse()
    except (MultiPartException, FormParserError, KeyError, ValueError) as error:
        reason = str(getattr(error, "message", error))[:200]
        raise BadBody(f"Form parse error - {reason.rstrip('.')}.") from None


async def _stream(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
    yield b""


def _fields(form: FormData, lists: set[str]) -> Mapping[str, Any]:
    """Return the fields of a form: all values of those that are lists, the last value of the others."""
    return {name: form.getlist(name) if name in lists else form[name] for name in form}
