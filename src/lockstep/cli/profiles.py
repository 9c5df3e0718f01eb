"""Profiles: which coordinator client commands speak to, and how one signs in there, under a name.

They are kept in `config.toml` in the folder that XDG names for settings, by people as well as by `lockstep profile`.
What says more about one command comes first: an option, then the environment, then the profile.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final

from lockstep.cli.endings import WrongUse
from lockstep.cli.kept_files import keep

DEFAULT_SERVER: Final = "http://127.0.0.1:5000"
SERVER_VARIABLE: Final = "LOCKSTEP_SERVER"
PROFILE_VARIABLE: Final = "LOCKSTEP_PROFILE"
REPORTS_VARIABLE: Final = "LOCKSTEP_REPORTS_URL"

_CURRENT: Final = "current"
_PROFILES: Final = "profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """One deployment.

    Attributes:
        server: the address of its coordinator.
        reports: the address of its release reports.
        issuer: the OpenID Connect issuer at which one signs in.
        client_id: this program's client there, a public one with the device grant.
        audience: whom tokens are to be for, if the issuer has to be told.
        scope: what is asked for when signing in.
    """

    server: str = ""
    reports: str = ""
    issuer: str = ""
    client_id: str = ""
    audience: str = ""
    scope: str = ""

    @property
    def settings(self) -> Mapping[str, str]:
        """What is set in it."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Profiles:
    """All of them, and the one that counts when none is named."""

    current: str = ""
    named: Mapping[str, Profile] = field(default_factory=dict)


def folder() -> Path:
    """Return where this program keeps what is a person's own."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "lockstep"


def config_file() -> Path:
    """Return the file of the profiles."""
    return folder() / "config.toml"


def read_profiles() -> Profiles:
    """Return what the file holds; no profiles when there is none.

    Raises:
        WrongUse: it cannot be read, or holds something else.
    """
    path = config_file()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError) as error:
        raise WrongUse(f"{path} cannot be read as TOML ({error}).") from error
    named = document.get(_PROFILES, {})
    if not isinstance(named, dict):
        raise WrongUse(f"{path}: `profiles` has to be tables, such as [profiles.production].")
    return Profiles(str(document.get(_CURRENT, "")), {name: _profile(name, of) for name, of in named.items()})


def write_profiles(profiles: Profiles) -> None:
    """Keep profiles, in place of those that were kept."""
    lines = [f"{_CURRENT} = {_quoted(profiles.current)}"] if profiles.current else []
    for name, profile in profiles.named.items():
        settings = [f"{setting} = {_quoted(value)}" for setting, value in profile.settings.items()]
        lines += ["", f"[{_PROFILES}.{_quoted(name)}]", *settings]
    keep(config_file(), "\n".join([*lines, ""]))


def chosen() -> tuple[str, Profile]:
    """Return the profile that counts now, with its name; an empty one when there is none.

    Raises:
        WrongUse: one is named that is not there.
    """
    profiles = read_profiles()
    name = os.environ.get(PROFILE_VARIABLE, "") or profiles.current
    if name and name not in profiles.named:
        known = ", ".join(profiles.named) or "none"
        raise WrongUse(f"There is no profile {name!r} in {config_file()}; the profiles there are: {known}.")
    return name, profiles.named.get(name, Profile())


def server_address(given: str) -> str:
    """Return the coordinator's address: as given, that of the profile, or the one on this machine."""
    return given or chosen()[1].server or DEFAULT_SERVER


def _profile(name: str, settings: object) -> Profile:
    known = [setting.name for setting in fields(Profile)]
    if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
        raise WrongUse(f"{config_file()}: the settings of profile {name!r} have to be texts in quotes.")
    if strange := [setting for setting in settings if setting not in known]:
        raise WrongUse(f"{config_file()}: profile {name!r} has {', '.join(strange)}; known are {', '.join(known)}.")
    return Profile(**settings)


def _quoted(text: str) -> str:
    """Return a text as TOML writes it, which for printable ones is as JSON does."""
    import json

    if not text.isprintable():
        raise WrongUse(f"{text!r} has characters in it that cannot be printed.")
    return json.dumps(text, ensure_ascii=False)
