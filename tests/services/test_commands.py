"""The commands: what each changes, whom it tells, and that a refused one changes nothing."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.errors import Conflict, Invalid, NotFound, Unavailable
from lockstep.coordinator.core.records import NewRelease, PageOf, ReleaseView, StudyFacts, SyncResult
from lockstep.coordinator.services.inputs import ReleaseEdit, ServiceEdit, ServiceInput, TaskReport
from lockstep.protocol.states import ReleaseState, TaskState
from tests.conftest import Serve
from tests.faces import STUDIES, Coordinator, PlayedDataService, coordinator, status_app

Answer = Callable[[Request], Response]

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_a_new_release_waits_and_the_engine_hears_of_it() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            view = await c.commands.create_release(NewRelease("Winter", STUDIES[:2]), LOCAL)
            assert view.release.state is ReleaseState.WAITING
            assert [task.state for task in view.tasks] == [TaskState.WAITING]
            assert c.bell.rung == [view.release.kf_id]

    asyncio.run(go())


def test_unknown_studies_are_looked_for_in_the_data_service_once() -> None:
    async def go() -> None:
        data = PlayedDataService([StudyFacts(kf_id, None, True, NOW) for kf_id in (*STUDIES, "SD_NEW00000")])
        async with coordinator(data_service=data) as c:
            view = await c.commands.create_release(NewRelease("Winter", ("SD_NEW00000",)), LOCAL)
            assert view.release.studies == ("SD_NEW00000",)
            with pytest.raises(Invalid, match="SD_0000000A") as caught:
                await c.commands.create_release(NewRelease("Winter", (STUDIES[0], "SD_0000000A")), LOCAL)
            assert caught.value.fields == {"studies": ['Invalid pk "SD_0000000A" - object does not exist.']}
            assert data.asked == 2
            await c.commands.create_release(NewRelease("Winter", STUDIES), LOCAL)
            assert data.asked == 2
            assert (await c.store.releases(PageOf())).count == 2

    asyncio.run(go())


def test_without_a_data_service_unknown_studies_are_refused() -> None:
    async def go() -> None:
        async with coordinator() as c:
            with pytest.raises(Invalid):
                await c.commands.create_release(NewRelease("Winter", ("SD_NEW00000",)), LOCAL)
            assert await c.commands.sync_studies(LOCAL) == SyncResult()

    asyncio.run(go())


def test_a_data_service_that_is_down_is_not_an_unknown_study() -> None:
    async def go() -> None:
        data = PlayedDataService(error=Unavailable("The studies could not be read: no answer"))
        async with coordinator(data_service=data) as c:
            with pytest.raises(Unavailable, match="no answer"):
                await c.commands.create_release(NewRelease("Winter", ("SD_NEW00000",)), LOCAL)
            assert (await c.store.releases(PageOf())).count == 0
            assert c.bell.rung == []

    asyncio.run(go())


def test_a_staged_release_is_published_and_the_engine_rung() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.STAGED)
            view = await c.commands.publish(release_id, LOCAL)
            assert (view.release.state, str(view.release.version)) == (ReleaseState.PUBLISHING, "0.1.0")
            assert c.bell.rung == [release_id]

    asyncio.run(go())


def test_only_a_staged_release_is_published() -> None:
    async def go() -> None:
        async with coordinator() as c:
            view = await c.release()
            with pytest.raises(Conflict, match="state waiting may not be published"):
                await c.commands.publish(view.release.kf_id, LOCAL)
            with pytest.raises(NotFound):
                await c.commands.publish("RE_00000000", LOCAL)
            assert await c.store.release(view.release.kf_id) == view
            assert c.bell.rung == []

    asyncio.run(go())


def test_the_second_of_two_releases_with_a_shared_study_waits() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            first, second = [(await c.release()).release.kf_id for _ in range(2)]
            for release_id in (first, second):
                await c.bring(release_id, ReleaseState.STAGED)
            await c.commands.publish(first, LOCAL)
            view = await c.commands.publish(second, LOCAL)
            assert (view.release.state, view.release.waits_for) == (ReleaseState.STAGED, first)

    asyncio.run(go())


@pytest.mark.parametrize("fields", [{}, {"state": "staged"}])
def test_an_edit_that_asks_for_nothing_new_changes_nothing(fields: dict[str, str]) -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            before = await c.bring(release_id, ReleaseState.STAGED)
            assert await c.commands.edit_release(release_id, ReleaseEdit.model_validate(fields), LOCAL) == before

    asyncio.run(go())


def test_an_edit_can_publish_and_nothing_else() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.STAGED)
            with pytest.raises(Conflict, match="may not be set to published"):
                await c.commands.edit_release(release_id, ReleaseEdit(state=ReleaseState.PUBLISHED), LOCAL)
            view = await c.commands.edit_release(release_id, ReleaseEdit(state=ReleaseState.PUBLISHING), LOCAL)
            assert view.release.state is ReleaseState.PUBLISHING

    asyncio.run(go())


def test_a_cancel_takes_once_and_leaves_what_has_ended() -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            assert (await c.commands.cancel(release_id, LOCAL)).release.state is ReleaseState.CANCELING
            await c.commands.cancel(release_id, LOCAL)
            assert c.bell.rung == [release_id]
            with pytest.raises(NotFound):
                await c.commands.cancel("RE_00000000", LOCAL)
            published = (await c.release()).release.kf_id
            before = await c.bring(published, ReleaseState.PUBLISHED)
            assert await c.commands.cancel(published, LOCAL) == before

    asyncio.run(go())


def test_the_last_staged_report_stages_the_release_and_rings() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service("one")
            await c.service("two")
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.RUNNING)
            await _running(c, view)
            first, second = view.tasks
            await c.commands.report(first.kf_id, TaskReport(state=TaskState.STAGED), LOCAL)
            assert c.bell.rung == []
            after = await c.commands.report(second.kf_id, TaskReport(state=TaskState.STAGED, progress=100), LOCAL)
            assert (after.task.state, after.release_id) == (TaskState.STAGED, view.release.kf_id)
            assert (await c.store.release(view.release.kf_id)).release.state is ReleaseState.STAGED
            assert c.bell.rung == [view.release.kf_id]

    asyncio.run(go())


def test_a_report_of_progress_is_announced_and_a_repeated_one_is_not() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.RUNNING)
            await _running(c, view)
            with c.feed.subscribe(view.release.kf_id) as heard:
                after = await c.commands.report(view.tasks[0].kf_id, TaskReport(progress=40), LOCAL)
                assert after.task.progress == 40
                assert await heard.wait(1) is True
                await c.commands.report(view.tasks[0].kf_id, TaskReport(state=TaskState.RUNNING, progress=40), LOCAL)
                assert await heard.wait(0.01) is False
            assert c.bell.rung == []

    asyncio.run(go())


def test_a_report_is_about_a_task_of_its_release() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            view, other = await c.release(), await c.release()
            with pytest.raises(NotFound):
                await c.commands.report(view.tasks[0].kf_id, TaskReport(progress=40), LOCAL, other.release.kf_id)
            with pytest.raises(NotFound):
                await c.commands.report("TA_00000000", TaskReport(progress=40), LOCAL)
            after = await c.commands.report(view.tasks[0].kf_id, TaskReport(progress=40), LOCAL, view.release.kf_id)
            assert after.task.progress == 40

    asyncio.run(go())


def test_a_settled_task_takes_no_report() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            view = await c.release()
            before = await c.bring(view.release.kf_id, ReleaseState.PUBLISHED)
            with pytest.raises(Conflict, match="what is settled does not change"):
                await c.commands.report(view.tasks[0].kf_id, TaskReport(state=TaskState.FAILED), LOCAL)
            assert await c.store.release(view.release.kf_id) == before

    asyncio.run(go())


@pytest.mark.parametrize(
    "answer",
    [
        {"name": "example task"},
        {"message": {"name": "snapshot task", "version": "1.2.0"}},
        {"services": [{"name": ""}]},
    ],
)
def test_a_service_with_a_name_at_any_depth_is_registered(serve: Serve, answer: dict[str, Any]) -> None:
    async def go() -> None:
        async with coordinator() as c, serve(status_app(answer)) as url:
            service = await c.commands.register_service(
                ServiceInput(name="task", url=url.removeprefix("http://")), LOCAL
            )
            assert (service.url, service.enabled, service.health_status) == (url, True, "ok")
            assert await c.store.service(service.kf_id) == service

    asyncio.run(go())


def _many(_: Request) -> Response:
    return PlainTextResponse('{"name": "' + "x" * 100_000 + '"}')


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (lambda _: PlainTextResponse("no such page", 404), "HTTP 404, 'no such page'"),
        (lambda _: PlainTextResponse('{"name": "x"}', 201), "HTTP 201"),
        (lambda _: RedirectResponse("/elsewhere"), "HTTP 307, an empty body"),
        (lambda _: PlainTextResponse("<html>name</html>"), "no JSON with a name in it, '<html>name</html>'"),
        (lambda _: PlainTextResponse('{"version": "1"}'), "no JSON with a name in it"),
        (lambda _: PlainTextResponse("[" * 50_000), "no JSON with a name in it"),
        (_many, "more than 65536 bytes"),
    ],
)
def test_a_service_that_answers_otherwise_is_refused_with_what_was_seen(
    serve: Serve, answer: Answer, seen: str
) -> None:
    async def go() -> None:
        async with coordinator() as c, serve(status_app(answer)) as url:
            with pytest.raises(Invalid) as caught:
                await c.commands.register_service(ServiceInput(name="task", url=url), LOCAL)
            sentence = caught.value.fields["url"][0]
            assert sentence.startswith(f"{url} did not return the expected /status response: {seen}")
            assert (await c.store.services(PageOf())).count == 0

    asyncio.run(go())


def test_a_service_that_is_not_there_is_refused() -> None:
    async def go() -> None:
        async with coordinator() as c:
            with pytest.raises(Invalid) as caught:
                await c.commands.register_service(ServiceInput(name="task", url="http://127.0.0.1:1"), LOCAL)
            assert caught.value.fields == {"url": ["could not reach http://127.0.0.1:1: Connection refused"]}

    asyncio.run(go())


def test_a_service_that_does_not_answer_in_time_is_refused() -> None:
    async def go() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            async with coordinator(probe_timeout_s=1) as c:
                with pytest.raises(Invalid, match=f"could not reach {url}: no answer from {url}/status in 1 s"):
                    await c.commands.register_service(ServiceInput(name="task", url=url), LOCAL)

    asyncio.run(go())


def test_an_edit_looks_at_the_service_only_if_it_gives_a_url() -> None:
    async def go() -> None:
        async with coordinator() as c:
            service = await c.service(url="http://127.0.0.1:1")
            after = await c.commands.edit_service(service.kf_id, ServiceEdit(name="new", enabled=False), LOCAL)
            assert (after.name, after.enabled, after.url) == ("new", False, service.url)
            with pytest.raises(Invalid, match="could not reach"):
                await c.commands.edit_service(service.kf_id, ServiceEdit(name="newer", url=service.url), LOCAL)
            assert await c.store.service(service.kf_id) == after
            assert await c.commands.edit_service(service.kf_id, ServiceEdit(), LOCAL) == after
            with pytest.raises(NotFound):
                await c.commands.edit_service("TS_00000000", ServiceEdit(name="new"), LOCAL)

    asyncio.run(go())


def test_a_deleted_service_takes_no_part_in_new_releases() -> None:
    async def go() -> None:
        async with coordinator() as c:
            service = await c.service()
            old = await c.release()
            await c.commands.delete_service(service.kf_id, LOCAL)
            assert (await c.release()).tasks == ()
            assert (await c.store.release(old.release.kf_id)).tasks == old.tasks
            with pytest.raises(NotFound):
                await c.commands.delete_service(service.kf_id, LOCAL)

    asyncio.run(go())


def test_a_service_is_down_after_four_failed_health_checks_and_up_after_a_good_one(serve: Serve) -> None:
    async def go() -> None:
        answers = [500] * 4 + [200] * 3

        def answer(_: Request) -> Response:
            return PlainTextResponse('{"name": "task"}', answers.pop(0))

        async with coordinator() as c, serve(status_app(answer)) as url:
            service = await c.service(url=url)
            seen = []
            for _ in range(6):
                await c.commands.check_health(LOCAL)
                after = await c.store.service(service.kf_id)
                seen.append((after.last_ok_status, after.health_status))
            assert seen == [(1, "ok"), (2, "ok"), (3, "ok"), (4, "down"), (0, "ok"), (0, "ok")]

    asyncio.run(go())


def test_every_service_is_checked_however_many_there_are(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c, serve(status_app({"name": "task"})) as url:
            ids = [(await c.service(url=url, last_ok_status=2)).kf_id for _ in range(120)]
            await c.commands.check_health(LOCAL)
            assert {(await c.store.service(kf_id)).last_ok_status for kf_id in ids} == {0}

    asyncio.run(go())


async def _running(c: Coordinator, view: ReleaseView) -> None:
    for task in view.tasks:
        await c.commands.report(task.kf_id, TaskReport(state=TaskState.RUNNING), LOCAL)
