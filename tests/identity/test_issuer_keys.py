"""What an issuer publishes: fetched once, kept, fetched anew beside the requests, and never too often."""

import asyncio
import time
from typing import Any

import pytest
from joserfc.jwk import ECKey

from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.core.errors import Unauthorized, Unavailable
from tests.conftest import Serve
from tests.identity.published import published, rsa
from tests.patience import PATIENCE_S


def test_many_requests_at_once_fetch_the_keys_once(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, key := rsa("one")) as there, Issuer(there.url) as issuer:
            token = there.token(key)
            await asyncio.gather(*(issuer.claims(token, "lockstep") for _ in range(20)))
            assert there.fetched == 1

    asyncio.run(go())


def test_made_up_kids_do_not_bother_the_issuer(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, rsa("one")) as there, Issuer(there.url) as issuer:
            other = rsa("other")
            for _ in range(20):
                with pytest.raises(Unauthorized):
                    await issuer.claims(there.token(other), "lockstep")
            assert there.fetched == 1

    asyncio.run(go())


def test_a_new_kid_has_the_keys_fetched_at_once(serve: Serve) -> None:
    async def go() -> None:
        first, second = rsa("one"), rsa("two")
        async with published(serve, first) as there, Issuer(there.url, refetch_pause_s=0) as issuer:
            await issuer.claims(there.token(first), "lockstep")
            there.keys = [first, second]
            assert (await issuer.claims(there.token(second), "lockstep"))["sub"] == "alice"
            assert (await issuer.claims(there.token(first), "lockstep"))["sub"] == "alice"
            assert there.fetched == 2

    asyncio.run(go())


def test_old_keys_are_fetched_anew_beside_the_request(serve: Serve) -> None:
    """The request that finds them old is answered from them; a key that is gone holds no longer soon after."""

    async def go() -> None:
        first, second = rsa("one"), rsa("two")
        async with published(serve, first) as there, Issuer(there.url, keep_s=0, refetch_pause_s=0) as issuer:
            await issuer.claims(there.token(first), "lockstep")
            there.keys = [second]
            assert (await issuer.claims(there.token(first), "lockstep"))["sub"] == "alice"
            with pytest.raises(Unauthorized):
                await refused_in_time(issuer, there.token(first))

    asyncio.run(go())


async def refused_in_time(issuer: Issuer, token: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        await issuer.claims(token, "lockstep")
        await asyncio.sleep(0.01)


def test_known_keys_go_on_holding_when_the_issuer_is_down(serve: Serve) -> None:
    async def go() -> None:
        async with (
            published(serve, key := rsa("one")) as there,
            Issuer(there.url, keep_s=0, refetch_pause_s=0) as issuer,
        ):
            await issuer.claims(there.token(key), "lockstep")
            there.status = 500
            for _ in range(5):
                assert (await issuer.claims(there.token(key), "lockstep"))["sub"] == "alice"
                await asyncio.sleep(0)

    asyncio.run(go())


def test_an_issuer_that_never_answered_is_unavailable_and_not_asked_again_at_once(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, key := rsa("one")) as there, Issuer(there.url) as issuer:
            there.status = 500
            with pytest.raises(Unavailable, match="answered 500"):
                await issuer.claims(there.token(key), "lockstep")
            there.status = 200
            with pytest.raises(Unavailable, match="did not answer a moment ago"):
                await issuer.claims(there.token(key), "lockstep")
            assert there.fetched == 0

    asyncio.run(go())


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"iss": "https://elsewhere.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": ["other", "more"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": {"lockstep": 1}}, "aud"),
        ({"sub": None}, "sub"),
        ({"sub": 5}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"nbf": 2**40}, "not yet valid"),
        ({"exp": 1}, "expired"),
    ],
)
def test_a_signed_token_with_a_wrong_claim_is_refused(serve: Serve, claims: dict[str, Any], sentence: str) -> None:
    async def go() -> None:
        async with published(serve, key := rsa("one")) as there, Issuer(there.url) as issuer:
            with pytest.raises(Unauthorized, match=sentence):
                await issuer.claims(there.token(key, **claims), "lockstep")

    asyncio.run(go())


def test_an_answer_to_a_sign_in_repeats_its_nonce(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, key := rsa("one")) as there, Issuer(there.url) as issuer:
            assert (await issuer.claims(there.token(key, nonce="n"), "lockstep", nonce="n"))["nonce"] == "n"
            for nonce in ("m", None):
                with pytest.raises(Unauthorized, match="nonce"):
                    await issuer.claims(there.token(key, nonce=nonce), "lockstep", nonce="n")

    asyncio.run(go())


def test_only_the_named_algorithm_is_accepted(serve: Serve) -> None:
    async def go() -> None:
        curve = ECKey.generate_key("P-256", {"kid": "curve"})
        key = rsa("one")
        async with published(serve, key, curve) as there, Issuer(there.url, algorithm="ES256") as issuer:
            assert (await issuer.claims(there.token(curve, "ES256"), "lockstep"))["sub"] == "alice"
            for algorithm in ("RS256", "PS256"):
                with pytest.raises(Unauthorized, match="not signed with ES256"):
                    await issuer.claims(there.token(key, algorithm), "lockstep")

    asyncio.run(go())


def test_no_secret_can_be_named_as_the_algorithm() -> None:
    for algorithm in ("HS256", "none", "dir"):
        with pytest.raises(ValueError, match="is not an algorithm for tokens here"):
            Issuer("https://login.example.org", algorithm=algorithm)


def test_an_issuer_that_calls_itself_something_else_is_not_believed(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, key := rsa("one"), name="https://elsewhere.example") as there:
            issuer = Issuer(there.url)
            with pytest.raises(Unavailable, match="calls itself"):
                async with issuer:
                    await issuer.claims(there.token(key), "lockstep")

    asyncio.run(go())
