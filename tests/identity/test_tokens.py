"""Bearer tokens against a real provider over HTTP: the ones that hold, and every way in which one does not."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from lockstep.coordinator.adapters.identity import ClaimNames, OidcIdentity
from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.core.callers import Caller, Kind, Role
from lockstep.coordinator.core.errors import Unauthorized
from tests.identity.forging import claims_of, encoded, signed_as_hs256
from tests.identity.provider import GROUPS, ROLES, Provider, provider

STUDY = "SD_DYPMEHHF"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as running:
        yield running


def check(url: str, token: str) -> Caller:
    async def go() -> Caller:
        async with Issuer(url) as issuer:
            return (await OidcIdentity(issuer, "lockstep").of_token(token))[0]

    return asyncio.run(go())


def test_a_token_of_the_issuer_says_who_the_caller_is(issuer: Provider) -> None:
    token = issuer.token("alice", claims={"nickname": "al", ROLES: ["ADMIN", "WIZARD"], GROUPS: [STUDY]})
    expected = Caller(Kind.PERSON, "al", "alice", frozenset({Role.ADMIN}), frozenset({STUDY}))
    assert check(issuer.url, token) == expected


def test_an_expired_token_is_refused() -> None:
    with provider(max_age_s=-31) as issuer, pytest.raises(Unauthorized, match="has expired"):
        check(issuer.url, issuer.token("alice"))


def test_a_small_skew_of_the_clocks_is_allowed() -> None:
    with provider(max_age_s=-5) as issuer:
        assert check(issuer.url, issuer.token("alice")).subject == "alice"


def test_a_token_for_another_audience_is_refused(issuer: Provider) -> None:
    with pytest.raises(Unauthorized, match="aud"):
        check(issuer.url, issuer.token("alice", audience="another"))


def test_a_token_of_another_issuer_is_refused(issuer: Provider) -> None:
    with provider() as other, pytest.raises(Unauthorized, match="not signed with a key that its issuer publishes"):
        check(issuer.url, other.token("alice"))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None])
def test_a_token_without_a_signature_is_refused(issuer: Provider, algorithm: str | None) -> None:
    forged = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims_of(issuer.token('alice')))}."
    with pytest.raises(Unauthorized):
        check(issuer.url, forged)


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(issuer: Provider, form: str) -> None:
    published = issuer.keys()["keys"][0]
    secret = RSAKey.import_key(published).as_pem(private=False) if form == "pem" else json.dumps(published).encode()
    with pytest.raises(Unauthorized, match="not signed with RS256"):
        check(issuer.url, signed_as_hs256(issuer.token("alice"), published["kid"], secret))


def test_a_token_that_brings_its_own_key_is_refused(issuer: Provider) -> None:
    own = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jwk": own.as_dict(private=False), "kid": issuer.keys()["keys"][0]["kid"]}
    with pytest.raises(Unauthorized):
        check(issuer.url, jwt.encode(header, claims_of(issuer.token("alice")), own))


def test_a_token_with_changed_claims_is_refused(issuer: Provider) -> None:
    token = issuer.token("alice")
    header, _, signature = token.split(".")
    with pytest.raises(Unauthorized):
        check(issuer.url, f"{header}.{encoded({**claims_of(token), ROLES: ['ADMIN']})}.{signature}")


def test_a_token_with_an_unknown_kid_is_refused(issuer: Provider) -> None:
    forged = jwt.encode({"alg": "RS256", "kid": "unknown"}, claims_of(issuer.token("a")), RSAKey.generate_key(2048))
    with pytest.raises(Unauthorized, match="not signed with a key that its issuer publishes"):
        check(issuer.url, forged)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "é.é.é", "a" * 20_000, "a.b.c.d.e"])
def test_what_is_no_token_is_refused(issuer: Provider, token: str) -> None:
    with pytest.raises(Unauthorized):
        check(issuer.url, token)


def test_a_rotated_key_is_found_without_a_restart() -> None:
    """The provider comes back with a new key at its old address: tokens of the new key hold, of the old one not."""

    async def go() -> None:
        with provider() as before:
            old = before.token("alice")
            issuer = await Issuer(before.url, refetch_pause_s=0).__aenter__()
            assert (await issuer.claims(old, "lockstep"))["sub"] == "alice"
        with provider(before.port) as after:
            assert (await issuer.claims(after.token("bob"), "lockstep"))["sub"] == "bob"
            with pytest.raises(Unauthorized, match="not signed with a key"):
                await issuer.claims(old, "lockstep")
        await issuer.__aexit__(None, None, None)

    asyncio.run(go())


def test_machines_are_services_whatever_roles_they_claim(issuer: Provider) -> None:
    """Auth0 marks their tokens; the provider of this test signs the same claims for a person of that name."""
    claims = {"gty": "client-credentials", "azp": "reports", ROLES: ["ADMIN"]}
    caller = check(issuer.url, issuer.token("reports@clients", claims=claims))
    assert caller == Caller(Kind.SERVICE, "reports", "reports@clients")


def test_machines_that_are_listed_are_admins(issuer: Provider) -> None:
    async def go() -> Caller:
        async with Issuer(issuer.url) as keys:
            identity = OidcIdentity(keys, "lockstep", admin_clients=["deployer"])
            return (await identity.of_token(issuer.token("deployer@clients", claims={"gty": "client-credentials"})))[0]

    assert asyncio.run(go()).roles == {Role.ADMIN}


def test_claims_have_the_names_that_the_deployment_says(issuer: Provider) -> None:
    async def go() -> Caller:
        async with Issuer(issuer.url) as keys:
            names = ClaimNames(roles="roles", groups="studies", name="preferred_username")
            claims = {"roles": "DEV USER", "studies": [STUDY, 5], "preferred_username": "c", "nickname": "n"}
            token = issuer.token("carol", claims=claims)
            return (await OidcIdentity(keys, "lockstep", names).of_token(token))[0]

    expected = Caller(Kind.PERSON, "c", "carol", frozenset({Role.DEV, Role.USER}), frozenset({STUDY}))
    assert asyncio.run(go()) == expected
