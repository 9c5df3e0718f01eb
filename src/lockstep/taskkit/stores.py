"""Which store an address names: one setting chooses between a file, Postgres and DynamoDB.

    tasks.db                                              a file of SQLite; so does sqlite:///tasks.db
    postgresql://user@host/database?table=…               a table of Postgres
    dynamodb://table?region=…&endpoint=…                  a table of DynamoDB

The two that processes may share also take `lease_s`. What a store needs is imported when it is named.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from lockstep.taskkit.lease import DEFAULT_LEASE_S
from lockstep.taskkit.sqlite_store import SqliteStore
from lockstep.taskkit.store import TaskStore

SHORTEST_LEASE_S: Final = 1.0
_POSTGRES_OPTIONS: Final = ("table", "lease_s")
_DYNAMODB_OPTIONS: Final = ("region", "endpoint", "lease_s")


def store_at(address: str, *, service: str = "lockstep") -> TaskStore:
    """Return the store that an address names; nothing is opened yet.

    Args:
        address: a path, or an address that begins with `sqlite:///`, `postgresql://` or `dynamodb://`.
        service: the service's name, after which its table or file is called unless the address names one.

    Raises:
        ValueError: it is no such address, or a library that it needs is not installed.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        return SqliteStore(address)
    make = _MAKERS.get(scheme)
    if make is None:
        shown = ", ".join(f"{known}://…" for known in _MAKERS)
        raise ValueError(f"tasks cannot be kept at {scheme}://…; a path or {shown} would be right")
    try:
        return make(address, service)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(scheme, "")
        raise ValueError(f"{error.name} is not installed; pip install 'lockstep[{extra}]' brings it") from None


def table_name(service: str) -> str:
    """Return what the table or file of a service is called, such as `search_index_tasks`."""
    return f"{re.sub(r'[^a-z0-9]+', '_', service.lower()).strip('_') or 'lockstep'}_tasks"


def _sqlite(address: str, _service: str) -> TaskStore:
    path = unquote(urlsplit(address).path)[1:]
    if urlsplit(address).netloc or not path:
        raise ValueError(f"{address!r} names no file; sqlite:///tasks.db or sqlite:////var/lib/tasks.db would")
    return SqliteStore(path)


def _postgres(address: str, service: str) -> TaskStore:
    from lockstep.taskkit.postgres_store import PostgresStore  # noqa: PLC0415 - asyncpg comes with an extra

    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query))
    url = urlunsplit(parts._replace(query=urlencode({k: v for k, v in given.items() if k not in _POSTGRES_OPTIONS})))
    return PostgresStore(url, table=given.get("table") or table_name(service)[:63], lease_s=_lease_s(given))


def _dynamodb(address: str, service: str) -> TaskStore:
    from lockstep.taskkit.dynamodb_store import DynamoDbStore  # noqa: PLC0415 - boto3 comes with an extra

    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query))
    if unknown := sorted(given.keys() - set(_DYNAMODB_OPTIONS)):
        raise ValueError(f"dynamodb://… does not know {unknown[0]}; {', '.join(_DYNAMODB_OPTIONS)} would be right")
    return DynamoDbStore(
        unquote(parts.netloc) or table_name(service),
        endpoint_url=given.get("endpoint"),
        region=given.get("region"),
        lease_s=_lease_s(given),
    )


def _lease_s(given: Mapping[str, str]) -> float:
    text = given.get("lease_s", str(DEFAULT_LEASE_S))
    try:
        lease_s = float(text)
    except ValueError:
        lease_s = 0.0
    if not SHORTEST_LEASE_S <= lease_s <= 86_400:  # noqa: PLR2004 - a day
        raise ValueError(f"lease_s is {text[:20]!r}; a number of seconds from {SHORTEST_LEASE_S:g} up would be right")
    return lease_s


_MAKERS: Final[Mapping[str, Callable[[str, str], TaskStore]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "dynamodb": _dynamodb,
}
_EXTRAS: Final = {"postgresql": "postgres", "dynamodb": "aws"}
