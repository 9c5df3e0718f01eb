"""An import from a coordinator of the field: all of it, once, in order, and nothing without a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.kids_first import KidsFirst
from lockstep.coordinator.core.announcing import Receiver, ReceiverKind
from lockstep.coordinator.core.decide import Worker, decide
from lockstep.coordinator.core.history import Kind, NoSource, SourceAway
from lockstep.coordinator.core.model import Change
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.records import EventFilter, NewRelease, PageOf, TaskFilter
from lockstep.coordinator.ports import Store
from lockstep.coordinator.services.import_report import Report
from lockstep.coordinator.services.importing import Import
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.store.opening import open_store
from lockstep.protocol.states import ReleaseState
from tests.conftest import serving
from tests.importing.kids_first import CHUNG, REAL, REPORTS, SNAPSHOT, TARGET, KidsFirstCoordinator, at, real, uuid_of

QUICK = {"attempts": 4, "pause_s": 0.001}
NEWEST = "RE_FXR1JBZA"


@dataclass
class Move:
    """A coordinator of the field at an address, and a store to bring it into."""

    there: KidsFirstCoordinator
    url: str
    store: Store

    async def run(self, *, token: str = "", rehearse: bool = False) -> Report:
        async with KidsFirst(self.url, token, **QUICK) as source:  # type: ignore[arg-type]
            await source.check()
            return await Import(source, self.store, SystemClock(), rehearse=rehearse).run()


@asynccontextmanager
async def move(there: KidsFirstCoordinator, folder: Path | None = None) -> AsyncIterator[Move]:
    async with serving(there.app) as url:
        if folder is None:
            yield Move(there, url, MemoryStore())
        else:
            async with open_store(f"sqlite:///{folder}/lockstep.db") as store:
                yield Move(there, url, store)


def numbers(report: Report) -> dict[str, tuple[int, int, int, int]]:
    """New, updated, unchanged and left out, by kind; kinds of which there is nothing are left away."""
    counts = report.counts.items()
    return {str(kind): (c.new, c.updated, c.unchanged, c.left_out) for kind, c in counts if c.read}


def reasons(report: Report, kind: Kind) -> dict[str, list[str]]:
    """What was left out of a kind, by the reason."""
    return {reason: ids for (of, reason), ids in report.left_out.named.items() if of is kind}


def test_everything_is_brought_with_ids_uuids_and_times(tmp_path: Path) -> None:
    async def main() -> None:
        async with move(real(), tmp_path) as here:
            report = await here.run()
            rows = here.there.rows
            assert report.complete
            assert numbers(report) == {
                "studies": (len(rows["studies"]), 0, 0, 0),
                "task services": (2, 0, 0, 0),
                "releases": (len(REAL) + 3, 0, 0, 0),
                "tasks": (2 * (len(REAL) + 3), 0, 0, 0),
                "release notes": (2, 0, 0, 0),
                "events": (len(rows["events"]), 0, 0, 0),
            }
            for kf_id, version, created_at, name, study_id in REAL:
                view = await here.store.release(kf_id)
                assert (str(view.release.version), view.release.name) == (version, name)
                assert (view.release.created_at, view.release.studies) == (at(created_at), (study_id,))
                assert view.release.uuid == uuid_of(kf_id).hex
                assert view.release.published_at == at(created_at) + timedelta(minutes=5), "as its event tells"
                assert {task.kf_id for task in view.tasks} == {
                    k for k, t in rows["tasks"].items() if t["release"] == kf_id
                }
            assert (await here.store.service(SNAPSHOT)).enabled is False
            listed = await here.store.releases(PageOf(20))
            made = sorted(rows["releases"].values(), key=lambda row: row["created_at"], reverse=True)
            assert [view.release.kf_id for view in listed.rows] == [row["kf_id"] for row in made]

    asyncio.run(main())


def test_a_second_import_doubles_nothing_and_follows_what_has_changed(tmp_path: Path) -> None:
    async def main() -> None:
        async with move(real(), tmp_path) as here:
            await here.run()
            before = await here.store.tallies()
            again = numbers(await here.run())
            assert {counts[:2] + counts[3:] for counts in again.values()} == {(0, 0, 0)}
            assert await here.store.tallies() == before
            rows = here.there.rows
            rows["releases"][NEWEST]["description"] = "Said later."
            rows["task-services"][REPORTS]["url"] = "http://moved.kids-first.example"
            rows["studies"][TARGET]["name"] = "TARGET"
            here.there.release("RE_AFTERWRD", "3.65.0", at("2019-12-01T10:00:00"), TARGET)
            report = numbers(await here.run())
            assert {kind: counts[:2] for kind, counts in report.items() if any(counts[:2])} == {
                "studies": (0, 1),
                "task services": (0, 1),
                "releases": (1, 1),
                "tasks": (2, 0),
                "events": (15, 0),
            }
            assert (await here.store.release(NEWEST)).release.description == "Said later."
            assert (await here.store.published(1))[0].release.kf_id == "RE_AFTERWRD"

    asyncio.run(main())


def test_a_release_in_flight_is_named_and_comes_when_it_has_ended() -> None:
    async def main() -> None:
        there = real()
        there.release("RE_1NF11GHT", "3.65.0", at("2019-12-01T10:00:00"), TARGET, state="running")
        there.note("RE_1NF11GHT", TARGET, "soon", at("2019-12-01T10:05:00"))
        async with move(there) as here:
            report = await here.run()
            reason = "is in flight there (running); it can be brought when it has ended"
            assert reasons(report, Kind.RELEASE) == {reason: ["RE_1NF11GHT"]}
            assert [report.counts[kind].left_out for kind in (Kind.TASK, Kind.NOTE, Kind.EVENT)] == [2, 1, 6]
            assert await here.store.next_look() is None
            there.rows["releases"]["RE_1NF11GHT"]["state"] = "published"
            there.event(
                "release RE_1NF11GHT, version 3.66.0 changed from publishing to published",
                at("2019-12-02T10:00:00"),
                release="RE_1NF11GHT",
            )
            report = await here.run()
            assert numbers(report)["releases"] == (1, 0, 11, 0)
            assert numbers(report)["events"][0] == 7
            assert (await here.store.release("RE_1NF11GHT")).release.published_at == at("2019-12-02T10:00:00")

    asyncio.run(main())


def test_what_is_odd_is_left_out_or_mended_and_named() -> None:
    async def main() -> None:
        there = real()
        there.release("RE_STRANGE0", "3.65.0", at("2019-12-01T10:00:00"), TARGET, state="running")
        there.rows["releases"]["RE_STRANGE0"]["state"] = "paused"
        there.release("RE_VERS10N0", "next", at("2019-12-01T11:00:00"), TARGET, tells=False)
        there.release("RE_NAME1ESS", "3.66.0", at("2019-12-01T12:00:00"), "SD_N0WHERE0", name="", tells=False)
        odd = there.task(NEWEST, "TS_0THERTS0", at("2019-11-05T21:31:00"), "bogus")
        gone = there.task(NEWEST, "TS_G0NETS00", at("2019-11-05T21:31:00"), "cancelled", service_name="old index")
        twice = there.task(NEWEST, REPORTS, at("2019-11-05T21:32:00"), "published", progress=150)
        about_odd = there.event("a line", at("2019-12-02T10:00:00"), release=NEWEST, task=odd)
        there.event("no type", at("2019-12-02T10:01:00"), event_type="fatal")
        async with move(there) as here:
            report = await here.run()
            assert reasons(report, Kind.RELEASE) == {
                "is in the state 'paused', which is none of a release": ["RE_STRANGE0"],
                "has 'next' for its version; 1.2.3 would be one": ["RE_VERS10N0"],
            }
            of_tasks = {reason.partition(":")[0]: len(ids) for reason, ids in reasons(report, Kind.TASK).items()}
            assert of_tasks == {
                "is in a state that is none": 1,
                f"is a second task of {REPORTS} in its release": 1,
                "its release was left out": 4,
            }
            assert reasons(report, Kind.EVENT).keys() == {"its release was left out"}
            assert all(count.read == sum(numbers(report)[str(kind)]) for kind, count in report.counts.items())
            altered = {(kind, reason) for kind, reason in report.altered.named if kind is not Kind.TASK}
            assert altered == {
                (Kind.STUDY, "has no name there; shown by its id"),
                (Kind.STUDY, "is not on the list of studies there; kept under its id, as deleted"),
                (Kind.SERVICE, "is there no more; kept for its tasks, as deleted"),
                (Kind.RELEASE, "has no name there; shown by its id"),
                (Kind.RELEASE, f"has the same version as {NEWEST}; both keep it"),
                (Kind.RELEASE, "was published at a time that no event tells; shown as published when it was created"),
                (Kind.EVENT, "is about a task that was not brought; kept without that link"),
                (Kind.EVENT, "was of the type 'fatal', now info"),
            }
            assert (await here.store.task(gone)).task.service_name == "old index"
            assert (await here.store.task(gone)).task.state == "canceled"
            assert (await here.store.event(about_odd)).release_id == NEWEST
            assert (await here.store.study(CHUNG)).name == CHUNG
            assert twice in reasons(report, Kind.TASK)[f"is a second task of {REPORTS} in its release"]
            page = await here.store.tasks(PageOf(10), TaskFilter(release_id="RE_NAME1ESS"))
            assert page.count == 2

    asyncio.run(main())


def test_a_service_that_was_deleted_there_leaves_its_events() -> None:
    async def main() -> None:
        there = real()
        there.forget_service(SNAPSHOT)
        async with move(there) as here:
            report = await here.run()
            assert numbers(report)["tasks"] == (len(REAL) + 3, 0, 0, 0)
            assert report.counts[Kind.EVENT].new == len(there.rows["events"])

    asyncio.run(main())


@pytest.mark.parametrize("trouble", ["more every time", "some are removed", "many of one moment", "all at once"])
def test_lists_that_shift_while_they_are_read_are_read_whole(trouble: str) -> None:
    """What is there from the beginning to the end is brought once, whatever comes and goes meanwhile."""
    there, together = real(), trouble in {"many of one moment", "all at once"}
    for number in range(450):
        created_at = at("2019-11-10T00:00:00") + timedelta(seconds=number // 9 if together else number)
        there.event(f"line {number}", created_at, release=NEWEST)
    lasting = set(there.rows["events"])
    passing = [there.event("to be removed", at("2019-11-09T00:00:00"), release=NEWEST) for _ in range(40)]

    def change() -> None:
        if trouble in {"more every time", "all at once"}:
            there.event("new", at("2020-01-01T00:00:00") + timedelta(seconds=len(there.asked)), release=NEWEST)
        if trouble in {"some are removed", "all at once"} and there.asked[-1] == "/events":
            for kf_id in passing[:9]:
                there.rows["events"].pop(kf_id)
            del passing[:9]

    there.between, there.shuffled = change, together

    async def main() -> None:
        async with move(there) as here:
            report = await here.run()
            count = report.counts[Kind.EVENT]
            brought = await here.store.events(PageOf(2000))
            assert lasting <= {event.kf_id for event in brought.rows}
            assert count.new == len(brought.rows)
            assert len({event.kf_id for event in brought.rows}) == len(brought.rows)

    asyncio.run(main())


def test_a_server_that_is_busy_is_asked_again() -> None:
    async def main() -> None:
        async with move(real()) as here:
            here.there.troubles = [503, 0, 429, 0, 500, 502, 504, 0]
            report = await here.run()
            assert report.complete
            assert here.there.troubles == []

    asyncio.run(main())


def test_an_import_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with move(real(), tmp_path) as here:
            here.there.troubles = [0] * 8 + [500] * 4
            with pytest.raises(SourceAway, match=r"/events gave no answer in 4 attempts \(it answered 500\)\."):
                await here.run()
            assert (await here.store.releases(PageOf(1))).count == len(REAL) + 3
            assert (await here.store.events(PageOf(1))).count == 0
            report = await here.run()
            assert numbers(report)["releases"] == (0, 0, len(REAL) + 3, 0)
            assert report.counts[Kind.EVENT].new == len(here.there.rows["events"])
            assert (await here.store.release(NEWEST)).release.published_at == at(REAL[-1][2]) + timedelta(minutes=5)

    asyncio.run(main())


def test_without_graphql_what_is_hidden_gets_a_name_of_its_own() -> None:
    async def main() -> None:
        there = real()
        there.graphql = False
        async with move(there) as here:
            report = await here.run()
            reason = "has a uuid of its own here, since the other coordinator does not tell its"
            assert report.altered.counts[Kind.RELEASE, reason] == len(REAL) + 3
            assert len((await here.store.release(NEWEST)).release.uuid) == 32

    asyncio.run(main())


def test_a_rehearsal_says_what_an_import_does(tmp_path: Path) -> None:
    async def main() -> None:
        there = real()
        there.release("RE_1NF11GHT", "3.65.0", at("2019-12-01T10:00:00"), TARGET, state="staged")
        async with move(there, tmp_path) as here:
            said = await here.run(rehearse=True)
            assert sum((await here.store.tallies()).values()) == 0
            done = await here.run()
            assert numbers(done) == numbers(said)
            assert done.left_out.named == said.left_out.named

    asyncio.run(main())


def test_a_token_is_shown_where_one_is_asked_for() -> None:
    async def main() -> None:
        there = real()
        there.token = "made-up"
        async with move(there) as here:
            with pytest.raises(NoSource, match=r"does not let us read \(status 403\); give a token that may"):
                await here.run()
            assert (await here.run(token="made-up")).complete

    asyncio.run(main())


def other_things() -> dict[str, Response]:
    return {
        "its root does not list tasks": JSONResponse({"name": "something else"}),
        "answered no JSON": HTMLResponse("<p>a page</p>"),
        "answered 404": JSONResponse({"detail": "Not found."}, 404),
        "sends us to https://elsewhere.example; name that address": RedirectResponse("https://elsewhere.example"),
    }


@pytest.mark.parametrize("sentence", other_things())
def test_what_is_no_coordinator_is_refused(sentence: str) -> None:
    async def main() -> None:
        async with serving(other_things()[sentence]) as url, KidsFirst(url, **QUICK) as source:  # type: ignore[arg-type]
            with pytest.raises(NoSource, match=sentence):
                await source.check()

    asyncio.run(main())


def test_where_nothing_answers_is_said() -> None:
    async def main() -> None:
        async with KidsFirst("http://127.0.0.1:9", **QUICK) as source:  # type: ignore[arg-type]
            with pytest.raises(SourceAway, match="gave no answer in 3 attempts"):
                await source.check()
        for address in ("coordinator", "http://", "http://[", "http://host:99999", "ftp://host"):
            with pytest.raises(NoSource, match="is no address of a coordinator"):
                KidsFirst(address)

    asyncio.run(main())


def test_nobody_is_told_of_history_and_the_next_release_goes_on_from_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with move(real(), tmp_path) as here:
            now = datetime.now(UTC)
            hook = await here.store.outbox.add_webhook(
                Receiver("", ReceiverKind.WEBHOOK, "https://receiver.example.org/hook", now, secret="whsec_MDAwMA==")
            )
            await here.run()
            assert await here.store.outbox.owed(now, alone=True) == []
            view = await here.store.create_release(NewRelease("First here", (TARGET,)), datetime.now(UTC))
            assert str(view.release.version) == "3.64.2"
            assert [task.service_id for task in view.tasks] == [REPORTS], "the other one is switched off there"
            assert view.release.state is ReleaseState.WAITING
            assert (await here.store.events(PageOf(1), EventFilter(view.release.kf_id))).count == 0
            assert (await here.store.outbox.webhook(hook.kf_id)).enabled

    asyncio.run(main())


def test_an_engine_that_looks_at_it_all_the_same_does_nothing(tmp_path: Path) -> None:
    """Somebody edits an imported release, which rings for it: no service is told anything, and nothing is noted."""

    async def main() -> None:
        there = real()
        there.task("RE_FA11EDXX", "TS_G0NETS00", at("2019-11-07T10:01:00"), "running")
        async with move(there, tmp_path) as here:
            await here.run()
            for kf_id in there.rows["releases"]:
                seen = await here.store.change(kf_id, lambda now: (Change(now.release, datetime.now(UTC)), now))
                decision = decide(seen, Worker("me", alone=True), (), datetime.now(UTC), Policy())
                assert (decision.sends, decision.look_again_at) == ((), None)
                assert (decision.change.release, decision.change.tasks, decision.change.events) == (
                    seen.release,
                    (),
                    (),
                )

    asyncio.run(main())
