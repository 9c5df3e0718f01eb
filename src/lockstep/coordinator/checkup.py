"""What must hold for a deployment to work, each thing looked at by itself: the mind of `lockstep doctor`.

It looks from where it runs, with the settings of that machine, at these, the database, the queue, the issuer, the task
services and, where it is told of them, the coordinators. It changes nothing, and may run beside everything else. What
does not hold is said with what to do about it; what cannot be seen because of that is left out.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from sqlalchemy import Connection

from lockstep.coordinator.adapters.addresses import AddressGuard
from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.settings import PREFIX, Settings
from lockstep.coordinator.store.database import Database, postgres_url
from lockstep.coordinator.store.examining import Announced, Late, Seen, ask_schema, look, open_to_look
from lockstep.coordinator.store.tables import SCHEMA
from lockstep.protocol.states import ReleaseState

LONGEST_DUE_S: Final = 60.0
"""How long a release may be due before it counts as stuck, as in `services/health.py`."""

LONGEST_SKEW_S: Final = 2.0
"""How far clocks may be apart: far less than the lease of the defaults, which workers measure with their own."""

LONGEST_BACKLOG_S: Final = 1800.0
"""How old an event may be that a receiver has not got: as the alarm of docs/metrics.md says."""

ALLOWANCE_S: Final = 300.0
"""How much longer than its time-out a release may be in a step: it is ended by a worker, which may be busy."""

_ALIKE: Final = 0.92
"""How alike a variable and a setting are when one is taken for the other misspelt; 1 is the same."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold.

    Attributes:
        name: what it is about.
        well: whether it holds.
        says: what was seen, as a sentence.
        remedy: what to do, as a sentence; empty where it holds.
    """

    name: str
    well: bool
    says: str
    remedy: str = ""


async def check_up(
    settings: Settings, coordinators: Sequence[str] = (), variables: Iterable[str] = ()
) -> AsyncGenerator[Finding]:
    """Look at everything, and yield what is found.

    Args:
        settings: those of the deployment.
        coordinators: addresses of coordinators to look at as well.
        variables: the names of the environment, in which a setting may be misspelt.
    """
    for finding in _misspelt(variables):
        yield finding
    async with aclosing(_of_database(settings)) as findings:
        async for finding in findings:
            yield finding
    yield await _queue(settings.redis_url)
    if settings.auth == "oidc":
        yield await _issuer(settings)
    for finding in await asyncio.gather(*map(_coordinator, coordinators)):
        yield finding


def _misspelt(variables: Iterable[str]) -> Iterator[Finding]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(set(variables) - known):
        if name.startswith(PREFIX) and (meant := get_close_matches(name, known, n=1, cutoff=_ALIKE)):
            says = f"{name} is no setting, and nobody reads it."
            yield Finding("setting", False, says, f"Name it {meant[0]} if that is what is meant, or take it away.")


async def _of_database(settings: Settings) -> AsyncGenerator[Finding]:
    shared = postgres_url(settings.database_url)
    shown = shared.set(drivername="postgresql").render_as_string() if shared else settings.database_url
    try:
        database = open_to_look(settings.database_url)
        try:
            async for finding in _looked_at(database, settings, shown, is_shared=shared is not None):
                yield finding
        finally:
            await database.close()
    except Unavailable as error:
        yield Finding("database", False, str(error), "Nothing else that is kept there can be seen until then.")


async def _looked_at(database: Database, settings: Settings, shown: str, *, is_shared: bool) -> AsyncGenerator[Finding]:
    began, before = datetime.now(UTC), time.perf_counter()
    schema, their_now = await database.read(ask_schema)
    took_s = time.perf_counter() - before
    yield Finding("database", True, f"{shown} answers ({1000 * took_s:.0f} ms).")
    yield _schema(schema)
    if is_shared:
        yield skew("clock", "the database's", their_now, began, began + timedelta(seconds=took_s))
    if schema != SCHEMA:
        return
    now = datetime.now(UTC)

    def work(connection: Connection) -> Seen:
        return look(connection, now, now - timedelta(seconds=LONGEST_DUE_S))

    seen = await database.read(work)
    yield _overdue(seen.overdue, now)
    yield _outstayed([late for late in seen.open if _has_outstayed(late, now, settings)], now)
    yield _announcements(seen.announced, now)
    for finding in await _services(seen.services, settings):
        yield finding


def _schema(schema: str | None) -> Finding:
    if schema == SCHEMA:
        return Finding("schema", True, f"The database has the schema of this version, {SCHEMA}.")
    if schema is not None and schema > SCHEMA:
        says = f"The database has schema {schema}, which is newer than that of this version, {SCHEMA}."
        return Finding("schema", False, says, "Run the version of Lockstep that the deployment runs.")
    says = f"The database has {f'schema {schema}' if schema else 'no schema yet'}, and this version needs {SCHEMA}."
    return Finding("schema", False, says, "Run `lockstep migrate`; coordinators of the version before go on working.")


def skew(name: str, whose: str, theirs: datetime, earliest: datetime, latest: datetime) -> Finding:
    """Compare a clock with this machine's, which showed two times around the moment when theirs was read."""
    skew_s = max((theirs - latest).total_seconds(), (earliest - theirs).total_seconds(), 0.0)
    if skew_s <= LONGEST_SKEW_S:
        return Finding(name, True, f"This machine's clock and {whose} agree to within {LONGEST_SKEW_S:g} s.")
    ahead = "behind" if theirs > latest else "ahead of"
    says = f"This machine's clock is {skew_s:.1f} s {ahead} {whose}."
    return Finding(name, False, says, "Have both kept by a time service (NTP); leases are measured by clocks.")


def _overdue(late: Sequence[Late], now: datetime) -> Finding:
    if not late:
        return Finding("work", True, "No release waits for a worker.")
    says = f"Releases are due and nobody is at work on them: {_named(late, now)}."
    return Finding("work", False, says, "See that a `lockstep worker` runs (or `serve`, without a queue), and its log.")


def _has_outstayed(late: Late, now: datetime, settings: Settings) -> bool:
    canceling = late.state is ReleaseState.CANCELING
    longest_s = settings.cancel_patience if canceling else settings.release_timeout
    return late.since < now - timedelta(seconds=longest_s + ALLOWANCE_S)


def _outstayed(late: Sequence[Late], now: datetime) -> Finding:
    if not late:
        return Finding("releases", True, "No release is in a step for longer than its time-out.")
    says = f"Releases are in a step for longer than its time-out: {_named(late, now)}."
    return Finding("releases", False, says, "Look at their events; cancel them if nothing moves.")


def _announcements(announced: Sequence[Announced], now: datetime) -> Finding:
    given_up = [each for each in announced if each.disabled_because]
    oldest = now - timedelta(seconds=LONGEST_BACKLOG_S)
    behind = [each for each in announced if not each.disabled_because and each.since and each.since < oldest]
    if not given_up and not behind:
        return Finding("announcements", True, "Every receiver of announcements has what it is owed.")
    parts = [f"{each.kf_id} ({each.target}) is switched off: {each.disabled_because}" for each in given_up]
    parts += [f"{each.kf_id} ({each.target}) waits for {each.behind} events" for each in behind]
    remedy = "See whether the receiver answers (`GET /webhooks/{id}/deliveries` tells), and enable it again."
    return Finding("announcements", False, f"{'; '.join(parts)}.", remedy)


async def _services(services: Sequence[tuple[str, str]], settings: Settings) -> list[Finding]:
    async with HttpProber(settings.request_timeout, AddressGuard(settings.private_urls_allowed)) as prober:
        failures = await asyncio.gather(*(_probed(prober, url) for _, url in services))
    down = [
        Finding(
            "task service",
            False,
            f"{name}: {failure}.",
            "Start it, or disable it until it is back; releases that hold it wait or fail.",
        )
        for (name, _), failure in zip(services, failures, strict=True)
        if failure
    ]
    return down or [Finding("task services", True, f"{len(services)} take part in releases, and all answer.")]


async def _probed(prober: HttpProber, url: str) -> str:
    try:
        await prober.probe(url)
    except Unavailable as error:
        return str(error)
    return ""


async def _queue(redis_url: str) -> Finding:
    if not redis_url:
        return Finding("queue", True, "None is set, so whoever takes a request rings its own worker.")
    from lockstep.coordinator.adapters.queue import ping  # noqa: PLC0415 - only where it is used

    try:
        await ping(redis_url)
    except Unavailable as error:
        remedy = f"Start it, or see {PREFIX}REDIS_URL. Releases go on without it, up to five seconds later each step."
        return Finding("queue", False, f"{error}.", remedy)
    return Finding("queue", True, "Redis answers.")


async def _issuer(settings: Settings) -> Finding:
    async with Issuer(settings.oidc_issuer, algorithm=settings.oidc_algorithm) as issuer:
        try:
            await issuer.endpoint("jwks_uri")
        except Unavailable as error:
            remedy = f"See {PREFIX}OIDC_ISSUER, and whether this machine reaches it; nobody can be recognized without."
            return Finding("issuer", False, str(error), remedy)
    return Finding("issuer", True, f"{settings.oidc_issuer} says where its keys are.")


async def _coordinator(url: str) -> Finding:
    try:
        async with httpx.AsyncClient(timeout=10) as web:
            began = datetime.now(UTC)
            answer = await web.get(f"{url}/status")
            ended = datetime.now(UTC)
        status = answer.json()
        name, message, _ = status["name"], status["message"], status["worker"]
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
        says = f"No coordinator answers at {url} ({type(error).__name__}: {error})."
        return Finding("coordinator", False, says, "Start it, or see its log.")
    if not answer.is_success:
        return Finding("coordinator", False, f"{name} at {url} is not well: {message}", "See to that first.")
    # The header has whole seconds, and the server makes it once a second.
    clock = skew("coordinator", f"that of {url}", theirs, began - timedelta(seconds=2), ended)
    return clock if not clock.well else Finding("coordinator", True, f"{url} is well, and its clock right.")


def _named(late: Sequence[Late], now: datetime) -> str:
    return ", ".join(f"{each.kf_id} ({each.state}, since {(now - each.since).total_seconds():.0f} s)" for each in late)
