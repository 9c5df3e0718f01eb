"""DynamoDB throttles, breaks off and goes away, and the report is right or the old one, and never a mix of both."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import pytest

from lockstep.reports.dynamodb.calls import BATCH_GET_LIMIT, Calls, connect
from lockstep.reports.dynamodb.rows import decode
from lockstep.reports.dynamodb.store import DynamoReports
from lockstep.reports.dynamodb.tables import Tables
from lockstep.reports.report import Report, ReportState
from lockstep.taskkit import StoreUnavailable
from tests.reports.conftest import REAL
from tests.reports.dynamodb_proxy import THROTTLED, Answer, Lost, Proxy, Request, proxied, refused
from tests.reports.report_store_contract import FINAL, RELEASE, RUNNING, STAGED, report, stage

pytestmark = pytest.mark.skipif(REAL, reason="faults are played in front of a played DynamoDB")

STUDIES = ("SD_00000001", "SD_00000002", "SD_00000003")
BLANK = report(ReportState.RUNNING, *STUDIES, counts={})
COUNTED = report(ReportState.STAGED, *STUDIES)

Change = Callable[[DynamoReports], bool]


@pytest.fixture
def proxy(dynamodb_url: str) -> Iterator[Proxy]:
    with proxied(dynamodb_url) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy, tables: Tables) -> DynamoReports:
    """A store behind the proxy, which does not wait long."""
    return DynamoReports(Calls(connect(endpoint_url=proxy.url), attempts=4, pause_s=0.005), tables)


@pytest.fixture
def direct(calls: Calls, tables: Tables) -> DynamoReports:
    """The same tables without the proxy."""
    return DynamoReports(calls, tables)


def take_through(store: DynamoReports) -> None:
    """Take a report from nothing to published, as the service does."""
    assert store.write(BLANK, None)
    assert store.write(COUNTED, RUNNING)
    assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)


def states(calls: Calls, tables: Tables) -> list[str]:
    """Return what the rows of the studies themselves say."""
    return [decode(item)["state"] for item in calls.client.scan(TableName=tables.study_summary)["Items"]]


def check_published(store: DynamoReports) -> None:
    whole = store.report(RELEASE)
    assert whole is not None
    heading = whole.summary.heading
    assert (heading.state, heading.version, heading.published_at) == (ReportState.PUBLISHED, "0.1.0", FINAL.at)
    assert [row.counts for row in whole.studies] == [row.counts for row in COUNTED.studies]


def test_a_throttled_write_is_made_later(proxy: Proxy, store: DynamoReports) -> None:
    """Each request is throttled the first time, single ones and whole transactions."""
    seen: set[str] = set()

    def throttle(request: Request) -> Answer | None:
        if (asked := str(request.body)) in seen:
            return None
        seen.add(asked)
        if request.operation == "TransactWriteItems":
            seen.clear()
            reasons = [{"Code": "None"}, {"Code": "ThrottlingError", "Message": "so it is"}]
            answer = refused("TransactionCanceledException")
            return Answer(400, {**answer.body, "CancellationReasons": reasons}) if request.number % 2 else None
        return THROTTLED

    proxy.before = throttle
    take_through(store)
    check_published(store)
    assert proxy.asked.count("TransactWriteItems") == 6


def test_throttled_for_good_it_gives_up_and_says_so(proxy: Proxy, store: DynamoReports, direct: DynamoReports) -> None:
    """What was to be staged is not staged."""
    assert store.write(BLANK, None)
    proxy.before = lambda request: THROTTLED if request.operation == "PutItem" else None
    with pytest.raises(StoreUnavailable) as caught:
        store.write(COUNTED, RUNNING)
    assert str(caught.value) == (
        "the tables of the reports in DynamoDB cannot be used: ProvisionedThroughputExceededException"
    )
    assert direct.report(RELEASE) == BLANK


def test_keys_left_unprocessed_are_asked_for_again(proxy: Proxy, store: DynamoReports) -> None:
    for number in range(5):
        stage(store, "SD_00000001", release=f"RE_{number:08d}", day=number)

    def leave_some(request: Request, answered: dict[str, Any]) -> None:
        if request.operation != "BatchGetItem":
            return
        for table, asked in request.body["RequestItems"].items():
            if len(asked["Keys"]) > 1:
                left = asked["Keys"][1:]
                answered["Responses"][table] = [
                    item
                    for item in answered["Responses"][table]
                    if not any(key.items() <= item.items() for key in left)
                ]
                answered.setdefault("UnprocessedKeys", {})[table] = {**asked, "Keys": left}

    proxy.after = leave_some
    patient = DynamoReports(Calls(connect(endpoint_url=proxy.url), attempts=10, pause_s=0.001), store._items._tables)
    assert [row.heading.release_id for row in patient.history("SD_00000001", 10).rows] == [
        f"RE_{number:08d}" for number in (4, 3, 2, 1, 0)
    ]
    with pytest.raises(StoreUnavailable, match="left keys unprocessed again and again"):
        store.history("SD_00000001", 10)


def test_no_request_asks_for_more_than_is_allowed(proxy: Proxy, store: DynamoReports) -> None:
    """A hundred keys are the most; fifty-one releases of a study need a hundred and two."""
    sizes: list[int] = []
    proxy.before = lambda request: sizes.append(
        sum(len(asked["Keys"]) for asked in request.body["RequestItems"].values())
    )
    found = store._items.found([(f"RE_{number:08d}", "SD_00000001") for number in range(51)])
    assert (found.releases, found.studies) == ({}, {})
    assert sizes == [BATCH_GET_LIMIT, 2]


def test_pages_of_a_query_are_followed_to_the_end(proxy: Proxy, store: DynamoReports) -> None:
    """One item to a page: what DynamoDB does after a megabyte."""

    def page(request: Request) -> None:
        if request.operation == "Query":
            request.body["Limit"] = 1

    proxy.before = page
    take_through(store)
    check_published(store)
    assert proxy.asked.count("Query") == 3 * len(STUDIES)


@pytest.mark.parametrize("operation", ["UpdateItem", "PutItem", "TransactWriteItems"])
def test_a_write_whose_answer_is_lost_is_made_once(proxy: Proxy, store: DynamoReports, operation: str) -> None:
    """Nobody knows whether it was carried out; asked again, it turns out that it was."""
    lost: set[str] = set()

    def lose(request: Request, _: Any) -> None:
        asked = str({name: value for name, value in request.body.items() if name != "ClientRequestToken"})
        if request.operation == operation and asked not in lost:
            lost.add(asked)
            raise Lost

    proxy.after = lose
    take_through(store)
    check_published(store)
    assert lost


def test_html_and_faults_of_the_server_are_passing(proxy: Proxy, store: DynamoReports) -> None:
    page = {"kind": "text/html"}
    odd = [Answer(502, "<h1>Bad Gateway</h1>", **page), Answer(200, "<h1>Welcome</h1>", **page)]
    odd += [refused("InternalServerError"), Answer(200, "<h1>Welcome</h1>", **page)]
    proxy.before = lambda _: odd.pop() if odd and len(proxy.asked) % 2 else None
    take_through(store)
    check_published(store)
    assert odd == []


@pytest.mark.usefixtures("dynamodb_url")
def test_out_of_reach_it_is_asked_again_and_then_said_without_an_address() -> None:
    with proxied("http://127.0.0.1:1") as gone:
        client = connect(endpoint_url=gone.url)
    asked: list[str] = []

    def ask() -> Any:
        asked.append("ListTables")
        return client.list_tables()

    with pytest.raises(StoreUnavailable) as caught:
        Calls(client, attempts=3, pause_s=0.001).ask(ask)
    assert len(asked) == 3
    sentence = "the tables of the reports in DynamoDB cannot be used: nothing can be reached where DynamoDB should be"
    assert sentence == str(caught.value)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDeniedException", "this program may not use the tables"),
        ("UnrecognizedClientException", "the AWS credentials are not known there"),
        ("ExpiredTokenException", "the AWS credentials have expired"),
        ("ValidationException", "cannot be used: ValidationException"),
    ],
)
def test_a_refusal_is_not_asked_for_again(proxy: Proxy, store: DynamoReports, code: str, sentence: str) -> None:
    proxy.before = lambda _: refused(code)
    with pytest.raises(StoreUnavailable, match=sentence):
        store.mark(RELEASE)
    assert proxy.asked == ["GetItem"]


def test_a_missing_table_is_said_to_be_missing(calls: Calls) -> None:
    store = DynamoReports(calls, Tables("nobody-made-a", "nobody-made-b", "nobody-made-c"))
    with pytest.raises(StoreUnavailable, match="`lockstep reports create-tables` makes what is missing"):
        store.write(BLANK, None)


def test_killed_after_any_of_its_writes_the_old_report_stands_and_the_change_is_made_again(
    proxy: Proxy, store: DynamoReports, direct: DynamoReports, calls: Calls, tables: Tables
) -> None:
    """Counting and publishing, ended after none of their writes, after one, and so on: nothing half done is shown."""
    assert direct.write(BLANK, None)
    changes: list[tuple[Report, Change]] = [
        (BLANK, lambda of: of.write(COUNTED, RUNNING)),
        (COUNTED, lambda of: of.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)),
    ]
    for before, change in changes:
        ends = [survives(proxy, store, change, writes) or direct.report(RELEASE) for writes in range(len(STUDIES) + 2)]
        assert ends == [before] * (len(STUDIES) + 2)
        assert survives(proxy, store, change, len(STUDIES) + 2)
    check_published(direct)
    assert states(calls, tables) == ["published"] * len(STUDIES)


def test_killed_while_it_begins_a_report_is_there_whole_or_not_at_all(
    proxy: Proxy, store: DynamoReports, direct: DynamoReports
) -> None:
    """Its release is turned first and names the studies, so that they are shown before their own rows are there."""
    for writes, shown in enumerate((None, None, BLANK, BLANK, BLANK)):
        mark = direct.mark(RELEASE)
        assert not survives(proxy, store, partial(DynamoReports.write, report=BLANK, seen=mark), writes)
        assert direct.report(RELEASE) == shown
    assert direct.study(RELEASE, STUDIES[2]) == BLANK.studies[2]
    assert survives(proxy, store, lambda of: of.write(BLANK, RUNNING), 20)
    assert direct.report(RELEASE) == BLANK


def survives(proxy: Proxy, store: DynamoReports, change: Change, writes: int) -> bool:
    """Make a change, letting so many writes through and no further one; tell whether that was enough for it."""
    let_through: list[Request] = []

    def end(request: Request) -> None:
        if request.is_write:
            let_through.append(request)
            if len(let_through) > writes:
                raise Lost

    proxy.before = end
    try:
        assert change(store)
    except StoreUnavailable:
        return False
    finally:
        proxy.before = lambda _: None
    return True


def test_somebody_who_was_overtaken_spoils_nothing(
    proxy: Proxy, store: DynamoReports, direct: DynamoReports, calls: Calls, tables: Tables
) -> None:
    """Staging stands still in the middle of its writes, the release is canceled, and staging goes on too late."""
    assert direct.write(BLANK, None)
    reached, go_on = Event(), Event()

    def hold(request: Request) -> None:
        if request.operation == "PutItem" and "SD_00000002" in str(request.body):
            reached.set()
            assert go_on.wait(10)

    proxy.before = hold
    with ThreadPoolExecutor(1) as thread:
        staging = thread.submit(store.write, COUNTED, RUNNING)
        assert reached.wait(10)
        assert direct.move(RELEASE, RUNNING, ReportState.CANCELED)
        go_on.set()
        assert staging.result() is False
    whole = direct.report(RELEASE)
    assert whole is not None
    headings = [whole.summary.heading, *(row.heading for row in whole.studies)]
    assert {heading.state for heading in headings} == {ReportState.CANCELED}
    assert states(calls, tables) == ["canceled"] * len(STUDIES)


def test_a_claim_on_what_was_read_before_its_turn_is_refused(
    proxy: Proxy, store: DynamoReports, direct: DynamoReports
) -> None:
    """A cancel reads the report between claim and turn of its staging, and claims it when that is over: too late."""
    assert direct.write(BLANK, None)
    has_read, is_staged = Event(), Event()

    def hold(request: Request) -> None:
        if request.operation == "TransactWriteItems" and request.number == 1:
            assert has_read.wait(10)
        if request.operation == "UpdateItem" and request.number == 2:
            has_read.set()
            assert is_staged.wait(10)

    proxy.before = hold
    with ThreadPoolExecutor(2) as threads:
        staging = threads.submit(store.write, COUNTED, RUNNING)
        while "TransactWriteItems" not in proxy.asked:
            assert not staging.done()
        canceling = threads.submit(store.move, RELEASE, RUNNING, ReportState.CANCELED)
        assert staging.result() is True
        is_staged.set()
        assert canceling.result() is False
    assert direct.report(RELEASE) == COUNTED
