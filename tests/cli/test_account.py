"""Profiles, and signing in by the device flow at a real issuer that runs as a process."""

import asyncio
import json
import re
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from lockstep.coordinator.bootstrap import running
from lockstep.coordinator.settings import read_settings
from lockstep.stack.processes import free_ports
from tests.cli.stage import Ended, Running, environment, lockstep, started
from tests.conftest import Serve
from tests.identity.published import published, rsa
from tests.patience import PATIENCE_S


@asynccontextmanager
async def device_issuer(life_s: int = 600) -> AsyncIterator[str]:
    """An issuer whose tokens live for so long, in a process of its own."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "tests.cli.device_issuer", str(port), str(life_s)),
        cwd=Path(__file__).parents[2],
        env=environment(AUTHLIB_INSECURE_TRANSPORT="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while b"Running on" not in (line := await process.stderr.readline()):
                assert line, "the issuer ended"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def guarded_coordinator(issuer: str, folder: Path) -> AsyncIterator[str]:
    settings = read_settings(
        _env_file=None,
        port=0,
        database_url=f"sqlite:///{folder}/lockstep.db",
        auth="oidc",
        oidc_issuer=issuer,
        oidc_audience="lockstep",
    )
    async with running(settings) as found:
        yield found.url


async def agree(login: Running, issuer: str, name: str) -> Ended:
    """Do in the browser what the command says, as somebody, and return how the command ends."""
    await login.says("enter the code ")
    code = re.search(r"enter the code (\S+)\.", login.err)
    assert code is not None
    async with httpx.AsyncClient(base_url=issuer) as browser:
        assert (await browser.post("/device", data={"user_code": code[1], "name": name})).is_success
    return await login.ended()


def test_somebody_signs_in_stays_so_and_signs_out(tmp_path: Path) -> None:
    """By a profile; the token is in a file of one's own, for that coordinator, and in nothing that is printed."""
    home = {"XDG_CONFIG_HOME": str(tmp_path)}

    async def go() -> None:
        async with device_issuer() as issuer, guarded_coordinator(issuer, tmp_path) as url:
            settings = ("--server", url, "--issuer", issuer, "--client-id", "lockstep-cli", "--audience", "lockstep")
            assert (await lockstep("profile", "set", "ours", *settings, **home)).code == 0
            refused = await lockstep("webhook", "list", **home)
            assert refused.code == 1
            assert "Sign in with `lockstep login`" in refused.err
            async with started("login", **home) as login:
                ended = await agree(login, issuer, "ada")
            assert (0, f"Signed in at {url}.\n") == (ended.code, ended.out), ended.err
            kept = tmp_path / "lockstep" / "tokens.json"
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            token = json.loads(kept.read_text())[url]
            listed = await lockstep("webhook", "list", **home)
            assert (listed.code, listed.document["count"]) == (0, 0)
            status = await lockstep("status", "--lines", **home)
            assert ["signed in", "yes"] in status.lines
            assert ["profile", "ours"] in status.lines
            for said in (ended, listed, status):
                assert not [secret for secret in (token["access"], token["refresh"]) if secret in said.out + said.err]
            kept.chmod(0o644)
            exposed = await lockstep("webhook", "list", **home)
            assert (exposed.code, f"chmod 600 {kept}" in exposed.err) == (1, True)
            kept.chmod(0o600)
            assert (0, f"Signed out at {url}.\n") == await _said("logout", **home)
            assert (0, f"Nobody was signed in at {url}.\n") == await _said("logout", **home)
            assert (await lockstep("webhook", "list", **home)).code == 1

    asyncio.run(go())


async def _said(*arguments: str, **variables: str) -> tuple[int, str]:
    ended = await lockstep(*arguments, **variables)
    return ended.code, ended.out


def test_a_token_that_expires_is_renewed(tmp_path: Path) -> None:
    """Tokens that live for less than the margin have expired whenever they are looked at; each is exchanged."""
    home = {"XDG_CONFIG_HOME": str(tmp_path)}

    async def go() -> None:
        async with device_issuer(20) as issuer, guarded_coordinator(issuer, tmp_path) as url:
            to = ("--server", url)
            async with started("login", *to, "--issuer", issuer, "--client-id", "lockstep-cli", **home) as login:
                assert (await agree(login, issuer, "ada")).code == 0
            kept = tmp_path / "lockstep" / "tokens.json"
            first = json.loads(kept.read_text())[url]
            assert (await lockstep("webhook", "list", *to, **home)).code == 0
            second = json.loads(kept.read_text())[url]
            assert first["refresh"] != second["refresh"]
            kept.write_text(json.dumps({url: {**second, "refresh": "made up"}}))
            lost = await lockstep("webhook", "list", *to, **home)
            assert (lost.code, "`lockstep login` signs you in." in lost.err) == (1, True)

    asyncio.run(go())


def test_who_declines_is_not_signed_in(tmp_path: Path) -> None:
    async def go() -> None:
        async with device_issuer() as issuer:
            where = ("--issuer", issuer, "--client-id", "lockstep-cli", "--server", "http://127.0.0.1:1")
            async with started("login", *where, XDG_CONFIG_HOME=str(tmp_path)) as login:
                ended = await agree(login, issuer, "nobody")
            assert (ended.code, ended.out) == (1, "")
            assert ended.err.endswith("The sign-in was declined in the browser.\n")

    asyncio.run(go())
    assert list(tmp_path.iterdir()) == []


def test_an_issuer_without_the_flow_is_said(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, rsa()) as issuer:
            ended = await lockstep("login", "--issuer", issuer.url, "--client-id", "lockstep-cli")
            assert (ended.code, ended.out) == (1, "")
            assert ended.err.startswith(f"{issuer.url} offers no device flow; ")

    asyncio.run(go())


def test_a_token_that_comes_in_is_tried_before_it_is_kept(tmp_path: Path, serve: Serve) -> None:
    home, key = {"XDG_CONFIG_HOME": str(tmp_path)}, rsa("one")

    async def log_in(url: str, token: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lockstep", "login", "--token-stdin", "--server", url),
            env=environment(**home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate(token.encode())
        return Ended(process.returncode or 0, out.decode(), err.decode())

    async def go() -> None:
        async with published(serve, key) as issuer, guarded_coordinator(issuer.url, tmp_path) as url:
            late = await log_in(url, issuer.token(key, exp=1))
            assert (late.code, late.err.startswith("The coordinator does not take the token: ")) == (1, True), late.err
            assert not (tmp_path / "lockstep").exists()
            assert (await log_in(url, "")).code == 2
            assert (await log_in(url, issuer.token(key) + "\n")).out == f"Signed in at {url}.\n"
            elsewhere = await lockstep("status", "--server", f"{url}/", "--lines", **home)
            assert ["signed in", "yes"] in elsewhere.lines

    asyncio.run(go())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["login"], "give --issuer and --client-id"),
        (["login", "--issuer", "http://login.example.org", "--client-id", "c"], "has to begin with https://"),
        (["login", "--issuer", "nowhere", "--client-id", "c"], "https://login.example.org would be one."),
        (["--profile", "missing", "release", "list"], "There is no profile 'missing'"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], sentence: str) -> None:
    ended = asyncio.run(lockstep(*arguments))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert sentence in ended.err


def test_what_is_said_for_one_command_comes_before_the_profile(tmp_path: Path) -> None:
    """Nobody listens at any of the addresses: the sentence names the one that was asked."""
    home = {"XDG_CONFIG_HOME": str(tmp_path)}

    async def asked(*arguments: str, **variables: str) -> str:
        ended = await lockstep(*arguments, **home, **variables)
        assert ended.code == 3
        return ended.err.partition(" at http://127.0.0.1:")[2].partition(" ")[0]

    async def go() -> None:
        for name, port in (("one", "1"), ("two", "2")):
            address = f"http://127.0.0.1:{port}"
            assert (await lockstep("profile", "set", name, "--server", address, **home)).code == 0
        assert await asked("release", "list") == "1"
        assert await asked("--profile", "two", "release", "list", LOCKSTEP_SERVER="http://127.0.0.1:3") == "2"
        assert await asked("release", "list", LOCKSTEP_PROFILE="two") == "2"
        assert await asked("release", "list", LOCKSTEP_SERVER="http://127.0.0.1:3") == "3"
        other = ("--server", "http://127.0.0.1:4")
        assert await asked("release", "list", *other, LOCKSTEP_SERVER="http://127.0.0.1:3") == "4"
        assert await asked(*other, "release", "list") == "4"
        assert (await lockstep("profile", "use", "two", **home)).code == 0
        assert await asked("release", "list") == "2"
        listed = await lockstep("profile", "list", **home)
        two = {"server": "http://127.0.0.1:2"}
        assert {"current": "two", "profiles": {"one": {"server": "http://127.0.0.1:1"}, "two": two}} == listed.document
        assert (await lockstep("profile", "remove", "two", **home)).code == 0
        assert (await lockstep("profile", "use", "two", **home)).code == 1

    asyncio.run(go())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("current = ", "cannot be read as TOML"),
        ("[profiles.a]\nsever = 'x'", "known are server"),
        ("[profiles.a]\nserver = 5", "texts in quotes"),
    ],
)
def test_a_file_of_profiles_that_says_nonsense_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "lockstep" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)
    ended = asyncio.run(lockstep("release", "list", XDG_CONFIG_HOME=str(tmp_path)))
    assert (ended.code, str(file) in ended.err, sentence in ended.err) == (2, True, True)
