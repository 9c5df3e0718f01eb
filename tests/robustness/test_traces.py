"""Traces, as a collector that speaks OTLP over HTTP gets them, and as task services see them."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.coordinator.bootstrap import running
from lockstep.coordinator.core.records import StudyFacts
from lockstep.coordinator.settings import read_settings
from lockstep.coordinator.tracing import collecting
from lockstep.protocol.messages import Action, Refusal
from lockstep.protocol.messages import Request as Asked
from tests.conftest import Serve
from tests.faces import coordinator
from tests.patience import PATIENCE_S, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
ERROR = 2


@dataclass
class Collector:
    """Takes spans in."""

    spans: list[Any] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        taken = ExportTraceServiceRequest.FromString(await request.body())
        for resource in taken.resource_spans:
            self.names |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return Response(status_code=200)


@dataclass
class Service:
    """A task service that remembers the `traceparent` of every request."""

    seen: list[str] = field(default_factory=list)
    status: int = 200

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/tasks", self._task, methods=["POST"]), Route("/status", self._status, methods=["GET"])]
        )

    async def _task(self, request: Request) -> Response:
        self.seen.append(request.headers["traceparent"])
        return JSONResponse({}, self.status)

    async def _status(self, _: Request) -> Response:
        return JSONResponse({"name": "task"})


def test_a_request_is_a_span_in_the_trace_of_its_release_and_the_service_sees_that_span(serve: Serve) -> None:
    async def go() -> None:
        collector, service = Collector(), Service()
        async with serve(collector.app) as collector_url, serve(service.app) as url, HttpTaskServices(5) as services:
            async with collecting(collector_url) as spans:
                services.spans = spans
                await services.send(url, Asked(Action.START, "TA_00000001", "RE_00000001"), TRACE)
                service.status = 400
                reply = await services.send(url, Asked(Action.PUBLISH, "TA_00000001", "RE_00000001"), TRACE)
                assert isinstance(reply, Refusal)
            start, publish = collector.spans
            assert [span.trace_id.hex() for span in (start, publish)] == [TRACE, TRACE]
            assert service.seen == [f"00-{TRACE}-{span.span_id.hex()}-01" for span in (start, publish)]
            assert [span.name for span in (start, publish)] == ["start task", "publish task"]
            assert (publish.status.code, publish.status.message) == (ERROR, reply.reason)
            said = {each.key: each.value.string_value for each in start.attributes}
            assert (said["lockstep.release"], said["url.full"]) == ("RE_00000001", f"{url}/tasks")
            assert collector.names == {"lockstep"}

    asyncio.run(go())


def test_without_a_collector_the_trace_goes_out_all_the_same(serve: Serve) -> None:
    async def go() -> None:
        service = Service()
        async with serve(service.app) as url, HttpTaskServices(5) as services:
            for _ in range(2):
                await services.send(url, Asked(Action.START, "TA_00000001", "RE_00000001"), TRACE)
            first, second = service.seen
            assert first[:36] == second[:36] == f"00-{TRACE}-"
            assert first != second

    asyncio.run(go())


def test_a_request_that_is_answered_here_goes_on_with_its_callers_trace(serve: Serve) -> None:
    async def go() -> None:
        collector = Collector()
        async with serve(collector.app) as url, coordinator() as here, collecting(url) as spans:
            here.desk = replace(here.desk, spans=spans)
            async with here.client() as web:
                parent = "00f067aa0ba902b7"
                await web.get("/releases/RE_00000000", headers={"traceparent": f"00-{TRACE}-{parent}-01"})
                await web.get("/nothing")
        one, other = collector.spans
        assert (one.name, one.trace_id.hex(), one.parent_span_id.hex()) == (
            "GET /releases/{release_id}",
            TRACE,
            parent,
        )
        assert (other.trace_id.hex() != TRACE, other.parent_span_id) == (True, b"")

    asyncio.run(go())


def test_a_coordinator_sends_its_traces_where_the_setting_says(serve: Serve, tmp_path: Path) -> None:
    async def go() -> None:
        collector, service = Collector(), Service(status=400)
        async with serve(collector.app) as collector_url, serve(service.app) as service_url:
            settings = read_settings(
                port=0, database_url=f"sqlite:///{tmp_path}/lockstep.db", otlp_endpoint=collector_url
            )
            async with running(settings) as here, httpx.AsyncClient(base_url=here.url, timeout=PATIENCE_S) as web:
                made = await web.post("/task-services", json={"name": "task", "url": service_url})
                assert made.status_code == 201, made.text
                await here.desk.store.sync_studies([StudyFacts("SD_DYPMEHHF", "A study", True, datetime.now(UTC))])
                await web.post("/releases", json={"name": "Winter", "studies": ["SD_DYPMEHHF"]})
                await until(lambda: len(service.seen) == 2)
            names = [span.name for span in collector.spans]
            assert sorted(names) == ["POST /releases", "POST /task-services", "cancel task", "initialize task"]
            of_release = {span.trace_id.hex() for span in collector.spans if span.name.endswith("task")}
            assert of_release == {seen.split("-")[1] for seen in service.seen}
            assert len(of_release) == 1

    asyncio.run(go())
