"""The metrics: read as Prometheus reads them, for whom they are meant, and each of them documented."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from lockstep.coordinator.adapters.measured import MeasuredStore, MeasuredTaskServices
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.ports import always
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.protocol.messages import Action, Answer, Refusal, Reply, Request, Silence
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, Coordinator, coordinator

TOKEN = "a-token-for-prometheus"
DOCUMENTED = Path(__file__).parents[2] / "docs" / "metrics.md"


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(text: str, sample: str, **labels: str) -> float:
    found = [
        one.value
        for family in families(text).values()
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    ]
    return sum(found)


async def read(here: Coordinator, **headers: str) -> httpx.Response:
    async with here.client() as web:
        return await web.get("/metrics", headers=headers)


def measured(here: Coordinator) -> None:
    """Have what is decided in a coordinator measured, as the composition root does."""
    here.store = MeasuredStore(here.store, here.desk.metrics)


def test_releases_tasks_and_events_are_counted_by_what_they_are() -> None:
    async def go() -> None:
        async with coordinator() as here:
            await here.service()
            releases = [(await here.release()).release.kf_id for _ in range(3)]
            await here.bring(releases[0], ReleaseState.STAGED)
            text = (await read(here)).text
            assert value(text, "lockstep_releases", state="staged") == 1
            assert value(text, "lockstep_releases", state="waiting") == 2
            assert value(text, "lockstep_releases", state="failed") == 0
            assert value(text, "lockstep_tasks", state="waiting") == 2
            assert value(text, "lockstep_tasks") == 3
            assert value(text, "lockstep_events", event_type="info") == len(
                (await here.client().get("/events?limit=100")).json()["results"]
            )
            assert value(text, "lockstep_database_up") == 1
            assert value(text, "lockstep_build_info", commit="") == 1

    asyncio.run(go())


def test_steps_are_timed_when_a_release_leaves_them() -> None:
    async def go() -> None:
        async with coordinator() as here:
            measured(here)
            release_id = (await here.release()).release.kf_id
            await here.bring(release_id, ReleaseState.PUBLISHED)
            text = (await read(here)).text
            for step in ("initialize", "stage", "review", "publish"):
                assert value(text, "lockstep_step_duration_seconds_count", step=step) == 1
            assert value(text, "lockstep_releases_ended_total", state="published") == 1
            assert value(text, "lockstep_releases_ended_total") == 1

    asyncio.run(go())


class Replying:
    """Task services that reply what a test says."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = iter(replies)

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        return next(self._replies)


def test_requests_to_services_are_counted_by_action_and_outcome() -> None:
    async def go() -> None:
        metrics = Metrics()
        replies: list[Reply] = [Answer(), Refusal(400, "no"), Silence("nothing came")]
        services = MeasuredTaskServices(Replying(*replies), metrics)
        sent = [
            await services.send("http://a", Request(action, "TA_00000001", "RE_00000001"), "0" * 32)
            for action in (Action.START, Action.START, Action.PUBLISH)
        ]
        assert sent == replies
        text = metrics.render().decode()
        for action, outcome in (("start", "answer"), ("start", "refusal"), ("publish", "silence")):
            assert value(text, "lockstep_send_duration_seconds_count", action=action, outcome=outcome) == 1

    asyncio.run(go())


def test_the_lag_is_how_long_the_longest_overdue_release_has_been_due() -> None:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    for due, lag in ((None, 0), (now + timedelta(seconds=5), 0), (now - timedelta(seconds=7), 7)):
        metrics = Metrics()
        metrics.read({}, {}, due, now)
        assert value(metrics.render().decode(), "lockstep_queue_lag_seconds") == lag


def test_requests_are_counted_by_documented_route_and_never_by_what_was_asked_for() -> None:
    async def go() -> None:
        async with coordinator() as here, here.client() as web:
            for path in ("/releases/RE_00000000", "/releases/RE_00000001", "/nothing/here", "/releases?limit=0"):
                await web.get(path)
            await web.request("BREW", "/releases")
            text = (await read(here)).text
            count = "lockstep_http_request_duration_seconds_count"
            assert value(text, count, route="/releases/{release_id}", method="GET", status="404") == 2
            assert value(text, count, route="/releases", status="400") == 1
            assert value(text, count, method="other", status="405") == 1
            routes = {one.labels["route"] for one in families(text)[count.removesuffix("_count")].samples}
            assert not any("RE_" in route or "nothing" in route for route in routes)

    asyncio.run(go())


class AwayStore(MemoryStore):
    """A store whose database does not answer."""

    async def tallies(self) -> Mapping[str, int]:
        raise Unavailable("The database is away.")


def test_the_metrics_are_there_when_the_database_is_not() -> None:
    async def go() -> None:
        async with coordinator(AwayStore()) as here:
            answer = await read(here)
            assert (answer.status_code, value(answer.text, "lockstep_database_up")) == (200, 0)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("token", "headers", "client", "status"),
    [
        ("", {}, "127.0.0.1", 200),
        ("", {}, "::1", 200),
        ("", {}, "198.51.100.7", 403),
        ("", {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", 403),
        ("", {"Forwarded": "for=127.0.0.1"}, "127.0.0.1", 403),
        (TOKEN, {}, "127.0.0.1", 403),
        (TOKEN, {"Authorization": f"Bearer {TOKEN}"}, "198.51.100.7", 200),
        (TOKEN, {"Authorization": "Bearer another-token"}, "127.0.0.1", 403),
        (TOKEN, {"Authorization": "Bearer "}, "127.0.0.1", 403),
    ],
)
def test_the_metrics_are_for_this_machine_or_for_the_token(
    token: str, headers: dict[str, str], client: str, status: int
) -> None:
    async def go() -> None:
        async with coordinator() as here:
            here.desk = replace(here.desk, metrics_token=token)
            transport = httpx.ASGITransport(here.app(), client=(client, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://coordinator") as web:
                assert (await web.get("/metrics", headers=headers)).status_code == status

    asyncio.run(go())


def test_nothing_grows_with_the_number_of_releases() -> None:
    async def go() -> None:
        async with coordinator() as here:
            measured(here)
            sizes = []
            for _ in range(3):
                release_id = (await here.release(*STUDIES)).release.kf_id
                await here.bring(release_id, ReleaseState.PUBLISHED)
                async with here.client() as web:
                    await web.get(f"/releases/{release_id}")
                text = (await read(here)).text
                sizes.append(sum(len(family.samples) for family in families(text).values()))
            assert sizes[1] == sizes[2]

    asyncio.run(go())


def test_every_metric_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(r"^\| `(lockstep_[a-z_]+)`", DOCUMENTED.read_text(), re.MULTILINE))
    text = Metrics().render().decode()
    ours = {name for name in families(text) if name.startswith("lockstep_")}
    counters = {name for name in ours if families(text)[name].type == "counter"}
    assert documented == (ours - counters) | {f"{name}_total" for name in counters}
