"""A coordinator that runs whole, with identity: a release goes all the way with a callback token and a command line."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockstep.coordinator.bootstrap import running
from lockstep.coordinator.core.records import PageOf
from lockstep.coordinator.settings import read_settings
from lockstep.dataservice.sample import make_app as make_data_service
from tests.cli.stage import lockstep
from tests.conftest import Serve
from tests.identity.provider import ROLES
from tests.identity.published import published, rsa
from tests.patience import PATIENCE_S

STUDY = "SD_DYPMEHHF"
TOKEN = "one-of-our-own"


class Untokened:
    """A task service without a token of its own, which reports at once with what `initialize` brought."""

    def __init__(self) -> None:
        self.coordinator = ""
        self.tokens: dict[str, str] = {}
        self.shown: set[str] = set()
        self.answers: list[tuple[str, int]] = []
        self.app = Starlette(
            routes=[
                Route("/status", lambda _: JSONResponse({"name": "untokened"})),
                Route("/tasks", self.take, methods=["POST"]),
            ]
        )

    async def take(self, request: Request) -> Response:
        asked = await request.json()
        self.shown.add(request.headers.get("authorization", ""))
        task_id, action = asked["task_id"], asked["action"]
        if action == "initialize":
            self.tokens[task_id] = asked["callback_token"]
            return JSONResponse({"state": "pending"})
        done = {"start": ("running", "staged"), "publish": ("publishing", "published")}.get(action)
        if done is None:
            return JSONResponse({})
        await self.report(task_id, done[1])
        return JSONResponse({"state": done[0]})

    async def report(self, task_id: str, state: str) -> None:
        async with httpx.AsyncClient(base_url=self.coordinator, timeout=PATIENCE_S) as web:
            for headers in ({}, {"Authorization": f"Bearer {self.tokens[task_id]}"}):
                answer = await web.patch(f"/tasks/{task_id}", json={"state": state}, headers=headers)
                self.answers.append((state, answer.status_code))


def test_a_release_goes_all_the_way(serve: Serve, tmp_path: Path) -> None:
    key, service = rsa("one"), Untokened()

    async def go() -> None:
        async with published(serve, key) as issuer, serve(make_data_service()) as data, serve(service.app) as url:
            given: dict[str, Any] = {"access_token": TOKEN, "expires_in": 600}
            issuer.token_answers += [(200, given)]
            settings = read_settings(
                port=0,
                database_url=f"sqlite:///{tmp_path}/lockstep.db",
                dataservice_url=data,
                auth="oidc",
                oidc_issuer=issuer.url,
                oidc_audience="lockstep",
                oidc_client_id="lockstep",
                oidc_client_secret="s3cret",
                allow_private_urls=True,
                poll_interval=600,
            )
            async with running(settings) as c:
                service.coordinator = c.url
                claims: dict[str, Any] = {"sub": "ada", "nickname": "ada", ROLES: ["ADMIN"]}
                admin = issuer.token(key, **claims)
                variables: dict[str, Any] = {"LOCKSTEP_SERVER": c.url, "LOCKSTEP_TOKEN": admin}
                refused = await lockstep("service", "add", url, "--name", "untokened", LOCKSTEP_SERVER=c.url)
                assert refused.code == 1
                assert "Sign in with `lockstep login`, or show a token in LOCKSTEP_TOKEN." in refused.err
                for command in (
                    ("service", "add", url, "--name", "untokened"),
                    ("study", "sync"),
                    ("release", "start", "--name", "Winter", "--study", STUDY, "--watch"),
                ):
                    done = await lockstep(*command, **variables)
                    assert (done.code, done.err) == (0, ""), command
                [view] = (await c.desk.store.releases(PageOf(1))).rows
                done = await lockstep("release", "publish", view.release.kf_id, "--yes", "--watch", **variables)
                assert (done.code, done.err) == (0, "")
                events = await c.desk.store.events_after(view.release.kf_id, 0, 100)
                moves = [event for event in events if event.task_id is None]
                actors = {event.message.rpartition(" from ")[2]: event.actor for event in moves}
                assert actors["staged to publishing"] == "ada"
                assert actors["publishing to published"] == view.tasks[0].kf_id
                assert actors["waiting to initializing"] == "lockstep"
                expected = [("staged", 403), ("staged", 200), ("published", 403), ("published", 200)]
                assert service.answers == expected
                assert service.shown == {f"Bearer {TOKEN}"}

    asyncio.run(go())
