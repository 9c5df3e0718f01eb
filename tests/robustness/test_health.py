"""Whether a coordinator is well: what it says of its database, its queue and its worker."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from lockstep.coordinator.bootstrap import running, working
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.records import StudyFacts
from lockstep.coordinator.services.health import LONGEST_LAG_S, LONGEST_SILENCE_S, Wellness, examine
from lockstep.coordinator.settings import read_settings
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.stack.engines import Valkey
from lockstep.stack.processes import free_ports
from tests.announcing.log import NOW, SetClock, event_log
from tests.faces import coordinator
from tests.patience import PATIENCE_S, until
from tests.robustness.test_metrics import value

OK = "ok"


class AwayStore(MemoryStore):
    async def check(self) -> None:
        raise Unavailable("The database is away.")


def test_all_is_well_while_work_is_done_in_time() -> None:
    async def go() -> None:
        store, clock = MemoryStore(), SetClock()
        assert await examine(store, clock, clock.now) == Wellness(OK, OK, OK)
        await event_log(store)
        clock.pass_by(LONGEST_LAG_S)
        assert (await examine(store, clock, None)).well
        clock.pass_by(1)
        late = await examine(store, clock, clock.now)
        sentence = "A release has been due for 61 s, and nobody has looked at it."
        assert (late, late.sentence) == (Wellness(OK, sentence, OK), sentence)

    asyncio.run(go())


def test_a_worker_that_does_not_look_is_not_well() -> None:
    async def go() -> None:
        store, clock = MemoryStore(), SetClock()
        clock.pass_by(LONGEST_SILENCE_S)
        assert (await examine(store, clock, lambda: NOW)).worker == OK
        clock.pass_by(1)
        assert (await examine(store, clock, lambda: NOW)).worker == "The worker has not looked for work for 31 s."

    asyncio.run(go())


def test_a_database_that_is_away_is_the_cause_of_all() -> None:
    async def go() -> None:
        found = await examine(AwayStore(), SetClock(), lambda: NOW)
        assert (found.well, found.sentence, found.worker) == (False, "The database is away.", OK)

    asyncio.run(go())


def test_the_probes_tell_life_readiness_and_status_apart() -> None:
    async def go() -> None:
        async with coordinator(AwayStore()) as away, away.client() as web:
            answers = {path: await web.get(path) for path in ("/healthz", "/readyz", "/status")}
            assert [answer.status_code for answer in answers.values()] == [200, 503, 503]
            assert answers["/healthz"].json() == {"status": "ok"}
            assert answers["/readyz"].json()["database"] == "The database is away."
            assert answers["/status"].json()["message"] == "The database is away."
        async with coordinator() as here:
            slow = lambda: datetime.now(UTC) - timedelta(seconds=40)  # noqa: E731
            here.desk = replace(here.desk, pulse=slow)
            async with here.client() as web:
                ready = await web.get("/readyz")
                assert (ready.status_code, ready.json()["status"]) == (200, "ok")
                assert (await web.get("/status")).status_code == 503
                here.desk.closing.set()
                ready = await web.get("/readyz")
                assert (ready.status_code, ready.json()["status"]) == (503, "not ready")

    asyncio.run(go())


def test_a_coordinator_that_runs_is_well_and_counts(tmp_path: Path) -> None:
    async def go() -> None:
        settings = read_settings(port=0, database_url=f"sqlite:///{tmp_path}/lockstep.db", commit="abc")
        async with running(settings) as here, httpx.AsyncClient(base_url=here.url, timeout=PATIENCE_S) as web:
            expected = {"name": "Lockstep", "commit": "abc", "code": 200, "message": "Ready."}
            expected |= {"database": OK, "queue": OK, "worker": OK}

            status = await web.get("/status")
            assert expected.items() <= status.json().items()
            await here.desk.store.sync_studies([StudyFacts("SD_DYPMEHHF", "A study", True, datetime.now(UTC))])
            await web.post("/releases", json={"name": "Winter", "studies": ["SD_DYPMEHHF"]})

            async def staged() -> str:
                text = (await web.get("/metrics")).text
                return text if value(text, "lockstep_releases", state="staged") else ""

            metrics = await until(staged)
            assert value(metrics, "lockstep_build_info", commit="abc") == 1
            assert value(metrics, "lockstep_queue_lag_seconds") < LONGEST_LAG_S

    asyncio.run(go())


@pytest.mark.timeout(180)
def test_a_worker_of_its_own_answers_probes_where_the_setting_says(new_database: Callable[[], str]) -> None:
    async def go() -> None:
        (port,) = free_ports(1)
        async with (
            working(read_settings(database_url=new_database(), worker_port=port)),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as web,
        ):
            for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/releases", 404)):
                assert (await web.get(path)).status_code == status
            assert value((await web.get("/metrics")).text, "lockstep_database_up") == 1

    asyncio.run(go())


@pytest.mark.timeout(180)
def test_a_queue_that_is_away_is_told_of_and_stops_nobody(new_database: Callable[[], str], tmp_path: Path) -> None:
    async def go() -> None:
        valkey = Valkey(tmp_path / "queue")
        await asyncio.to_thread(valkey.start)
        try:
            settings = read_settings(port=0, database_url=new_database(), redis_url=valkey.url)
            async with running(settings) as here, httpx.AsyncClient(base_url=here.url, timeout=PATIENCE_S) as web:

                async def queue(says: str) -> bool:
                    return bool((await web.get("/status")).json()["queue"].startswith(says))

                await until(lambda: queue(OK))
                await asyncio.to_thread(valkey.stop, signal.SIGKILL)
                await until(lambda: queue("Redis does not answer"))
                assert (await web.get("/status")).status_code == 503
                assert (await web.get("/readyz")).status_code == 200
                await asyncio.to_thread(valkey.start)
                await until(lambda: queue(OK))
        finally:
            await asyncio.to_thread(valkey.stop, signal.SIGKILL)

    asyncio.run(go())
