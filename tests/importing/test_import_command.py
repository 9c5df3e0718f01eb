"""`lockstep import kids-first` as a process: into a database, which a coordinator then shows on every face."""

import asyncio
import base64
import json
import signal
from pathlib import Path
from typing import Any

import httpx

from lockstep.cli.client import Api
from lockstep.cli.display import NoDisplay
from lockstep.cli.options import Until
from lockstep.cli.watching import watch
from tests.cli.stage import at_terminal, coordinator, lockstep, stage, started
from tests.conftest import Serve, serving
from tests.importing.kids_first import TARGET, at, real, uuid_of
from tests.patience import PATIENCE_S, until

NEWEST = "RE_FXR1JBZA"
PAGES = (
    "/",
    "/releases",
    f"/releases/{NEWEST}",
    f"/studies/{TARGET}",
    "/services",
    "/release-notes",
    "/public",
    "/events",
)


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'lockstep.db'}"


async def import_from(url: str, folder: Path, *options: str, **variables: str) -> Any:
    ended = await lockstep("import", "kids-first", url, "--database", database(folder), *options, **variables)
    assert (ended.code, ended.err) == (0, "")
    return ended.document


def test_what_was_imported_is_on_every_face_of_the_coordinator(tmp_path: Path) -> None:
    async def main() -> None:
        there = real()
        async with serving(there.app) as url:
            document = await import_from(url, tmp_path)
        assert (document["complete"], document["dry_run"], document["left_out"]) == (True, False, [])
        assert document["counts"]["releases"] == {"read": 11, "new": 11, "updated": 0, "unchanged": 0, "left_out": 0}
        async with coordinator(tmp_path) as here, httpx.AsyncClient(base_url=here) as web:
            shown = (await web.get(f"/releases/{NEWEST}")).json()
            assert (shown["version"], shown["created_at"]) == ("3.64.0", "2019-11-05T21:29:30.010585Z")
            assert (shown["published_at"], len(shown["tasks"])) == ("2019-11-05T21:34:30.010585Z", 2)
            assert [note["description"] for note in shown["notes"]] == ["For everybody.", "Adds *forty* participants."]
            for query, count in (
                (f"releases?study={TARGET}", 8),
                ("releases?search=nested", 1),
                ("releases?tags=etl", 1),
                ("releases?version=3.64.0", 2),
                (f"events?release={NEWEST}&event_type=info", 15),
                ("events?event_type=warning", 1),
                ("tasks?state=published", 18),
                ("release-notes", 2),
            ):
                assert (await web.get(f"/{query}")).json()["count"] == count, query
            assert (await web.get("/releases/current")).json()["kf_id"] == "RE_SAMEVERS"
            before = await web.get("/releases/at", params={"time": "2019-11-06T00:00:00Z"})
            assert before.json()["kf_id"] == NEWEST
            assert (await web.get(f"/studies/{TARGET}/current")).json()["kf_id"] == "RE_SAMEVERS"
            assert str(uuid_of(NEWEST)) in (await web.get("/releases/feed")).text
            node = base64.b64encode(f"ReleaseNode:{NEWEST}".encode()).decode()
            query = f'{{release(id: "{node}") {{id kfId uuid events {{edges {{node {{uuid}}}}}}}}}}'
            found = (await web.post("/graphql", json={"query": query})).json()["data"]["release"]
            assert (found["id"], found["uuid"], len(found["events"]["edges"])) == (node, str(uuid_of(NEWEST)), 15)
            for page in PAGES:
                answer = await web.get(page, headers={"Accept": "text/html"})
                assert answer.status_code == 200, page

    asyncio.run(main())


def test_beside_a_coordinator_on_sqlite_only_a_dry_run_is_possible(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(real().app) as url, coordinator(tmp_path) as here:
            said = await import_from(url, tmp_path, "--dry-run")
            assert (said["dry_run"], said["counts"]["releases"]["new"]) == (True, 11)
            ended = await lockstep("import", "kids-first", url, "--database", database(tmp_path))
            assert ended.code == 1
            assert "is at work on the database" in ended.err
            assert "An import into SQLite needs `lockstep serve` to be stopped." in ended.err
            async with Api(here) as api:
                assert (await api.get("releases", mark="count"))["count"] == 0

    asyncio.run(main())


def test_a_dry_run_makes_no_database(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(real().app) as url:
            said = await import_from(url, tmp_path, "--dry-run")
        assert said["counts"]["events"]["new"] > 100

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_another_lockstep_is_imported_as_it_is(serve: Serve, tmp_path: Path) -> None:
    """What a Lockstep says more than others is taken too, and a release in flight there is left to it."""

    async def everything(url: str, *queries: str) -> list[Any]:
        async with httpx.AsyncClient(base_url=url) as web:
            answers = [(await web.get(f"/{query}")).text.replace(url, "") for query in queries]
        return [json.loads(answer) for answer in answers]

    async def main() -> None:
        folders = tmp_path / "there", tmp_path / "here"
        for folder in folders:
            folder.mkdir()
        async with stage(folders[0], serve) as there:
            release_id = await there.staged()
            async with Api(there.url) as api:
                await api.post("release-notes", {"release": f"/releases/{release_id}", "description": "A note."})
                await api.post(f"releases/{release_id}/publish")
                await watch(api, release_id, Until.PUBLISHED, NoDisplay(), timeout_s=PATIENCE_S)
            queries = (
                f"releases/{release_id}",
                "task-services",
                "studies?limit=100",
                "releases/current",
                f"events?limit=100&release={release_id}",
                f"tasks?release={release_id}",
            )
            was = await everything(there.url, *queries)
            there.held.let_go.clear()
            in_flight: Any = await there.json("release", "start", "--name", "Next", "--study", was[0]["studies"][0])
            document = await import_from(there.url, folders[1])
            left_out = [reason for reason in document["left_out"] if reason["what"] == "releases"]
            assert [reason["ids"] for reason in left_out] == [[in_flight["kf_id"]]]
            assert (document["counts"]["releases"]["new"], document["altered"]) == (1, [])
        async with coordinator(folders[1]) as here:
            now = await everything(here, *queries)
        (was[2], now[2]) = ([row["kf_id"] for row in studies["results"]] for studies in (was[2], now[2]))
        assert was == now

    asyncio.run(main())


def test_a_person_sees_bars_and_what_came_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        there = real()
        there.release("RE_1NF11GHT", "3.65.0", at("2019-12-01T10:00:00"), TARGET, state="staged")
        arguments = ("import", "kids-first", "--database", database(tmp_path), "--dry-run")
        async with serving(there.app) as url, at_terminal(*arguments, url) as terminal:
            assert await terminal.ended() == 0
            for text in ("studies", "12/12", "11 new, 0 updated, 1 left out", "UNCHANGED", "RE_1NF11GHT", "a dry run"):
                assert text in terminal.out

    asyncio.run(main())


def test_ctrl_c_keeps_what_was_brought(tmp_path: Path) -> None:
    async def main() -> None:
        there = real()
        there.troubles = [0] * 8 + [503] * 1000
        async with serving(there.app) as url:
            arguments = ("import", "kids-first", url, "--database", database(tmp_path), "--json")
            async with started(*arguments) as command:
                await until(lambda: len(there.troubles) < 999)
                command.process.send_signal(signal.SIGINT)
                ended = await command.ended()
            assert ended.code == 130
            assert ended.err == ("Interrupted. What was brought is kept; run the same command again, and it goes on.\n")
            assert (ended.document["complete"], ended.document["counts"]["releases"]["new"]) == (False, 11)
            there.troubles = []
            document = await import_from(url, tmp_path)
            assert document["counts"]["releases"] == {
                "read": 11,
                "new": 0,
                "updated": 0,
                "unchanged": 11,
                "left_out": 0,
            }
            assert document["counts"]["events"]["new"] == len(there.rows["events"])

    asyncio.run(main())


def test_a_token_comes_from_the_environment_or_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    async def main() -> None:
        there = real()
        there.token = "made-up-secret"
        async with serving(there.app) as url:
            refused = await lockstep("import", "kids-first", url, "--database", database(tmp_path), "--dry-run")
            assert (refused.code, refused.out) == (1, "")
            assert "give a token that may" in refused.err
            await import_from(url, tmp_path, "--dry-run", LOCKSTEP_SOURCE_TOKEN=there.token)
            file = tmp_path / "token"
            file.write_text(f"{there.token}\n")
            file.chmod(0o600)
            ended = await lockstep(
                "import", "kids-first", url, "--database", database(tmp_path), "--token-file", str(file), "--lines"
            )
            assert ended.code == 0
            assert there.token not in ended.out + ended.err
            assert ["releases", "11", "11", "0", "0", "0"] in ended.lines
            file.chmod(0o644)
            open_to_all = await lockstep("import", "kids-first", url, "--token-file", str(file))
            assert (open_to_all.code, "can be read by others" in open_to_all.err) == (1, True)

    asyncio.run(main())


def test_what_is_no_coordinator_ends_with_a_sentence(tmp_path: Path) -> None:
    async def main() -> None:
        ended = await lockstep("import", "kids-first", "coordinator", "--database", database(tmp_path))
        assert ended.code == 1
        assert ended.err == (
            "'coordinator' is no address of a coordinator; https://coordinator.example.org would be one.\n"
        )

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []
