"""A service with an identity obeys its coordinator alone, by the keys of a real provider; one without stays at home."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.exceptions import HTTPException

from lockstep.stack.processes import free_ports
from lockstep.taskkit import Identity, MemoryStore, TaskService
from lockstep.taskkit.conformance import Options, Report, check
from lockstep.taskkit.guard import Guard
from lockstep.taskkit.identity import check_host
from tests.conftest import Serve
from tests.coordination import UNHURRIED
from tests.identity.forging import claims_of, encoded, signed_as_hs256
from tests.identity.provider import Provider, provider
from tests.identity.published import PublishedIssuer, published, rsa
from tests.taskkit.conversation import TASK, conversation


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as running:
        yield running


def guarded(issuer_url: str, *callers: str, **chosen: Any) -> TaskService:
    identity = Identity(issuer_url, "lockstep", callers or ("coordinator",))
    return TaskService("guarded", identity=identity, **{"store": MemoryStore(), "coordinator_url": "", **chosen})


def asked(serve: Serve, service: TaskService, authorization: str | None) -> tuple[int, str, dict[str, Any], bool]:
    """Have a task initialized; return the status, the challenge, the answer, and whether there is such a task now."""

    async def go() -> tuple[int, str, dict[str, Any], bool]:
        headers = {} if authorization is None else {"Authorization": authorization}
        body = {"action": "initialize", "task_id": TASK, "release_id": "RE_00000001"}
        async with serve(service) as url, conversation(url) as talk:
            async with talk.web.post(f"{url}/tasks", json=body, headers=headers) as answer:
                said = await answer.json()
            challenge = answer.headers.get("WWW-Authenticate", "")
            return answer.status, challenge, said, service.desk.store.get(TASK) is not None

    return asyncio.run(go())


def unsigned(_: Provider, good: str) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims_of(good))}."


def signed_with_the_public_key(issuer: Provider, good: str) -> str:
    key = issuer.keys()["keys"][0]
    return signed_as_hs256(good, key["kid"], RSAKey.import_key(key).as_pem(private=False))


def of_an_unknown_key(_: Provider, good: str) -> str:
    return jwt.encode({"alg": "RS256", "kid": "unknown"}, claims_of(good), RSAKey.generate_key(2048))


def of_our_key_by_name_only(issuer: Provider, good: str) -> str:
    kid = issuer.keys()["keys"][0]["kid"]
    return jwt.encode({"alg": "RS256", "kid": kid}, claims_of(good), RSAKey.generate_key(2048))


def test_the_coordinator_is_obeyed(serve: Serve, issuer: Provider) -> None:
    for scheme in ("Bearer", "bearer"):
        token = issuer.token("coordinator")
        status, _, said, is_known = asked(serve, guarded(issuer.url), f"{scheme} {token}")
        assert (status, said["state"], is_known) == (200, "pending", True)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic Y29vcmRpbmF0b3I6eA=="])
def test_nobody_in_particular_is_asked_who_they_are(serve: Serve, issuer: Provider, authorization: str | None) -> None:
    status, challenge, said, is_known = asked(serve, guarded(issuer.url), authorization)
    assert (status, challenge, is_known) == (401, "Bearer", False)
    assert "Authorization: Bearer" in said["message"]


@pytest.mark.parametrize(
    ("forge", "sentence"),
    [
        (unsigned, "not signed with RS256"),
        (signed_with_the_public_key, "not signed with RS256"),
        (of_an_unknown_key, "not signed with a key that its issuer publishes"),
        (of_our_key_by_name_only, "does not hold"),
        (lambda issuer, _: issuer.token("coordinator", audience="another"), "aud"),
        (lambda _, good: f"{good[:-4]}AAAA", "not signed with a key that its issuer publishes"),
        (lambda _, __: "x" * 20_000, "too long"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(serve: Serve, issuer: Provider, forge: Any, sentence: str) -> None:
    token = forge(issuer, issuer.token("coordinator"))
    status, challenge, said, is_known = asked(serve, guarded(issuer.url), f"Bearer {token}")
    assert (status, challenge, is_known) == (401, 'Bearer error="invalid_token"', False)
    assert sentence in said["message"]


def test_a_token_that_has_expired_is_refused(serve: Serve) -> None:
    with provider(max_age_s=-31) as issuer:
        status, _, said, _ = asked(serve, guarded(issuer.url), f"Bearer {issuer.token('coordinator')}")
    assert (status, said["message"]) == (401, "The token has expired.")


def test_a_token_of_another_issuer_is_refused(serve: Serve, issuer: Provider) -> None:
    with provider() as other:
        status, _, said, _ = asked(serve, guarded(issuer.url), f"Bearer {other.token('coordinator')}")
    assert (status, "not signed with a key that its issuer publishes" in said["message"]) == (401, True)


def test_somebody_else_is_told_that_they_may_not(serve: Serve, issuer: Provider) -> None:
    token = issuer.token("mallory")
    status, challenge, said, is_known = asked(serve, guarded(issuer.url, "one", "two"), f"Bearer {token}")
    assert (status, challenge, is_known) == (403, "", False)
    assert said["message"] == "this service obeys its coordinator, and 'mallory' is somebody else"


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"sub": "the-client"}, 200),
        ({"sub": "the-client@clients"}, 200),
        ({"sub": "service-account", "azp": "the-client"}, 200),
        ({"sub": "service-account", "client_id": "the-client"}, 200),
        ({"sub": "service-account", "azp": ""}, 403),
        ({"sub": "other", "azp": ["the-client"], "client_id": None}, 403),
    ],
)
def test_issuers_name_a_client_in_several_ways(serve: Serve, claims: dict[str, Any], status: int) -> None:
    async def go() -> int:
        async with published(serve, key := rsa("one")) as there:
            guard = Guard(Identity(there.url, "lockstep", ("the-client",)))
            try:
                await guard.check({"authorization": f"Bearer {there.token(key, **claims)}"})
            except HTTPException as refused:
                return refused.status_code
            return 200

    assert asyncio.run(go()) == status


def test_a_key_that_was_rotated_is_found_without_a_restart() -> None:
    async def go() -> None:
        with provider() as before:
            old = {"authorization": f"Bearer {before.token('coordinator')}"}
            guard = Guard(Identity(before.url, "lockstep", ("coordinator",)), refetch_pause_s=0)
            await guard.check(old)
        with provider(before.port) as after:
            await guard.check({"authorization": f"Bearer {after.token('coordinator')}"})
            with pytest.raises(HTTPException, match="not signed with a key"):
                await guard.check(old)
        await guard.close()

    asyncio.run(go())


def test_an_issuer_that_cannot_be_asked_has_the_coordinator_come_back(serve: Serve, issuer: Provider) -> None:
    """`Retry-After` with 503 counts as no answer yet (A2), and not as a refusal."""
    token = issuer.token("coordinator")
    service = guarded(f"http://127.0.0.1:{free_ports(1)[0]}")

    async def go() -> None:
        async with serve(service) as url, conversation(url) as talk:
            headers = {"Authorization": f"Bearer {token}"}
            async with talk.web.post(f"{url}/tasks", json={}, headers=headers) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            async with talk.web.get(f"{url}/status") as answer:
                assert answer.status == 200

    asyncio.run(go())


@pytest.mark.rule("K17")
def test_the_check_finds_no_fault_with_it(serve: Serve) -> None:
    """Without a token, with forged ones, and with one that has expired: nothing is done, and the rest works."""

    async def go() -> Report:
        async with published(serve, key := rsa("one")) as there:
            return await check_with(there, key)

    async def check_with(there: PublishedIssuer, key: RSAKey) -> Report:
        good, expired = there.token(key, sub="coordinator"), there.token(key, sub="coordinator", exp=1)
        (port,) = free_ports(1)
        service = guarded(there.url, coordinator_url=f"http://127.0.0.1:{port}", token="made up")
        only = frozenset({"identity", "whole_life"})
        options: dict[str, Any] = {**UNHURRIED, "token": good, "expired_token": expired, "port": port, "only": only}
        async with serve(service) as url:
            return await check(url, Options(**options))

    report = asyncio.run(go())
    assert report.failed() == []
    judged = {name for name, tally in report.tallies.items() if tally.passed}
    assert {"identity-missing", "identity-forged", "identity-expired"} <= judged


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_service_without_identity_serves_its_own_machine(host: str) -> None:
    check_host(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org", ""])
def test_a_service_without_identity_serves_no_other_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="without an identity anyone there could publish"):
        TaskService("open", store=MemoryStore(), coordinator_url="").run(host=host, port=0)
    check_host(host, Identity("https://login.example.org", "tasks", ("coordinator",)))
    monkeypatch.setenv("LOCKSTEP_INSECURE", "true")
    check_host(host, None)


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({}, "set LOCKSTEP_TASKS_AUDIENCE"),
        ({"AUDIENCE": "tasks"}, "set LOCKSTEP_TASKS_CALLERS"),
        ({"AUDIENCE": "tasks", "CALLERS": " , "}, "set LOCKSTEP_TASKS_CALLERS"),
        ({"AUDIENCE": "tasks", "CALLERS": "a", "ISSUER": "login.example.org"}, "is no issuer"),
        ({"AUDIENCE": "tasks", "CALLERS": "a", "ISSUER": "http://login.example.org"}, "must begin with https://"),
        ({"AUDIENCE": "tasks", "CALLERS": "a", "ALGORITHM": "HS256"}, "HS256 is not an algorithm for tokens here"),
    ],
)
def test_part_of_an_identity_is_none(named: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ISSUER": "https://login.example.org", **named}.items():
        monkeypatch.setenv(f"LOCKSTEP_TASKS_{name}", value)
    with pytest.raises(ValueError, match=sentence):
        TaskService("half", store=MemoryStore(), coordinator_url="")


def test_the_environment_names_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_TASKS_ISSUER", "https://login.example.org")
    monkeypatch.setenv("LOCKSTEP_TASKS_AUDIENCE", "tasks")
    monkeypatch.setenv("LOCKSTEP_TASKS_CALLERS", "coordinator, deployer")
    service = TaskService("known", store=MemoryStore(), coordinator_url="")
    assert service.identity == Identity("https://login.example.org", "tasks", ("coordinator", "deployer"))
