"""What else the commands do: tasks, notes, events, webhooks, the public pointer, edits; and that nothing is missing."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from lockstep.cli.app import app
from lockstep.cli.client import Api
from lockstep.cli.manual import commands
from lockstep.coordinator.web.rest import events, public, release_notes, releases, root, studies, task_services, tasks
from lockstep.coordinator.web.rest import webhooks as webhooks_api
from tests.cli.stage import OTHER_STUDY, STUDY, at_terminal, environment, lockstep, stage
from tests.conftest import Serve
from tests.patience import until

COMMANDS = dict(commands(typer.main.get_command(app)))
DONE_BY = {
    "list_releases": "release list",
    "create_release": "release start",
    "start_release_checks": "task check",
    "show_release": "release show",
    "edit_release": "release edit",
    "replace_release": "release edit",
    "cancel_release": "release cancel",
    "publish_release": "release publish",
    "show_decision": "release decision",
    "show_current_release": "release current",
    "show_release_at": "release at",
    "show_current_release_of_study": "release current",
    "list_task_services": "service list",
    "register_task_service": "service add",
    "check_task_services": "service check",
    "show_task_service": "service show",
    "edit_task_service": "service edit",
    "replace_task_service": "service apply",
    "delete_task_service": "service remove",
    "list_tasks": "task list",
    "show_task": "task show",
    "report_task": "task report",
    "replace_task": "task report",
    "start_task_checks": "task check",
    "show_release_task": "task show",
    "report_release_task": "task report",
    "list_release_notes": "note list",
    "create_release_note": "note add",
    "show_release_note": "note show",
    "edit_release_note": "note edit",
    "replace_release_note": "note edit",
    "remove_release_note": "note remove",
    "list_events": "event list",
    "add_event": "event add",
    "show_event": "event list",
    "list_studies": "study list",
    "show_study": "study show",
    "list_releases_of_study": "release list",
    "show_release_of_study": "release show",
    "sync_studies": "study sync",
    "list_webhooks": "webhook list",
    "register_webhook": "webhook add",
    "show_webhook": "webhook show",
    "edit_webhook": "webhook edit",
    "delete_webhook": "webhook remove",
    "rotate_webhook_secret": "webhook rotate",
    "list_deliveries": "webhook deliveries",
    "redeliver_event": "webhook redeliver",
    "show_status": "status",
}
FOR_PROGRAMS = {"list_collections", "show_feed", "add_task"}
"""An index of addresses, a feed for readers of feeds, and a `POST` that makes nothing."""


def test_every_operation_of_the_api_has_a_command() -> None:
    faces = (releases, public, task_services, tasks, release_notes, events, studies, webhooks_api, root)
    operations = {operation.call.__name__ for face in faces for operation in face.OPERATIONS}
    assert operations - FOR_PROGRAMS == set(DONE_BY)
    assert [command for command in DONE_BY.values() if command not in COMMANDS] == []


def test_a_release_from_a_file_is_started_once_with_its_notes(tmp_path: Path, serve: Serve) -> None:
    file = tmp_path / "release.yaml"
    file.write_text(
        f"name: From a file\nstudies: [{STUDY}, {OTHER_STUDY}]\ntags: [one]\nmajor: true\ndescription: All.\n"
        f"notes:\n  - text: Of all.\n  - text: Of one.\n    study: {STUDY}\n"
    )

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            await on.ready()
            start = ("release", "start", "--from-file", str(file), "--name", "By option", "--key", "spring")
            first = await on.json(*start)
            expected = {"name": "By option", "tags": ["one"], "is_major": True, "description": "All."}
            assert {**first, **expected, "studies": [STUDY, OTHER_STUDY]} == first
            assert {note["description"] for note in first["notes"]} == {"Of all.", "Of one."}
            again = await on.json(*start)
            assert (again["kf_id"], len(again["notes"])) == (first["kf_id"], 2)
            changed = await on.run(*start, "--study", STUDY)
            assert (changed.code, changed.out) == (1, "")

    asyncio.run(go())


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.yaml", "name: [", "is no YAML"),
        ("a.toml", "name = ", "is no TOML"),
        ("a.yaml", "name: Spring\nstudys: []", "has studys, which is not known"),
        ("a.yaml", "name: 5", "name has to be a text, and not 5."),
        ("a.yaml", "name: A\nstudies: [5]", "quotes make one of it"),
        ("a.yaml", "name: A", "A release needs --study"),
        ("a.yaml", "- name", "has to be a table"),
        ("a.yaml", "name: A\nstudies: [SD_8Y99QZJJ]\nnotes: [{study: x}]", "note 1 needs text"),
    ],
)
def test_a_file_that_says_nonsense_is_wrong_use(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    async def go() -> None:
        ended = await lockstep("release", "start", "-f", name, "--server", "http://127.0.0.1:1", folder=tmp_path)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert sentence in ended.err

    asyncio.run(go())


def _services(*entries: str) -> str:
    return "services:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


def test_the_registry_becomes_what_a_file_says(tmp_path: Path, serve: Serve) -> None:
    """The plan is shown and nothing is done; then it is done, and the second time there is nothing to do."""
    file = tmp_path / "services.yaml"
    apply = ("service", "apply", "-f", str(file))

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            old = await on.json("service", "add", on.held_url, "--name", "old")
            file.write_text(_services(f"name: etl, url: '{on.held_url}/', description: Loads., client_id: etl-client"))
            planned = await on.run(*apply, "--lines", "--dry-run")
            words = f"url: {on.held_url}, description: Loads., client_id: etl-client"
            assert (planned.code, planned.lines) == (0, [["add", "-", "etl", words]])
            alone = await on.run(*apply)
            assert (alone.code, "--yes applies the plan" in alone.err) == (2, True)
            assert (await on.json("service", "list"))["count"] == 1
            done = await on.json(*apply, "--yes")
            assert (done["applied"], [step["deed"] for step in done["steps"]]) == (True, ["add"])
            assert await on.json(*apply, "--yes", "--prune", "--dry-run") == {
                "applied": False,
                "steps": [
                    {
                        "deed": "remove",
                        "name": "old",
                        "kf_id": old["kf_id"],
                        "fields": {},
                        "before": {"url": on.held_url},
                    }
                ],
            }
            assert await on.json(*apply, "--yes") == {"applied": False, "steps": []}
            file.write_text(_services(f"name: etl, url: '{on.held_url}', enabled: false"))
            async with at_terminal(*apply, "--prune", "--server", on.url) as shown:
                await shown.says("enabled: yes → no")
                await shown.says("Carry out these 2 steps?")
                shown.type("y\n")
                assert await shown.ended() == 0
            [left] = (await on.json("service", "list"))["results"]
            expected = {"name": "etl", "enabled": False, "description": "Loads.", "client_id": "etl-client"}
            assert {**left, **expected} == left

    asyncio.run(go())


def test_a_plan_that_fails_says_how_far_it_came(tmp_path: Path, serve: Serve) -> None:
    file = tmp_path / "services.yaml"

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            file.write_text(_services(f"name: one, url: '{on.held_url}'", "name: two, url: 'http://127.0.0.1:1'"))
            ended = await on.run("service", "apply", "-f", str(file), "--yes")
            assert ended.code == 1
            assert ended.err.startswith("1 of 2 steps were done; this was not: add 'two'. url: could not reach")
            assert [row["name"] for row in (await on.json("service", "list"))["results"]] == ["one"]

    asyncio.run(go())


def test_services_are_changed_and_checked(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            kf_id = (await on.json("service", "add", on.held_url, "--name", "etl"))["kf_id"]
            assert (await on.json("service", "disable", kf_id))["enabled"] is False
            assert (await on.json("service", "enable", kf_id))["enabled"] is True
            edited = await on.json("service", "edit", kf_id, "--name", "warehouse", "--client-id", "w")
            assert await on.json("service", "show", kf_id) == edited
            assert (edited["name"], edited["client_id"]) == ("warehouse", "w")
            assert (await on.run("service", "edit", kf_id)).code == 2
            assert (await on.json("service", "check"))["results"] == [edited]

    asyncio.run(go())


def test_tasks_events_and_studies_are_looked_at(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            [task] = (await on.json("task", "list", "--release", release_id))["results"]
            assert (await on.json("task", "show", task["kf_id"]))["service_name"] == "held service"
            assert "1 task to check" in (await on.run("task", "check", "--lines")).out
            assert (await on.json("task", "list", "--state", "rejected"))["count"] == 0
            added = await on.json("event", "add", "Told the portal.", "--task", task["kf_id"], "--type", "warning")
            assert (added["release"].rpartition("/")[2], added["event_type"]) == (release_id, "warning")
            found = await on.json("event", "list", "--search", "portal", "--after", "2020-01-01")
            assert found["results"] == [added]
            assert (await on.json("event", "list", "--before", "2020-01-01"))["count"] == 0
            wrong = await on.run("event", "list", "--before", "yesterday")
            assert (wrong.code, wrong.err.startswith("created_before: ")) == (1, True)
            assert (await on.json("study", "show", STUDY))["kf_id"] == STUDY
            renamed = await on.json("release", "edit", release_id, "--name", "Renamed", "--tag", "a", "--major")
            assert (renamed["name"], renamed["tags"], renamed["is_major"]) == ("Renamed", ["a"], True)
            assert (await on.json("release", "edit", release_id, "--no-tags"))["tags"] == []
            nothing = await on.run("release", "current")
            assert (nothing.code, nothing.err) == (1, f"There is no published release at {on.url}.\n")
            status = await on.json("status")
            assert status["database"] == "ok"

    asyncio.run(go())


def test_what_is_public_is_shown(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.staged()
            assert (await on.run("release", "publish", release_id, "--yes", "--watch")).code == 0
            current = await on.json("release", "current")
            assert current["kf_id"] == release_id
            assert await on.json("release", "current", "--study", STUDY) == current
            assert await on.json("release", "at", "2999-01-01") == current
            assert (await on.run("release", "at", "1999-01-01")).code == 1

    asyncio.run(go())


def test_a_note_is_written_in_the_editor_and_lost_to_nobody(tmp_path: Path, serve: Serve) -> None:
    """What somebody else changed in the meantime stays, and what was written is kept."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "%s and more" "$(cat "$1")" > "$1.new" && mv "$1.new" "$1"\n')
    editor.chmod(0o755)
    slow = tmp_path / "slow"
    slow.write_text(
        f'#!/bin/sh\necho Mine > "$1"\ntouch {tmp_path}/open\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\n'
    )
    slow.chmod(0o755)

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            note = await on.json("note", "add", release_id, "--text", "Twelve", "--study", STUDY)
            edit = ("note", "edit", note["kf_id"], "--server", on.url)
            async with at_terminal(*edit, EDITOR=str(editor)) as shown:
                assert await shown.ended() == 0
            assert (await on.run("note", "show", note["kf_id"], "--lines")).out == "Twelve and more\n"
            async with at_terminal(*edit, EDITOR=str(slow), TMPDIR=str(tmp_path)) as shown:
                await until((tmp_path / "open").exists)
                assert (await on.run("note", "edit", note["kf_id"], "--text", "Theirs")).code == 0
                (tmp_path / "go").touch()
                assert await shown.ended() == 1
            assert "What you wrote is in" in shown.out
            assert [row["description"] for row in (await on.json("note", "list"))["results"]] == ["Theirs"]
            assert (await on.run("note", "edit", note["kf_id"])).code == 2
            assert (await on.run("note", "remove", note["kf_id"], "--lines")).out.startswith("Removed release note")

    asyncio.run(go())
    [kept] = tmp_path.glob("lockstep-*.md")
    assert kept.read_text() == "Mine"


def test_webhooks_are_kept_and_their_deliveries_sent_again(tmp_path: Path, serve: Serve) -> None:
    async def take(_: Any) -> Response:
        return Response(status_code=204)

    async def go() -> None:
        receiver = Starlette(routes=[Route("/", take, methods=["POST"])])
        async with serve(receiver) as hook, stage(tmp_path, serve) as on:
            made = await on.json("webhook", "add", hook, "--description", "portal")
            kf_id = made["kf_id"]
            event = await on.json("event", "add", "Something happened.")
            async with Api(on.url) as api:

                async def is_delivered() -> bool:
                    return bool((await api.rows(f"webhooks/{kf_id}/deliveries", most=1, state="delivered"))["count"])

                await until(is_delivered)
            [delivery] = (await on.json("webhook", "deliveries", kf_id))["results"]
            assert (delivery["event"], delivery["status"]) == (event["kf_id"], 204)
            assert (await on.json("webhook", "redeliver", kf_id, event["kf_id"]))["event"] == event["kf_id"]
            assert (await on.json("webhook", "rotate", kf_id))["secret"] != made["secret"]
            assert (await on.json("webhook", "edit", kf_id, "--disable"))["enabled"] is False
            assert "secret" not in await on.json("webhook", "show", kf_id)
            assert (await on.json("webhook", "remove", kf_id)) == {}
            assert (await on.json("webhook", "list"))["count"] == 0

    asyncio.run(go())


async def _completed(server: str, typed: str) -> str:
    """What the installed command answers to a shell that completes."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lockstep")),
        env=environment(
            LOCKSTEP_SERVER=server, _LOCKSTEP_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=f"lockstep {typed}"
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err
    return out.decode()


def test_ids_are_completed_with_what_they_are(tmp_path: Path, serve: Serve) -> None:
    """A coordinator that is not there completes nothing, and says nothing."""

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            shown = await _completed(on.url, "release show RE_")
            assert (release_id in shown, "Held release" in shown) == (True, True)
            assert "RE_" not in await _completed("http://127.0.0.1:1", "release show RE_")
            assert "--against" in await _completed("http://127.0.0.1:1", "release diff --ag")

    asyncio.run(go())
