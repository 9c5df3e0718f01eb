"""`lockstep check` as a user runs it: what it prints, what it writes, and how it ends."""

import asyncio
import shlex
import signal
import socket
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lockstep.stack.processes import free_ports
from tests.cli.stage import Ended, lockstep, started
from tests.conformance.faulty import GOOD, PlainService
from tests.conformance.faulty.any_service import NeverEndsPublishing
from tests.conformance.faulty.reference import PublishesFromAnyState, RefusesInHtml
from tests.conformance.faulty.snapshot import HangsWithNothingToDo
from tests.conformance.test_faults import WantsToKnow
from tests.conftest import Serve
from tests.patience import takes_connections, until


def checked(serve: Serve, service: type[PlainService], *arguments: str) -> Ended:
    """Serve a service and run the command on it."""

    async def scene() -> Ended:
        (port,) = free_ports(1)
        async with serve(service(f"http://127.0.0.1:{port}").app) as url:
            return await lockstep("check", url, "--listen", f"127.0.0.1:{port}", *arguments)

    return asyncio.run(scene())


def test_a_good_service_is_told_its_level(serve: Serve) -> None:
    """What was not checked is said with the reason."""
    ended = checked(serve, PlainService)
    assert (ended.code, ended.err) == (0, "")
    assert "plain service 1.0.0" in ended.out
    assert "It reaches level 1: it repeats safely." in ended.out
    assert "Not checked, since --restart-command was not given: restart-forgets-nothing," in ended.out


def test_a_finding_shows_request_answer_rule_and_what_to_do(serve: Serve) -> None:
    ended = checked(serve, PublishesFromAnyState)
    assert (ended.code, ended.out.count("✗ MUST  publish-needs-staged  (level 0)")) == (1, 1)
    finding = ended.out[ended.out.index("✗ MUST") :].splitlines()
    assert finding[1].startswith("    seen   publish of a task that is pending was not refused. (")
    assert finding[2].startswith('    asked  POST /tasks {"action": "publish", "task_id": "TA_')
    assert finding[3].startswith('    got    HTTP 200 {"task_id":"TA_')
    assert finding[4] == "    rule   K10: `publish` is refused until the task is `staged`, and changes nothing."
    assert finding[5] == "    to do  Check the state before publishing; 400 unless it is staged."
    assert "It reaches no level." in ended.out
    assert ended.err.endswith("does not reach level 1.\n")


def test_a_warning_costs_nothing(serve: Serve) -> None:
    ended = checked(serve, RefusesInHtml)
    assert (ended.code, ended.out.count("! SHOULD  refusal-says-why  (level 0)")) == (0, 1)


def test_the_wanted_level_decides_about_the_exit_code(serve: Serve) -> None:
    ended = checked(serve, PlainService, "--level", "2")
    assert ended.code == 1
    assert "It reaches level 1: it repeats safely. Level 2 was wanted." in ended.out


def test_what_was_found_as_json_and_for_build_servers(serve: Serve, tmp_path: Path) -> None:
    """Every case is there with its verdict; what the wanted level does not need is no failure."""
    files = ("--junit", str(tmp_path / "check.xml"), "--markdown", str(tmp_path / "badge.md"))
    ended = checked(serve, NeverEndsPublishing, "--json", "--level", "0", "--patience", "0.3", *files)
    found = ended.document
    cases = {case["name"]: case for case in found["cases"]}
    assert (ended.code, found["level"], found["wanted"], found["passed"]) == (1, -1, 0, False)
    assert cases["publishing-ends"]["verdict"] == "failed"
    assert cases["publishing-ends"]["findings"][0]["answered"].startswith("HTTP 200 {")
    assert cases["restart-takes-up"]["reason"] == "--restart-command was not given"
    suites = ET.parse(tmp_path / "check.xml").getroot()  # noqa: S314 - it is our own
    assert [suite.get("failures") for suite in suites] == ["1", "0", "0", "0"]
    assert len(list(suites.iter("testcase"))) == len(cases)
    failure = next(suites.iter("failure"))
    assert failure.get("message") == "After 0.3 s the task is publishing, not published."
    assert (tmp_path / "badge.md").read_text().startswith("![lockstep check, no level](https://img.shields.io/badge/")


def test_an_identity_that_is_wanted_and_given(serve: Serve) -> None:
    """And one that is not: then that is all there is to say."""
    ended = checked(serve, WantsToKnow)
    assert ended.code == 1
    assert "    seen   The service wants an identity; give --token." in ended.out
    assert "Not checked, since the service wants an identity; give --token: everything else." in ended.out
    ended = checked(serve, WantsToKnow, "--token", GOOD)
    assert (ended.code, "✗ MUST" in ended.out, "identity-missing" in ended.out) == (0, False, False)


def test_a_restart_in_the_middle_of_staging(tmp_path: Path) -> None:
    """The reference is killed and started anew by a command of the shell, and reaches level 3."""
    port, played = free_ports(2)
    script = tmp_path / "restart.sh"
    serve = f"{sys.executable} -m lockstep reference --port {port} --folder . --coordinator http://127.0.0.1:{played}"
    script.write_text(
        f"cd {shlex.quote(str(tmp_path))}\n[ -f pid ] && kill -9 $(cat pid)\n{serve} >> log 2>&1 &\necho $! > pid\n"
    )
    restart = f"sh {shlex.quote(str(script))}"

    async def scene() -> Ended:
        await (await asyncio.create_subprocess_shell(restart)).wait()
        try:
            await until(lambda: takes_connections(port))
            options = ("--level", "3", "--restart-command", restart, "--listen", f"127.0.0.1:{played}")
            return await lockstep("check", f"http://127.0.0.1:{port}", *options)
        finally:
            await (await asyncio.create_subprocess_shell(f"kill -9 $(cat {tmp_path}/pid)")).wait()

    ended = asyncio.run(scene())
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert "It reaches level 3: it fences stale callers." in ended.out


def test_a_restart_command_that_fails_is_told(serve: Serve) -> None:
    ended = checked(serve, PlainService, "--level", "2", "--restart-command", "echo no such unit; exit 5")
    assert ended.code == 1
    assert "Note: the restart command ended with status 5: no such unit" in ended.out


def test_nobody_at_the_address() -> None:
    (nowhere,) = free_ports(1)
    ended = asyncio.run(lockstep("check", f"http://127.0.0.1:{nowhere}"))
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.endswith(": connection refused. Start the service, or correct the address.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ftp://127.0.0.1"], "'ftp://127.0.0.1' is not the address of a service"),
        (["http://127.0.0.1:1", "--listen", "here"], "--listen here: an address and a port would be right"),
        (["http://127.0.0.1:1", "--study", "X", "--dataservice", "http://d"], "'X' is not the id of a study"),
        (["http://127.0.0.1:1", "--study", "SD_BHJXBDQK"], "--study and --dataservice belong together"),
        (["http://127.0.0.1:1", "--level", "4"], "--level"),
    ],
)
def test_wrong_use(arguments: list[str], sentence: str) -> None:
    ended = asyncio.run(lockstep("check", *arguments))
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err


def test_an_address_to_listen_on_that_is_taken(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = checked(serve, PlainService, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ended.code == 1
    assert "No coordinator can be played at 127.0.0.1:" in ended.err


def test_the_time_is_over(serve: Serve) -> None:
    """What was found until then is shown, and nothing that was not checked is taken for granted."""
    ended = checked(serve, HangsWithNothingToDo, "--timeout", "2")
    assert ended.code == 124
    assert "The time was over before everything was checked." in ended.out
    assert ended.err.endswith("--timeout 4 gives it more.\n")


def test_it_cleans_up_when_it_is_interrupted(serve: Serve) -> None:
    """Ctrl-C cancels the tasks that were begun."""

    async def scene() -> tuple[Ended, set[str]]:
        service = HangsWithNothingToDo("http://127.0.0.1:1")
        async with serve(service.app) as url:
            async with started("check", url, "--listen", "127.0.0.1:0") as command:
                await until(lambda: any(task.state == "running" for task in service.tasks.values()))
                command.process.send_signal(signal.SIGINT)
                ended = await command.ended()
            await service.restart()
            return ended, {task.state for task in service.tasks.values()}

    ended, states = asyncio.run(scene())
    assert (ended.code, states) == (130, {"canceled"})


def test_it_cleans_up_at_the_end(serve: Serve) -> None:
    """No task is left that could still be staged or published."""

    async def scene() -> set[str]:
        (port,) = free_ports(1)
        service = PlainService(f"http://127.0.0.1:{port}")
        async with serve(service.app) as url:
            await lockstep("check", url, "--listen", f"127.0.0.1:{port}")
        return {task.state for task in service.tasks.values()}

    assert asyncio.run(scene()) == {"canceled", "published", "failed"}
