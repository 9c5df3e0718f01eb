"""JSON to message and back: every dialect of the field is understood, and nothing that comes in breaks the reader."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.protocol.errors import BadMessage
from lockstep.protocol.messages import ACCEPTED, EPOCH_LIMIT, WANTED, Action, Answer, Refusal, Request, Silence
from lockstep.protocol.states import TaskState, reached
from lockstep.protocol.wire import ASK_AGAIN, read_progress, reply_from_http, request_from_json, request_to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=100)
TEXTS = st.lists(st.text(), max_size=5).map(tuple)
EPOCHS = st.none() | st.integers(0, EPOCH_LIMIT)
REQUESTS = st.builds(Request, st.sampled_from(Action), NAMES, NAMES, TEXTS, TEXTS, EPOCHS)


@pytest.mark.parametrize(
    ("dialect", "body", "answer"),
    [
        (
            "reference, initialize",
            {"state": "pending", "release_id": "RE_1", "task_id": "TA_1", "progress": 0},
            ("pending", 0),
        ),
        ("reports, initialize", {"task_id": "TA_1", "release_id": "RE_1", "state": "initialized"}, ("pending", None)),
        ("reports, start", {"task_id": "TA_1", "state": "running", "created_at": 1543622400.25}, ("running", None)),
        ("snapshot, start", {"name": "snapshot task", "progress": None, "state": "running"}, ("running", 0)),
        ("snapshot, cancel", {"state": "cancelling", "progress": None}, ("canceled", 0)),
        ("snapshot, after cancel", {"state": "cancelled", "progress": None}, ("canceled", 0)),
        ("the specification", {"name": "task", "kf_id": "TA_1", "state": "staged", "progress": "50%"}, ("staged", 50)),
        ("the diagram", {"task_id": "TA_1", "progress": 100, "state": "staged"}, ("staged", 100)),
        ("nothing but progress", {"progress": "7"}, (None, 7)),
        ("an envelope that nobody asked for", {"_status": {"code": 200}, "results": {"state": "failed"}}, (None, None)),
    ],
)
def test_the_dialects_of_services_in_the_field(dialect: str, body: dict[str, Any], answer: tuple[Any, Any]) -> None:
    state, progress = answer
    expected = Answer(TaskState(state) if state else None, progress)
    assert (dialect, reply_from_http(200, json.dumps(body).encode())) == (dialect, expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_in_any_unicode_encoding_is_read(encoding: str) -> None:
    body = json.dumps({"state": "staged", "name": "Größe"}, ensure_ascii=False).encode(encoding)
    assert reply_from_http(200, body) == Answer(TaskState.STAGED)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe{",
        b'{"state": "\xff"}',
        b'{"state": "staged"} and more',
        b"<!doctype html><title>It works</title>",
        b"\0" * 100,
        b'{"progress": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
    ],
)
def test_a_body_that_is_no_json_says_nothing(body: bytes) -> None:
    assert reply_from_http(200, body) == Answer()


def test_the_last_of_repeated_keys_counts() -> None:
    assert reply_from_http(200, b'{"state": "failed", "state": "staged"}') == Answer(TaskState.STAGED)


def test_a_bad_progress_leaves_the_state_and_a_complaint() -> None:
    reply = reply_from_http(200, b'{"state": "running", "progress": "nearly"}')
    said = "'nearly' is not a progress; a number from 0 to 100, or a text such as \"50%\", would be"
    assert reply == Answer(TaskState.RUNNING, None, said)


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 400, 999_999_999),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0),
        ("Wed Oct 21 07:28:00 2015", 0),
    ],
)
@pytest.mark.parametrize("status", sorted(ASK_AGAIN))
def test_retry_after_in_its_forms(status: int, header: str, pause_s: float) -> None:
    assert reply_from_http(status, b"busy", header) == Silence(f"HTTP {status} with Retry-After", pause_s)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "soon",
        "-5",
        "1.5",
        "1e3",
        "٣",
        "Mon, 16 Nov 99999999999999999999 09:00:00 GMT",
        "Mon, 16 Nov 2009 09:00:00 +99999999999999",
        "Mon, 99 Nov 2009 09:00:00 GMT",
    ],
)
def test_a_retry_after_that_says_nothing(header: str | None) -> None:
    assert reply_from_http(503, b"busy", header) == Refusal(503, "HTTP 503 Service Unavailable: busy")


@pytest.mark.parametrize("status", [100, 199, 201, 226, 299, 304, 399, 400, 499, 500, 599, 600, 999])
def test_a_refusal_says_what_came_back(status: int) -> None:
    """One line, short, and without a character that a database refuses."""
    reply = reply_from_http(status, b"<h1>no</h1>\r\n\t\0\xff" + b"x" * 10_000, "30")
    assert isinstance(reply, Refusal)
    assert reply.reason.startswith(f"HTTP {status}")
    assert "<h1>no</h1>" in reply.reason
    assert len(reply.reason) < 400
    assert "\0" not in reply.reason
    assert "\n" not in reply.reason


def test_a_refusal_without_a_body() -> None:
    assert reply_from_http(404, b"") == Refusal(404, "HTTP 404 Not Found")
    assert reply_from_http(777, b" \n ") == Refusal(777, "HTTP 777")


@given(st.integers(0, 999), st.binary(max_size=200), st.none() | st.text(max_size=40))
@example(200, b'{"progress": 1' + b"0" * 400 + b"}", None)
@example(503, b"", "Mon, 16 Nov 99999999999999999999 09:00:00 GMT")
@example(200, b'{"state": ' + b"[" * 900 + b"]" * 900 + b"}", None)
def test_reading_any_response_gives_a_reply(status: int, body: bytes, retry_after: str | None) -> None:
    """Nothing that a service sends raises, and only 200 is an answer."""
    reply = reply_from_http(status, body, retry_after)
    assert isinstance(reply, Answer | Refusal if status == 200 else Refusal | Silence)


@given(st.dictionaries(st.sampled_from(["state", "progress", "task_id"]), JSON, max_size=3))
def test_reading_any_json_object_gives_a_reply(body: dict[str, Any]) -> None:
    """With a progress in its bounds, and a reason that fits into an event."""
    reply = reply_from_http(200, json.dumps(body).encode())
    if isinstance(reply, Answer):
        assert reply.progress is None or 0 <= reply.progress <= 100
        assert reply.complaint is None or len(reply.complaint) < 200
    else:
        assert isinstance(reply, Refusal)
        assert len(reply.reason) < 300


@given(st.sampled_from(["Mon, ", "Sunday, ", ""]), st.text("0123456789:+-, JanovGMTZ", max_size=40))
def test_reading_any_date_gives_a_reply(day: str, rest: str) -> None:
    assert isinstance(reply_from_http(429, b"", day + rest), Silence | Refusal)


@given(JSON)
def test_any_value_is_a_progress_or_is_not(value: Any) -> None:
    try:
        percent = read_progress(value)
    except BadMessage:
        percent = 0
    assert 0 <= percent <= 100


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_a_progress_is_the_same_as_number_and_as_text(number: float) -> None:
    """And with a percent sign, in the forms without an exponent."""
    text = str(number) if isinstance(number, int) else f"{number:f}"
    if len(text) < 300:
        expected = read_progress(float(text))
        assert [read_progress(text), read_progress(f"{text}%"), read_progress(f" {text} % ")] == [expected] * 3


@given(REQUESTS)
def test_a_request_survives_the_wire(request: Request) -> None:
    """Whole, except for what a question for the status leaves out."""
    body = json.loads(json.dumps(request_to_json(request)))
    plain = Request(request.action, request.task_id, request.release_id, epoch=request.epoch)
    assert request_from_json(body) == (plain if request.action is Action.GET_STATUS else request)


@given(JSON | st.dictionaries(st.sampled_from(["action", "task_id", "release_id", "studies", "urls", "epoch"]), JSON))
def test_reading_any_body_gives_a_request_or_a_sentence(body: Any) -> None:
    sentence = "it is a request"
    try:
        request_from_json(body)
    except BadMessage as error:
        sentence = str(error)
    assert 10 < len(sentence) < 250


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "the body must be a JSON object with action, task_id and release_id"),
        ({}, "action must be one of initialize, start, publish, cancel, get_status, not None"),
        ({"action": "stop"}, "action must be one of initialize, start, publish, cancel, get_status, not 'stop'"),
        ({"action": "start"}, "task_id is missing"),
        ({"action": "start", "task_id": ""}, "task_id must be a text of 1 to 100 characters"),
        ({"action": "start", "task_id": 7}, "task_id must be a text of 1 to 100 characters"),
        ({"action": "start", "kf_id": "x" * 101}, "kf_id must be a text of 1 to 100 characters"),
        ({"action": "start", "task_id": "TA\0"}, "task_id must be a text of 1 to 100 characters"),
        ({"action": "start", "task_id": "TA"}, "release_id is missing"),
        ({"action": "start", "task_id": "TA", "release_id": "RE", "studies": "SD"}, "studies must be a list of texts"),
        ({"action": "start", "task_id": "TA", "release_id": "RE", "urls": [1]}, "urls must be a list of texts"),
        *(
            (
                {"action": "start", "task_id": "TA", "release_id": "RE", "epoch": epoch},
                f"epoch must be a whole number from 0 to 9007199254740991, not {epoch!r}",
            )
            for epoch in (-1, 2**53, 1.0, True, "7", [7])
        ),
    ],
)
def test_a_body_that_is_no_request_is_told_why(body: Any, sentence: str) -> None:
    with pytest.raises(BadMessage) as refused:
        request_from_json(body)
    assert str(refused.value) == sentence


def test_an_older_coordinator_may_name_the_task_kf_id() -> None:
    """And leave out what it never sent."""
    body = {"action": "initialize", "kf_id": "TA_1", "release_id": "RE_1", "studies": None}
    assert request_from_json(body) == Request(Action.INITIALIZE, "TA_1", "RE_1")
    assert request_from_json({**body, "task_id": "TA_2"}).task_id == "TA_2"


def test_what_is_wanted_is_accepted() -> None:
    """An answer without a state means the wanted one, so it must be among the accepted; all are at it or past it."""
    assert WANTED.keys() == ACCEPTED.keys() == {Action.INITIALIZE, Action.START, Action.PUBLISH}
    for action, wanted in WANTED.items():
        assert wanted in ACCEPTED[action]
        assert all(reached(state, wanted) for state in ACCEPTED[action])


def test_an_epoch_is_sent_last_and_only_when_there_is_one() -> None:
    """A service in the field gets to see the body that it knows, with a key more at its end or none."""
    for action in Action:
        without = request_to_json(Request(action, "TA_1", "RE_1"))
        with_epoch = request_to_json(Request(action, "TA_1", "RE_1", epoch=0))
        assert "epoch" not in without
        assert [*without.items(), ("epoch", 0)] == list(with_epoch.items())


@pytest.mark.parametrize(("value", "epoch"), [(7, 7), (0, 0), (-1, None), ("7", None), (True, None), (None, None)])
def test_the_epoch_of_an_answer_and_of_a_refusal(value: object, epoch: int | None) -> None:
    """What is no epoch is as if it were not there: it must not spoil what else the service says."""
    body = json.dumps({"state": "running", "epoch": value}).encode()
    assert reply_from_http(200, body) == Answer(TaskState.RUNNING, epoch=epoch)
    refusal = reply_from_http(409, body)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.epoch) == (409, epoch)


def test_a_callback_token_is_sent_last_when_there_is_one_and_is_not_shown() -> None:
    plain = Request(Action.INITIALIZE, "TA_1", "RE_1")
    given = Request(Action.INITIALIZE, "TA_1", "RE_1", callback_token="s3cret")
    assert [*request_to_json(plain).items(), ("callback_token", "s3cret")] == list(request_to_json(given).items())
    assert request_from_json(request_to_json(given)) == given
    assert "s3cret" not in repr(given)


@pytest.mark.parametrize("token", ["", 5, ["x"], "x" * 1001, "a\nb", "\u00e9"])
def test_a_callback_token_that_is_none_is_refused(token: object) -> None:
    body = {"action": "initialize", "task_id": "TA_1", "release_id": "RE_1", "callback_token": token}
    with pytest.raises(BadMessage, match="callback_token must be a text of 1 to 1000 ASCII characters"):
        request_from_json(body)
