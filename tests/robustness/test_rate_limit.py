"""Who changes things too quickly is asked to wait; who reads is not, and nobody waits for somebody else."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from lockstep.coordinator.web.rate_limit import BURST_S, MOST_CALLERS, Buckets
from tests.faces import coordinator


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_twenty_seconds_worth_and_fills_again() -> None:
    time = Time()
    buckets = Buckets(2, time)
    assert [buckets.take("a") for _ in range(2 * BURST_S)] == [0.0] * 40
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0.0
    time.now += 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.5]
    time.now += 1_000_000
    assert [buckets.take("a") for _ in range(41)] == [0.0] * 40 + [0.5]


@given(st.lists(st.floats(0, 5), max_size=200), st.integers(1, 5))
def test_in_the_long_run_no_more_pass_than_the_rate(pauses: list[float], rate: int) -> None:
    time = Time()
    buckets = Buckets(rate, time)
    passed = 0
    for pause in pauses:
        time.now += pause
        passed += buckets.take("a") == 0
    assert passed <= rate * (BURST_S + sum(pauses)) + 1


def test_only_so_many_callers_are_remembered() -> None:
    buckets = Buckets(1, Time())
    for n in range(MOST_CALLERS + 10):
        buckets.take(str(n))
    assert len(buckets._left) == MOST_CALLERS


def test_a_caller_who_changes_too_much_is_told_when_to_come_again() -> None:
    async def go() -> None:
        async with coordinator() as here, here.client(write_rate=1) as web:
            answers = [await web.patch("/tasks/TA_00000000", json={"progress": 1}) for _ in range(BURST_S + 1)]
            assert [answer.status_code for answer in answers] == [404] * BURST_S + [429]
            refused = answers[-1]
            assert refused.headers["retry-after"] == "1"
            expected = "These are too many changes at once; 1 each second are taken in the long run."
            assert refused.json() == {"detail": expected}
            assert (await web.get("/releases")).status_code == 200
            assert "lockstep_http_requests_limited_total 1.0" in here.desk.metrics.render().decode()

    asyncio.run(go())


def test_without_a_rate_nobody_waits() -> None:
    async def go() -> None:
        async with coordinator() as here, here.client(write_rate=0) as web:
            answers = [await web.patch("/tasks/TA_00000000", json={"progress": 1}) for _ in range(50)]
            assert {answer.status_code for answer in answers} == {404}

    asyncio.run(go())


def test_queries_are_reads_and_mutations_are_changes_though_both_are_posted() -> None:
    """A dashboard asks by POST every few seconds, in every tab; that must use up nothing, and fill no log."""
    ask = {"query": "{ status { name } }"}
    change = {"query": "mutation { syncStudies { new { edges { cursor } } } }"}

    async def go() -> None:
        async with coordinator() as here, here.client(write_rate=1) as web:
            asked = [await web.post("/graphql", json=ask) for _ in range(2 * BURST_S)]
            assert {answer.status_code for answer in asked} == {200}
            changed = [await web.post("/graphql", json=change) for _ in range(BURST_S + 1)]
            assert [answer.status_code for answer in changed] == [200] * BURST_S + [429]
            assert changed[-1].headers["retry-after"] == "1"
            expected = "These are too many changes at once; 1 each second are taken in the long run."
            assert changed[-1].json() == {"errors": [{"message": expected}]}
            assert (await web.post("/graphql", json=ask)).status_code == 200
            assert (await web.patch("/tasks/TA_00000000", json={"progress": 1})).status_code == 429
            assert "lockstep_http_requests_limited_total 2.0" in here.desk.metrics.render().decode()

    with capture_logs() as logs:
        asyncio.run(go())
    said = Counter(line["status"] for line in logs if line["event"] == "request" and line["path"] == "/graphql")
    assert said == {200: BURST_S, 429: 1}
