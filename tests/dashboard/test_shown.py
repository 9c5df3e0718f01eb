"""What pages work out before they show it: health, steps, timelines, counts, and words."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import Event, EventFilter, PageOf, TaskService
from lockstep.coordinator.web.dashboard import history, report, timeline, words
from lockstep.coordinator.web.dashboard.health import health
from lockstep.coordinator.web.dashboard.markdown import to_line
from lockstep.coordinator.web.dashboard.steps import steps
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.dashboard.scenery import FIVE, Past, fail
from tests.faces import STUDIES, coordinator, status_app

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _change(at: datetime, before: str, after: str) -> Event:
    message = f"task service TS_00000001: seen; health changed from {before} to {after}"
    return Event(1, "EV_00000001", EventType.INFO, message, at)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("release RE_00000001, version 0.1.0 changed from staged to publishing", "ada"),
        ("release RE_00000001, version 0.1.0 changed from running to canceling", "ada"),
        ("release RE_00000001, version 0.1.0 changed from running to staged", ""),
        ("ada gave it another name", "ada"),
    ],
)
def test_a_name_stands_beside_what_somebody_decided_only(message: str, said: str) -> None:
    """The last service to report brings the release on; it did not decide that."""
    event = Event(1, "EV_00000001", EventType.INFO, message, NOW, release_id="RE_00000001", actor="ada")
    assert history.person_of(event) == said


def test_a_service_that_went_down_leaves_events_that_tell_how_it_was(serve: Serve) -> None:
    """Four looks without an answer are one event, and the first with one is another."""

    async def go() -> None:
        async with coordinator() as c:
            away = await c.service(url="http://127.0.0.1:1")
            for _ in range(6):
                await c.commands.check_health(LOCAL)
            async with serve(status_app({"name": "task"})) as url:
                await c.store.edit_service(away.kf_id, {"url": url})
                await c.commands.check_health(LOCAL)
            found = await c.store.events(PageOf(10), EventFilter(task_service_id=away.kf_id))
            told = [(event.event_type.value, event.message.partition("; ")[2]) for event in found.rows]
            assert told == [("info", "health changed from down to ok"), ("warning", "health changed from ok to down")]
            assert "Connection refused" in found.rows[1].message
            shown = health(await c.store.service(away.kf_id), found.rows, datetime.now(UTC))
            assert [spell.state for spell in shown.spells] == ["published", "failed", "published"]

    asyncio.run(go())


def test_health_is_told_for_the_period_only() -> None:
    service = TaskService("TS_00000001", "x", "", "http://x", "a", NOW - timedelta(days=400))
    days = [(40, "ok", "down"), (29, "down", "ok"), (3, "ok", "down"), (2, "down", "ok")]
    events = [_change(NOW - timedelta(days=ago), before, after) for ago, before, after in reversed(days)]
    shown = health(service, events, NOW)
    assert [(spell.state, spell.x) for spell in shown.spells] == [
        ("failed", "0.00%"),
        ("published", "3.33%"),
        ("failed", "90.00%"),
        ("published", "93.33%"),
    ]
    assert shown.sentence == "Down 2 times in the last 30 d, 2 d in all; the last time began 3 d ago."
    assert health(service, [], NOW).sentence == "It was never down in the last 30 d."


def test_the_steps_of_a_release_say_what_each_waits_for() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service("reports")
            await c.service("index", url="http://index:80")
            past = Past(c.store, ago=timedelta(hours=1))
            release_id = await past.staged("Winter", STUDIES[:1], work_s=60)
            view = await c.store.release(release_id)
            moves = history.moves_of_release(await c.store.events_after(release_id, 0, 1000))
            found = steps(view, moves)
            assert [(step.name, step.how) for step in found] == [
                ("Created", "done"),
                ("Get ready", "done"),
                ("Stage", "done"),
                ("Review", "now you"),
                ("Publish", "ahead"),
                ("Public", "ahead"),
            ]
            assert found[2].text == "Took 2 min."

    asyncio.run(go())


@pytest.mark.parametrize("services", [0, 50])
def test_a_timeline_has_a_row_for_every_service_and_squeezes_a_long_review(services: int) -> None:
    """Days of review leave room for the minutes of work; with no service there is nothing to draw."""

    async def go() -> None:
        async with coordinator() as c:
            for number in range(services):
                await c.service(f"service {number}", url=f"http://s{number}:80")
            past = Past(c.store, ago=timedelta(days=9))
            release_id = await past.staged("Winter", FIVE[:0] or STUDIES[:1], work_s=60)
            await past.after(days=5).published(release_id)
            view = await c.store.release(release_id)
            events = await c.store.events_after(release_id, 0, 5000)
            lanes = history.lanes(view.release, view.tasks, events)
            moves = history.moves_of_release(events)
            drawn = timeline.draw(view.release, lanes, moves, datetime.now(UTC))
            assert len(drawn.rows) == services
            assert drawn.review is not None
            assert drawn.review.text == "review 5 d"
            edges = [bar.x + bar.width for row in drawn.rows for bar in row.bars]
            assert all(edge <= 100.5 for edge in edges)
            work = [bar.width for row in drawn.rows for bar in row.bars if bar.state == "running"]
            assert not services or max(work) > 40
            assert view.release.state is ReleaseState.PUBLISHED

    asyncio.run(go())


def test_many_services_are_drawn_as_a_path_for_each_state() -> None:
    """A row for each stays what it is; only the marks that the page carries become fewer."""

    async def go() -> None:
        async with coordinator() as c:
            for number in range(70):
                await c.service(f"service {number}", url=f"http://s{number}:80")
            release_id = await Past(c.store, ago=timedelta(hours=3)).staged("Winter", STUDIES[:1], work_s=60)
            view, events = await c.store.release(release_id), await c.store.events_after(release_id, 0, 5000)
            lanes = history.lanes(view.release, view.tasks, events)
            drawn = timeline.draw(view.release, lanes, history.moves_of_release(events), datetime.now(UTC))
            assert drawn.dense
            assert set(drawn.paths) == set(drawn.states) == {"waiting", "pending", "running", "staged"}
            bars = [bar for row in drawn.rows for bar in row.bars]
            assert sum(path.count("M") for path in drawn.paths.values()) == len(bars)

    asyncio.run(go())


def test_what_went_wrong_comes_first_and_many_services_are_tallied() -> None:
    """With fifty services nobody has to look for the one that failed."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            for number in range(20):
                await c.service(f"service {number}", url=f"http://s{number}:80")
            past = Past(c.store, ago=timedelta(hours=3))
            release_id = await past.staged("Winter", STUDIES[:1])
            await past.act(release_id, fail("service 17", "the index is locked"))
            page = (await web.get(f"/releases/{release_id}", headers={"Accept": "text/html"})).text
            lanes = page.partition('class="lanes many"')[2].partition("</ul>")[0]
            assert lanes.index("service 17<") < lanes.index("the index is locked") < lanes.index("service 0<")
            tally = page.partition('data-live="lanes"')[2].partition("</p>")[0]
            assert "1 failed" in tally
            assert "19 canceled" in tally

    asyncio.run(go())


def test_a_failure_waits_for_a_person_until_a_later_release_takes_its_studies_up() -> None:
    """What was partly published goes on waiting until all of it is public."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service("index")
            past = Past(c.store, ago=timedelta(hours=9))
            failed = await past.staged("Broken", STUDIES[:2])
            await past.act(failed, fail("index", "no room"))
            partly = await past.after(minutes=1).staged("Half", STUDIES[:1])
            await past.release(partly, ReleaseState.PUBLISHING)
            await past.act(partly, _half)
            assert await _asks(web) == {"Broken", "Half"}
            other = await past.after(minutes=1).staged("Other", STUDIES[2:])
            assert await _asks(web) == {"Broken", "Half", "Other"}
            again = await past.after(minutes=1).staged("Again", STUDIES[:2])
            assert await _asks(web) == {"Half", "Other", "Again"}
            await past.published(again)
            assert await _asks(web) == {"Other"}
            assert (await c.store.release(other)).release.state is ReleaseState.STAGED

    asyncio.run(go())


def _half(draft: Draft) -> None:
    draft.set_release(partially_published=True)
    draft.move_release(ReleaseState.CANCELING)
    draft.move_release(ReleaseState.FAILED)


async def _asks(web: httpx.AsyncClient) -> set[str]:
    page = (await web.get("/", headers={"Accept": "text/html"})).text
    return set(re.findall(r'<p class="what"><a [^>]*>([^<]*)', page))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Five *studies*.\n\n* counts\n* consent `codes`", "Five studies. • counts • consent codes"),
        ("1. one\n2. two\n   - deeper", "1. one 2. two • deeper"),
        ("# Title\nand\ntext", "Title and text"),
    ],
)
def test_markdown_in_one_line_keeps_the_marks_of_its_lists(text: str, line: str) -> None:
    assert to_line(text) == line


def test_a_count_is_shown_with_what_it_was_or_as_unknown() -> None:
    cells = {
        "participants": {"last": 84, "now": 77, "difference": -7, "percent": -8.33, "flags": ["falls"]},
        "families": {"last": None, "now": None, "now_unknown": "not published", "flags": []},
        "samples": {"last": None, "now": 3, "difference": 3, "percent": None, "flags": []},
    }
    diff = {
        "totals": {"participants": cells["participants"], "samples": cells["samples"], "families": cells["families"]},
        "study_diffs": {"SD_00000001": {"kind": "changed", "entities": cells}},
        "flags": [
            {"study_id": "SD_00000001", "entity": "study-files", "message": "study-files of SD_00000001 fall (-8 %)"}
        ],
    }
    found = report.shown(diff, {"SD_00000001": "Hearts"})
    assert found.columns == ("participants", "samples")
    assert found.silent == ("families",)
    assert [(study.name, study.sentences) for study in found.flags] == [("Hearts", ("study files fall (\u22128 %)",))]
    fallen, new = found.rows[0].figures
    assert fallen is not None
    assert new is not None
    assert (fallen.last, fallen.now, fallen.difference) == ("84", "77", "\u22127 (\u22128.3 %)")
    assert (new.last, new.now, new.difference) == ("", "3", "")


@pytest.mark.parametrize(
    ("amount_s", "said"),
    [
        (0, "a moment"),
        (0.4, "0.4 s"),
        (8, "8 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (7200, "2 h"),
        (180_000, "2 d 2 h"),
    ],
)
def test_lengths_of_time_are_said_in_two_units(amount_s: float, said: str) -> None:
    assert words.seconds(amount_s) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "just now"), (59, "59 s ago"), (3700, "1 h ago"), (200_000, "2 d ago")]
)
def test_times_are_said_as_seen_from_now(seconds: int, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


def test_a_long_list_of_names_is_cut_and_counted() -> None:
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_what_is_counted_otherwise_than_what_is_public_is_said_in_words() -> None:
    def said(**cells: object) -> str:
        return report.changed({"study_diffs": {"SD_00000001": {"entities": cells}}}, "SD_00000001")

    fallen, same = {"last": 84, "now": 77}, {"last": 3, "now": 3}
    assert said(participants=fallen, families=same) == "participants 84 \u2192 77 (\u22127)"
    assert (
        said(a=fallen, b=fallen, c=fallen, d=fallen) == "a 84 \u2192 77 (\u22127), b 84 \u2192 77 (\u22127) and 2 more"
    )
    assert said(families=same) == "no count has changed"
    for nothing in ({}, {"a": {"last": None, "now": 3}}, {"a": "x"}, {"a": {"last": "1", "now": 2}}):
        assert said(**nothing) == "unknown"
    assert report.changed({"study_diffs": []}, "SD_00000001") == "unknown"
