"""The real process, killed with SIGKILL between commits and deliveries: no event is lost, and ids stay the same."""

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockstep.dataservice.sample import make_app as make_data_service
from tests.announcing.receivers import Letter, Receiving
from tests.announcing.topics import CREDENTIALS, Topic, sns_server
from tests.conftest import Serve
from tests.patience import PATIENCE_S, until

KILLS = 4
STUDY = "SD_BHJXBDQK"


class Coordinator:
    """`lockstep serve` on one database, as often as it is killed."""

    def __init__(self, folder: Path, **chosen: str) -> None:
        self.log = folder / "serve.log"
        self.env = {**os.environ, "LOCKSTEP_PORT": "0", "LOCKSTEP_DATABASE_URL": f"sqlite:///{folder}/lockstep.db"}
        self.env |= {f"LOCKSTEP_{name.upper()}": value for name, value in chosen.items()}
        self.web = httpx.AsyncClient()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "lockstep", "serve", env=self.env, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        said = (await self._process.stdout.readline()).decode()
        assert "http://" in said, self.log.read_text()[-3000:]
        self.web = httpx.AsyncClient(base_url=said.split(" at ")[1].split(";")[0], timeout=PATIENCE_S)

    async def kill(self) -> None:
        await self.web.aclose()
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            assert await self._process.wait() == -signal.SIGKILL

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.web.request(method, path, **body)
        assert answer.is_success, answer.text
        return answer.json()

    async def staged_release(self) -> None:
        """Take a release without services to `staged`: a few events within a moment."""
        made = await self.ask("POST", "/releases", json={"name": "Winter", "studies": [STUDY]})

        async def staged() -> bool:
            return bool((await self.ask("GET", f"/releases/{made['kf_id']}"))["state"] == "staged")

        await until(staged)

    async def events(self) -> dict[str, str]:
        """Return every event there is, oldest first: its message by its id."""
        page = await self.ask("GET", "/events?limit=100")
        assert page["count"] == len(page["results"])
        return {event["kf_id"]: event["message"] for event in reversed(page["results"])}


@pytest.mark.timeout(300)
def test_kills_between_commit_and_delivery_lose_nothing(serve: Serve, tmp_path: Path) -> None:
    """Each time, the receiver is away (503) or silent while a release goes on, and then the process is killed."""

    async def go() -> None:
        receiving = Receiving()
        async with serve(receiving.app) as url, serve(make_data_service()) as data_url:
            coordinator = Coordinator(tmp_path, dataservice_url=data_url)
            await coordinator.start()
            try:
                await coordinator.ask("POST", "/webhooks", json={"url": url})
                for kill in range(KILLS):
                    receiving.answer = (lambda _: None) if kill % 2 else _away_after(2)
                    await coordinator.staged_release()
                    await until(lambda: receiving.letters)
                    await coordinator.kill()
                    await coordinator.start()
                receiving.answer = lambda _: 200
                receiving.hanging.set()
                await _try_at_once(coordinator)
                happened = await coordinator.events()
                await until(lambda: {letter.id for letter in receiving.letters} == set(happened))
                first_seen = list(dict.fromkeys(letter.id for letter in receiving.letters))
                assert first_seen == list(happened)
                assert {letter.id: letter.message for letter in receiving.letters} == happened
            finally:
                await coordinator.kill()

    asyncio.run(go())


def _away_after(taken: int) -> Any:
    letters: Counter[str] = Counter()

    def answer(letter: Letter) -> int:
        letters[letter.id] += 1
        return 200 if len(letters) <= taken else 503

    return answer


async def _try_at_once(coordinator: Coordinator) -> None:
    """Ask for the redelivery of the first that waits: the line is held by then, and goes on."""
    (webhook,) = (await coordinator.ask("GET", "/webhooks"))["results"]
    path = f"/webhooks/{webhook['kf_id']}/deliveries"
    for delivery in (await coordinator.ask("GET", f"{path}?state=waiting"))["results"]:
        await coordinator.ask("POST", f"{path}/{delivery['event']}")


@pytest.mark.timeout(300)
def test_a_topic_gets_what_was_committed_before_a_kill(serve: Serve, tmp_path: Path) -> None:
    """SNS is switched on by a setting alone; its subscribers read every event once the process is back."""

    async def go() -> None:
        with sns_server() as sns_url:
            topic = Topic(sns_url)
            async with serve(make_data_service()) as data_url:
                nowhere = "http://127.0.0.1:9"
                coordinator = Coordinator(
                    tmp_path, dataservice_url=data_url, sns_topic_arn=topic.arn, sns_endpoint_url=nowhere
                )
                coordinator.env |= CREDENTIALS
                await coordinator.start()
                try:
                    await coordinator.staged_release()
                    await until(lambda: "not_delivered" in coordinator.log.read_text())
                    await coordinator.kill()
                    coordinator.env["LOCKSTEP_SNS_ENDPOINT_URL"] = sns_url
                    await coordinator.start()
                    happened = await coordinator.events()
                    arrived: list[str] = []

                    def all_arrived() -> bool:
                        arrived.extend(topic.arrived())
                        return len(arrived) >= len(happened)

                    await until(all_arrived)
                    told = [f'"message": "{message}"' for message in happened.values()]
                    assert all(any(text in message for message in arrived) for text in told), arrived
                finally:
                    await coordinator.kill()

    asyncio.run(go())
