"""What services say about their tasks beside state and progress, in answers and in reports of their own."""

import pytest

from lockstep.coordinator.services.inputs import TaskReport, check
from lockstep.protocol.messages import Action, Answer, Findings
from lockstep.protocol.states import TaskState
from lockstep.protocol.wire import reply_from_http
from tests.table import Table

SAYS = Findings(metrics={"documents": 12, "SD_00000001": {"participants": 3}}, preview="https://preview.example.org/a")


@pytest.mark.rule("A17")
def test_what_a_service_has_counted_stays_with_its_task() -> None:
    table = Table("A")
    table.started()
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(TaskState.STAGED, findings=SAYS)})
    kept = table.task("A")
    assert (kept.metrics, kept.preview) == (SAYS.metrics, SAYS.preview)


@pytest.mark.rule("A17")
def test_the_reason_of_a_failure_is_the_one_that_the_service_gives() -> None:
    table = Table("A")
    table.started()
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(TaskState.FAILED, findings=Findings("the disk is full"))})
    assert table.errors[0] == f"task {table.task('A').kf_id} failed: the disk is full"


@pytest.mark.rule("A17")
def test_a_heartbeat_is_a_sign_of_life() -> None:
    """The progress may stay where it is for days."""
    table = Table("A")
    table.started()
    table.pass_time(29)
    table.call_back("A", TaskState.RUNNING, 0, Findings(alive=True))
    assert table.task("A").life_at == table.now
    table.pass_time(0.5)
    table.call_back("A", TaskState.RUNNING, 0)
    assert table.task("A").life_at < table.now


@pytest.mark.rule("A17")
def test_a_report_of_its_own_says_as_much_as_an_answer() -> None:
    table = Table("A")
    table.started()
    table.call_back("A", TaskState.STAGED, None, SAYS)
    kept = table.task("A")
    assert (kept.metrics, kept.preview) == (SAYS.metrics, SAYS.preview)
    table = Table("A")
    table.started()
    table.call_back("A", TaskState.FAILED, None, Findings("the disk is full"))
    assert table.errors[0] == f"task {table.task('A').kf_id} failed: the disk is full"


@pytest.mark.parametrize("said", [{"metrics": {"documents": 12}, "preview": "https://p.example.org"}, {}])
def test_a_report_over_http_says_as_much(said: dict[str, object]) -> None:
    report = check(TaskReport, {"state": "staged", **said})
    assert report.findings == Findings(metrics=said.get("metrics"), preview=said.get("preview"))  # type: ignore[arg-type]


@pytest.mark.rule("A17")
@pytest.mark.parametrize(
    "body",
    [
        b'{"state": "staged", "metrics": [1], "preview": 5, "error": {}}',
        b'{"state": "staged", "metrics": {"a": NaN}, "preview": "javascript:alert(1)", "error": "  "}',
        b'{"state": "staged", "metrics": {"a": "' + b"x" * 60_000 + b'"}, "preview": "https://a b", "error": ""}',
        b'{"state": "staged", "metrics": {"a": "\\ud800"}}',
        b'{"state": "staged", "metrics": {"\\udfff": 1}}',
        b'{"state": "staged", "metrics": {"a": ' + b"[" * 20 + b"]" * 20 + b"}}",
        b'{"state": "staged", "metrics": {"a": ' + b"[" * 945 + b"]" * 945 + b"}}",
    ],
)
def test_what_cannot_be_meant_is_left_out(body: bytes) -> None:
    """The state counts all the same."""
    assert reply_from_http(200, body) == Answer(TaskState.STAGED)


@pytest.mark.rule("A17")
def test_a_reason_that_cannot_be_written_is_told_as_far_as_it_can() -> None:
    """Half of a surrogate pair is what Python makes of a file name that is no text."""
    answer = reply_from_http(200, b'{"state": "failed", "error": "no file caf\\udce9\\u0000\\n here"}')
    assert answer == Answer(TaskState.FAILED, findings=Findings("no file caf? here"))
