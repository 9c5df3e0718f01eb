"""Announcements to a topic, played by moto over HTTP, as the subscribers of the topic read them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from lockstep.coordinator.adapters.sns import SnsTopic
from lockstep.coordinator.core.announcing import Outcome, ReceiverKind
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.engine.courier import Courier
from lockstep.coordinator.store.memory import MemoryStore
from tests.announcing.log import EventLog, SetClock, event_log
from tests.announcing.topics import CREDENTIALS, REGION, Topic, sns_server
from tests.patience import PATIENCE_S


@pytest.fixture(scope="module")
def sns_url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as environment, sns_server() as url:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
            environment.delenv(name, raising=False)
        yield url


@asynccontextmanager
async def announcing(arn: str, url: str) -> AsyncIterator[tuple[EventLog, Courier, list[Outcome]]]:
    log, outcomes = await event_log(MemoryStore()), list[Outcome]()
    await log.store.outbox.set_topic(arn, SetClock().now())
    carriers = {ReceiverKind.TOPIC: SnsTopic(arn, timeout_s=PATIENCE_S, endpoint_url=url)}
    observe = lambda _, outcome: outcomes.append(outcome)  # noqa: E731
    yield log, Courier(log.store.outbox, carriers, SetClock(), "me", observe=observe), outcomes


def test_subscribers_read_the_five_keys_that_they_know_in_their_order(sns_url: str) -> None:
    """The region comes from the topic's name; nothing else says it here."""

    async def go() -> None:
        topic = Topic(sns_url)
        async with announcing(topic.arn, sns_url) as (log, courier, _):
            message = f"release {log.release_id}, version 0.0.0 changed from waiting to initializing"
            await log.write(message, event_type=EventType.ERROR)
            await courier.catch_up()
            (text,) = await asyncio.to_thread(topic.arrived)
            assert text == (
                f'{{"event_type": "error", "message": "{message}", "task_service": null, "task": null, '
                f'"release": "{log.release_id}"}}'
            )

    asyncio.run(go())


def test_all_events_arrive_one_after_the_other(sns_url: str) -> None:
    async def go() -> None:
        topic = Topic(sns_url)
        async with announcing(topic.arn, sns_url) as (log, courier, _):
            written = [f"event {n}" for n in range(30)]
            await log.write(*written)
            await courier.catch_up()
            arrived = await asyncio.to_thread(topic.arrived)
            assert sorted(json.loads(text)["message"] for text in arrived) == sorted(written)

    asyncio.run(go())


def test_a_topic_that_is_not_there_holds_the_line(sns_url: str) -> None:
    async def go() -> None:
        arn = f"arn:aws:sns:{REGION}:123456789012:nobody"
        async with announcing(arn, sns_url) as (log, courier, outcomes):
            await log.write("one", "two")
            await courier.catch_up()
            assert [(outcome.taken, outcome.status) for outcome in outcomes] == [(False, 404)]
            assert "NotFound" in outcomes[0].error

    asyncio.run(go())


@pytest.mark.usefixtures("sns_url")
def test_a_service_that_does_not_answer_is_a_try_in_vain() -> None:
    async def go() -> None:
        arn = f"arn:aws:sns:{REGION}:123456789012:releases"
        async with announcing(arn, "http://127.0.0.1:9") as (log, courier, outcomes):
            await log.write("one")
            await courier.catch_up()
            assert [(outcome.taken, outcome.status) for outcome in outcomes] == [(False, None)]
            assert "Could not connect" in outcomes[0].error

    asyncio.run(go())
