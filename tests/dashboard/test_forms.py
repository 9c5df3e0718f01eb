"""Forms as they are sent: whose they are, what is said when they are wrong, and that nobody overwrites anybody."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockstep.coordinator.core.records import NewNote, StudyFacts
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.dashboard.scenery import scenery
from tests.faces import STUDIES, Coordinator, coordinator, status_app

PAGE = {"Accept": "text/html"}


class Visitor:
    """A browser without a window: it keeps cookies, and sends forms with the token that pages carry."""

    def __init__(self, web: httpx.AsyncClient) -> None:
        self.web = web

    async def get(self, path: str) -> str:
        answer = await self.web.get(path, headers=PAGE)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def field(self, path: str, name: str) -> str:
        found = re.search(f'name="{name}" value="([^"]*)"', await self.get(path))
        assert found is not None
        return found[1]

    async def send(self, path: str, fields: Mapping[str, Any], **headers: str) -> httpx.Response:
        token = await self.field("/services/new", "token")
        return await self.web.post(path, data={"token": token, **fields}, headers={**PAGE, **headers})


@asynccontextmanager
async def _visit() -> AsyncIterator[tuple[Coordinator, Visitor]]:
    async with coordinator() as c, c.client() as web:
        yield c, Visitor(web)


def _wrong(page: str, name: str) -> list[str]:
    """Return what is said about a field."""
    return re.findall(rf'<p class="wrong" id="{name}-wrong"[^>]*><svg.*?</svg>(.*?)</p>', page)


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_the_browsers_token_does_nothing(token: str) -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            release_id = (await c.release()).release.kf_id
            await visitor.get("/")
            answer = await visitor.web.post(f"/releases/{release_id}/cancel", data={"token": token}, headers=PAGE)
            assert (answer.status_code, "before the browser&#39;s cookies" in answer.text) == (403, True)
            assert (await c.store.release(release_id)).release.state is ReleaseState.WAITING

    asyncio.run(go())


def test_a_form_from_a_page_of_another_origin_does_nothing() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            release_id = (await c.release()).release.kf_id
            answer = await visitor.send(f"/releases/{release_id}/cancel", {}, Origin="https://evil.example")
            assert answer.status_code == 403
            assert (await c.store.release(release_id)).release.state is ReleaseState.WAITING

    asyncio.run(go())


def test_the_token_is_in_a_cookie_that_scripts_cannot_read_and_no_page_shows() -> None:
    async def go() -> None:
        async with _visit() as (_, visitor):
            answer = await visitor.web.get("/plan", headers=PAGE)
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert visitor.web.cookies["lockstep_form"] not in answer.text
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert re.findall(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", answer.text) == []

    asyncio.run(go())


def test_what_is_wrong_with_a_plan_stands_next_to_its_field_and_nothing_is_lost() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            answer = await visitor.send("/plan", {"name": " ", "description": "kept", "step": "look"})
            assert answer.status_code == 400
            assert _wrong(answer.text, "name") == ["This field may not be blank."]
            assert _wrong(answer.text, "studies") == ["Must have at least one study"]
            assert ">\nkept</textarea>" in answer.text
            assert (await c.store.numbers()).given is None

    asyncio.run(go())


def test_a_plan_is_looked_at_before_it_starts_and_starts_once() -> None:
    """The same confirmation sent twice, as by an impatient reader, gives one release."""

    async def go() -> None:
        async with _visit() as (c, visitor):
            busy = await c.release(STUDIES[0], name="Under way")
            fields = {"name": "Next", "studies": STUDIES[:2], "is_major": "yes", "tags": "a, b, a"}
            look = await visitor.send("/plan", {**fields, "step": "look"})
            assert "is also in Under way" in look.text
            assert "then 1.0.0 (major)" in look.text
            key = re.search('name="key" value="([^"]*)"', look.text)
            assert key is not None
            starts = [await visitor.send("/plan", {**fields, "step": "start", "key": key[1]}) for _ in range(2)]
            assert [answer.status_code for answer in starts] == [303, 303]
            assert len({answer.headers["location"] for answer in starts}) == 1
            release_id = re.findall("RE_[0-9A-Z]{8}", starts[0].headers["location"])[0]
            release = (await c.store.release(release_id)).release
            assert (release.name, set(release.studies), release.is_major) == ("Next", set(STUDIES[:2]), True)
            assert release.tags == ("a", "b")
            assert release.kf_id != busy.release.kf_id

    asyncio.run(go())


def test_running_again_begins_with_what_the_old_release_had() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            release_id = (await c.release(*STUDIES[:2], name="Old one")).release.kf_id
            page = await visitor.get(f"/plan?from={release_id}")
            assert 'value="Old one"' in page
            assert set(re.findall(r'value="(SD_\w+)" checked', page)) == set(STUDIES[:2])
            assert 'value="Old one"' not in await visitor.get("/plan?from=RE_00000000")

    asyncio.run(go())


def test_publishing_what_is_not_staged_is_said_on_the_page() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            await c.service()
            release_id = (await c.release()).release.kf_id
            assert "Only a staged release can be published." in await visitor.get(f"/releases/{release_id}/publish")
            answer = await visitor.send(f"/releases/{release_id}/publish", {})
            assert answer.status_code == 409
            assert "The release in state waiting may not be published." in answer.text

    asyncio.run(go())


def test_nobody_overwrites_what_somebody_else_has_written_meanwhile() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            release_id = (await c.release()).release.kf_id
            path = f"/releases/{release_id}/edit"
            was = await visitor.field(path, "was")
            mine = {"name": "Mine", "description": "mine", "was": was}
            first = await visitor.send(path, {**mine, "name": "Theirs", "description": "*theirs*"})
            assert first.status_code == 303
            late = await visitor.send(path, mine)
            assert late.status_code == 409
            assert "<em>theirs</em>" in late.text
            assert 'value="Mine"' in late.text
            assert (await c.store.release(release_id)).release.name == "Theirs"
            again = await visitor.send(path, {**mine, "was": await visitor.field(path, "was")})
            assert again.status_code == 303
            assert (await c.store.release(release_id)).release.name == "Mine"

    asyncio.run(go())


def test_a_note_is_written_changed_and_removed() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            release_id = (await c.release()).release.kf_id
            path = f"/releases/{release_id}/notes"
            blank = await visitor.send(path, {"study": STUDIES[0], "description": " "})
            assert (blank.status_code, _wrong(blank.text, "description")) == (400, ["This field may not be blank."])
            await visitor.send(path, {"study": STUDIES[0], "description": "first\r\nline"})
            note = (await c.store.release(release_id)).notes[0]
            assert (note.description, note.study_id, note.author) == ("first\nline", STUDIES[0], "admin")
            one = f"{path}/{note.kf_id}"
            was = await visitor.field(one, "was")
            await visitor.send(one, {"was": was, "description": "second"})
            assert (await c.store.note(note.kf_id)).description == "second"
            stale = await visitor.send(one, {"was": was, "step": "remove"})
            assert stale.status_code == 409
            await visitor.send(one, {"was": await visitor.field(one, "was"), "step": "remove"})
            assert (await c.store.release(release_id)).notes == ()

    asyncio.run(go())


def test_a_note_of_another_release_is_not_found_on_this_one() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            one, other = [(await c.release()).release.kf_id for _ in range(2)]
            note = await c.store.add_note(NewNote("x", other), datetime.now(UTC))
            answer = await visitor.web.get(f"/releases/{one}/notes/{note.kf_id}", headers=PAGE)
            assert answer.status_code == 404

    asyncio.run(go())


def test_a_service_is_looked_at_registered_edited_and_switched_off(serve: Serve) -> None:
    async def go() -> None:
        async with _visit() as (c, visitor), serve(status_app({"name": "task"})) as url:
            wrong = {"name": "Index", "url": "127.0.0.1:1"}
            refused = await visitor.send("/services/new", wrong)
            assert refused.status_code == 400
            assert _wrong(refused.text, "url") == ["could not reach http://127.0.0.1:1: Connection refused"]
            seen = await visitor.send("/services/new", {**wrong, "step": "look"})
            assert "could not reach" in seen.text
            made = await visitor.send("/services/new", {"name": "Index", "url": url})
            service_id = re.findall(r"TS_\w{8}", made.headers["location"])[0]
            edited = await visitor.send(f"/services/{service_id}/edit", {"name": "New", "url": url, "description": "d"})
            assert edited.status_code == 303
            await visitor.send(f"/services/{service_id}/enabled", {"enabled": "no"})
            service = await c.store.service(service_id)
            assert (service.name, service.description, service.enabled) == ("New", "d", False)

    asyncio.run(go())


def test_what_is_flagged_is_acknowledged_before_it_is_published(serve: Serve, tmp_path: Path) -> None:
    """The box stands for what was shown: another report needs another tick."""

    async def go() -> None:
        async with scenery(serve, tmp_path) as (c, shown), c.client() as web:
            visitor, path = Visitor(web), f"/releases/{shown['staged']}/publish"
            assert "participants fall from 84 to 77" in await visitor.get(path)
            for seen in ({}, {"seen": "of another report"}):
                refused = await visitor.send(path, seen)
                assert refused.status_code == 400
                assert _wrong(refused.text, "seen") == [
                    "Look at what is flagged, and tick the box to say that you have."
                ]
                assert (await c.store.release(shown["staged"])).release.state is ReleaseState.STAGED
            ticked = re.search('name="seen" type="checkbox" value="([^"]*)"', await visitor.get(path))
            assert ticked is not None
            assert (await visitor.send(path, {"seen": ticked[1]})).status_code == 303
            release = (await c.store.release(shown["staged"])).release
            assert (release.state, str(release.version)) == (ReleaseState.PUBLISHING, "0.3.0")

    asyncio.run(go())


def test_a_new_coordinator_says_what_to_do_next() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            assert "Register a task service" in await visitor.get("/")
            await c.service()
            assert "Plan the first release" in await visitor.get("/")
            release_id = (await c.release()).release.kf_id
            assert "Plan the first release" not in await visitor.get("/")
            assert release_id in await visitor.get("/")

    asyncio.run(go())


def test_releases_are_found_by_name_version_state_author_and_study() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            winter, spring = [(await c.release(name=name)).release.kf_id for name in ("Winter", "Spring")]
            summer = (await c.release(STUDIES[1], name="Summer")).release.kf_id
            await c.bring(summer, ReleaseState.STAGED)
            ids = {winter: "winter", spring: "spring", summer: "summer"}

            async def found(query: str) -> list[str]:
                page = await visitor.get(f"/releases?{query}")
                return [ids[kf_id] for kf_id in re.findall(r'<th scope="row"><a href="/releases/(RE_\w+)"', page)]

            assert await found("") == ["summer", "spring", "winter"]
            assert await found("order=name") == ["spring", "summer", "winter"]
            assert await found("q=win") == ["winter"]
            assert await found("q=0.0.1") == ["spring"]
            assert await found("state=staged") == ["summer"]
            assert await found(f"study={STUDIES[1]}") == ["summer"]
            assert await found("author=nobody") == []
            assert await found("author=admin&order=nonsense&page=nonsense") == ["summer", "spring", "winter"]
            assert f'href="/releases/{winter}">open' in await visitor.get(f"/releases?q={winter}")

    asyncio.run(go())


def test_a_plan_shows_what_was_counted_of_each_study_since_it_was_published(serve: Serve, tmp_path: Path) -> None:
    """By the newest release that was not published; what is not known is said, and a study that is new has no past."""

    async def go() -> None:
        async with scenery(serve, tmp_path) as (c, shown), c.client() as web:
            page = ""
            async with asyncio.timeout(30):
                while "participants" not in page or "being fetched" in page:
                    page = (await web.get("/plan", headers=PAGE)).text
            staged = (await c.store.release(shown["staged"])).release
            for study_id in staged.studies:
                row = _row(page, study_id)
                assert f"{staged.version}: " in row
                assert "\u2192" in row or "no count has changed" in row or "unknown" in row
            new = next(iter((await c.store.release(shown["running"])).release.studies))
            assert "never" in _row(page, new)
            assert "\u2192" not in _row(page, new)

    asyncio.run(go())


def test_thousands_of_studies_are_searched_and_what_is_chosen_stays() -> None:
    async def go() -> None:
        async with _visit() as (c, visitor):
            now = datetime.now(UTC)
            facts = [StudyFacts(f"SD_{number:08d}", f"Study {number:04d}", True, now) for number in range(2000)]
            await c.store.sync_studies(facts)
            first = await visitor.get("/plan")
            assert "1,700 more studies are found by searching" in first
            fields = {"step": "search", "find": "1999", "name": "Winter", "studies": ["SD_00001500"]}
            found = (await visitor.send("/plan", fields)).text
            assert re.findall(r'name="studies" value="(\w+)"( checked)?', found) == [
                ("SD_00001500", " checked"),
                ("SD_00001999", ""),
            ]
            assert 'value="Winter"' in found
            by_id = (await visitor.send("/plan", {"step": "search", "find": "sd_00000042"})).text
            assert re.findall(r'name="studies" value="(\w+)"', by_id) == ["SD_00000042"]

    asyncio.run(go())


def _row(page: str, study_id: str) -> str:
    found = re.search(rf'<tr id="r-{study_id}">.*?</tr>', page)
    assert found is not None
    return found[0]
