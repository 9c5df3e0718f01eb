"""Who a token is about: the claims of one issuer, in the words of the deployment, as a caller and a profile.

What the claims are called is a setting. Roles that we do not know are left out, and a claim of the wrong shape counts
as absent, so that the worst an odd token can do is to make somebody a user without roles.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lockstep.coordinator.adapters.oidc import Claims, Issuer
from lockstep.coordinator.core.callers import Caller, Kind, Role
from lockstep.coordinator.core.errors import Unauthorized, Unavailable
from lockstep.coordinator.core.users import Profile

NAME_LIMIT: Final = 100
"""The longest name that is kept as an author, in characters."""

_OK: Final = 200
_TEXT_LIMIT: Final = 150
_MACHINE_SUFFIX: Final = "@clients"


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """What the deployment's issuer calls things.

    Attributes:
        roles, groups: claims with a list of words, or words with spaces between them.
        name: the claim that is written as author and actor; `preferred_username` and `email` stand in for it.
        service: the claim and the value that mark the token of a machine, such as `gty=client-credentials`.
        client: the claim with a machine's client id; `client_id` and the `sub` stand in for it.
    """

    roles: str = "https://kidsfirstdrc.org/roles"
    groups: str = "https://kidsfirstdrc.org/groups"
    name: str = "nickname"
    service: str = "gty=client-credentials"
    client: str = "azp"


class OidcIdentity:
    """The port `Identity` on one issuer.

    Args:
        issuer: who signs the tokens.
        audience: which of the issuer's tokens are for us.
        names: what its claims are called.
        admin_clients: ids of the machines that may do what an admin may.
    """

    def __init__(
        self, issuer: Issuer, audience: str, names: ClaimNames | None = None, admin_clients: Collection[str] = ()
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._names = names or ClaimNames()
        self._admin_clients = frozenset(admin_clients)

    async def of_token(self, token: str) -> tuple[Caller, Profile]:
        """Return who a token is about, and what it tells of them.

        Raises:
            Unauthorized: the token does not hold; the sentence says why.
            Unavailable: the issuer's keys could not be had.
        """
        return self.of_claims(await self._issuer.claims(token, self._audience))

    def of_claims(self, claims: Claims) -> tuple[Caller, Profile]:
        """Return who some claims are about, and what they tell of them.

        Raises:
            Unauthorized: they are about nobody whom we can tell from others.
        """
        profile = self._profile(claims)
        if not profile.sub or profile.sub != claims["sub"]:
            raise Unauthorized(f"The token's sub is not a text of 1 to {_TEXT_LIMIT} characters.")
        claim, _, value = self._names.service.partition("=")
        if claims.get(claim) == value:
            client = self._client(claims)
            roles = frozenset({Role.ADMIN} if client in self._admin_clients else ())
            return Caller(Kind.SERVICE, client, profile.sub, roles), profile
        known = {role.value: role for role in Role}
        roles = frozenset(known[word] for word in _words(claims, self._names.roles) if word in known)
        groups = frozenset(_words(claims, self._names.groups))
        return Caller(Kind.PERSON, profile.username or profile.sub, profile.sub, roles, groups), profile

    async def profile(self, token: str) -> Profile | None:
        """Ask the issuer about the person that a token is for; return None when it does not tell."""
        try:
            status, claims = await self._issuer.userinfo(token)
        except Unavailable:
            return None
        return self._profile(claims) if status == _OK and _text(claims, "sub") else None

    def _client(self, claims: Claims) -> str:
        named = _text(claims, self._names.client) or _text(claims, "client_id")
        return (named or _text(claims, "sub").removesuffix(_MACHINE_SUFFIX))[:NAME_LIMIT]

    def _profile(self, claims: Claims) -> Profile:
        names = (self._names.name, "preferred_username", "email")
        return Profile(
            sub=_text(claims, "sub"),
            username=next(filter(None, (_text(claims, name)[:NAME_LIMIT] for name in names)), ""),
            email=_text(claims, "email"),
            first_name=_text(claims, "given_name"),
            last_name=_text(claims, "family_name"),
            picture=_picture(claims.get("picture")),
        )


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    return value[:_TEXT_LIMIT] if isinstance(value, str) and value.isprintable() else ""


def _picture(given: object) -> str:
    longest = 500
    sound = isinstance(given, str) and given.startswith("https://") and given.isprintable() and len(given) <= longest
    return given if isinstance(given, str) and sound else ""


def _words(claims: Claims, name: str) -> list[str]:
    value = claims.get(name)
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
