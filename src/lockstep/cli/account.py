"""`lockstep login`, `logout` and `profile`: who one is for a coordinator, and which coordinator that is."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import Interrupted, Refused, WrongUse
from lockstep.cli.lists import show_facts
from lockstep.cli.options import AS_FITS, FROM_PROFILE, AsJson, Server, example
from lockstep.cli.profiles import Profile, Profiles, chosen, config_file, read_profiles, write_profiles
from lockstep.cli.tables import print_json, print_table

if TYPE_CHECKING:
    from lockstep.cli.client import Api, Json
    from lockstep.cli.device import Code
    from lockstep.cli.tokens import Token

app = typer.Typer()
_profile = typer.Typer(name="profile", help="Remember coordinators, each under a name.", no_args_is_help=True)
app.add_typer(_profile)

_Issuer = Annotated[
    str | None, typer.Option("--issuer", metavar="URL", help="The OpenID Connect issuer at which one signs in.")
]
_ClientId = Annotated[
    str | None, typer.Option("--client-id", metavar="ID", help="This program's client there, with the device grant.")
]
_Audience = Annotated[
    str | None, typer.Option("--audience", metavar="NAME", help="Whom the token is to be for: LOCKSTEP_OIDC_AUDIENCE.")
]
_Scope = Annotated[
    str | None, typer.Option("--scope", metavar="WORDS", help="What is asked for, in place of the usual.")
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called here.")]


@app.command(
    "login",
    epilog=example(
        "lockstep login --issuer https://login.example.org --client-id lockstep-cli",
        "lockstep login --token-stdin < token",
    ),
)
def log_in(
    *,
    issuer: _Issuer = None,
    client_id: _ClientId = None,
    audience: _Audience = None,
    scope: _Scope = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Take a token that comes in, and ask no issuer.")
    ] = False,
    server: Server = FROM_PROFILE,
) -> None:
    """Sign in at a coordinator: open the address that is shown in any browser, and agree to the code.

    What is not given is taken from the profile. The token is kept in a file that only you can read, is shown to this
    coordinator only, and is never printed. A token in LOCKSTEP_TOKEN comes before it.
    """
    from lockstep.cli.tokens import Token, keep_token

    if token_stdin:
        text = sys.stdin.read().strip()
        if not text:
            raise WrongUse("No token came in.")
        token = Token(text)
    else:
        profile = chosen()[1]
        token = _by_device(
            issuer or profile.issuer,
            client_id or profile.client_id,
            audience or profile.audience,
            scope or profile.scope,
        )
    _try(server, token)
    keep_token(server, token)
    print(f"Signed in at {server}.")


@app.command("logout", epilog=example("lockstep logout"))
def log_out(*, server: Server = FROM_PROFILE) -> None:
    """Forget the token for a coordinator. At the issuer it lives on until it expires."""
    from lockstep.cli.tokens import forget_token

    print(f"Signed out at {server}." if forget_token(server) else f"Nobody was signed in at {server}.")


@app.command("status", epilog=example("lockstep status"))
def show_status(*, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show which coordinator is spoken to, whether all is well with it, and how one is signed in.

    It ends with 1 when something is not well.
    """

    async def look(coordinator: "Api") -> "Json":
        return await coordinator.get("status", mark="database")

    status = talk(server, look)
    facts = [
        ("server", server),
        ("profile", chosen()[0]),
        ("signed in", _how(server)),
        *((name, status[name]) for name in ("version", "message", "database", "queue", "worker")),
    ]
    show_facts(status, facts, as_json=as_json)


@_profile.command("list", epilog=example("lockstep profile list"))
def list_profiles(*, as_json: AsJson = AS_FITS) -> None:
    """List the profiles, and mark the one that counts."""
    profiles, name = read_profiles(), chosen()[0]
    if as_json:
        print_json(
            {"current": name or None, "profiles": {each: dict(of.settings) for each, of in profiles.named.items()}}
        )
        return
    rows = [
        ("*" if each == name else "", each, of.server, of.issuer, of.reports) for each, of in profiles.named.items()
    ]
    print_table(("", "NAME", "SERVER", "ISSUER", "REPORTS"), rows)


@_profile.command(
    "set",
    epilog=example(
        "lockstep profile set production --server https://lockstep.example.org --issuer https://login.example.org \\",
        "  --client-id lockstep-cli --audience lockstep",
    ),
)
def set_profile(
    name: _Name,
    *,
    server: Annotated[str | None, typer.Option("--server", metavar="URL", help="Its coordinator.")] = None,
    reports: Annotated[str | None, typer.Option("--reports", metavar="URL", help="Its release reports.")] = None,
    issuer: _Issuer = None,
    client_id: _ClientId = None,
    audience: _Audience = None,
    scope: _Scope = None,
) -> None:
    """Make a profile, or change what is given of one; the first one counts from then on."""
    given = {"server": server, "reports": reports, "issuer": issuer, "client_id": client_id, "audience": audience}
    changes = {setting: value for setting, value in {**given, "scope": scope}.items() if value is not None}
    profiles = read_profiles()
    if not name.isprintable() or not name.strip():
        raise WrongUse(f"{name!r} is no name for a profile; production would be one.")
    changed = replace(profiles.named.get(name, Profile()), **changes)
    write_profiles(Profiles(profiles.current or name, {**profiles.named, name: changed}))
    print(f"Profile {name} is kept in {config_file()}.")


@_profile.command("use", epilog=example("lockstep profile use production"))
def use_profile(name: _Name) -> None:
    """Let a profile count from now on; --profile and LOCKSTEP_PROFILE name another for once."""
    profiles = read_profiles()
    _check_there(profiles, name)
    write_profiles(replace(profiles, current=name))
    print(f"Profile {name} counts from now on: {profiles.named[name].server or 'no server is set in it'}.")


@_profile.command("remove", epilog=example("lockstep profile remove production"))
def remove_profile(name: _Name) -> None:
    """Forget a profile. Tokens stay until `lockstep logout`."""
    profiles = read_profiles()
    _check_there(profiles, name)
    left = {each: of for each, of in profiles.named.items() if each != name}
    write_profiles(Profiles("" if profiles.current == name else profiles.current, left))
    print(f"Profile {name} is forgotten.")


def _check_there(profiles: Profiles, name: str) -> None:
    if name not in profiles.named:
        raise Refused(f"There is no profile {name!r}; the profiles there are: {', '.join(profiles.named) or 'none'}.")


def _by_device(issuer: str, client_id: str, audience: str, scope: str) -> "Token":
    if not issuer or not client_id:
        raise WrongUse(
            "Where to sign in is not known: give --issuer and --client-id, or keep them with `lockstep profile set`."
        )
    import asyncio

    from lockstep.cli.device import SignIn, sign_in

    try:
        return asyncio.run(sign_in(SignIn(issuer, client_id, audience, scope), _show_code))
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; nobody is signed in.") from None


def _show_code(code: "Code") -> None:
    print(f"Open {code.address} in a browser and enter the code {code.code}.", file=sys.stderr)
    if code.complete_address:
        print(f"This address has the code in it: {code.complete_address}", file=sys.stderr)


def _try(server: str, token: "Token") -> None:
    """Show a token to the coordinator, which says whether it takes it.

    Raises:
        Refused: it does not.
    """
    import asyncio

    from lockstep.cli.client import Api

    async def shown() -> None:
        async with Api(server, token=token.access) as coordinator:
            await coordinator.get("releases", mark="count", limit="1")
            if coordinator.refusal:
                raise Refused(f"The coordinator does not take the token: {coordinator.refusal}")

    asyncio.run(shown())


def _how(server: str) -> str:
    """Return how one is signed in at a coordinator, without the token."""
    import os

    from lockstep.cli.tokens import TOKEN_VARIABLE, kept_token

    if TOKEN_VARIABLE in os.environ:
        return f"by {TOKEN_VARIABLE}"
    token = kept_token(server)
    if token is None:
        return "no"
    return "yes" if token.is_fresh else "yes, renewed when needed" if token.refresh else "no longer; `lockstep login`"
