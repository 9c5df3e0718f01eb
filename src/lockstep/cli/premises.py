"""Where the demo takes place: its ports, and its folder.

The ports are those where everybody looks, a row of one's own, or any that are free. They are taken before anything
else is loaded, so that a demo that cannot be says so at once.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lockstep.cli.endings import Refused, WrongUse
from lockstep.cli.hosting import listen

HOST: Final = "127.0.0.1"
COORDINATOR: Final = "coordinator"

KNOWN: Final[Mapping[str, int]] = {
    COORDINATOR: 5000,
    "sample data service": 5100,
    "reference task": 8282,
    "release reports": 5020,
    "snapshot task": 8383,
}
"""Where each server of the demo is looked for."""

_HIGHEST: Final = 65_535


@dataclass(frozen=True, slots=True)
class Premises:
    """Where everything is.

    Attributes:
        coordinator_port: where the coordinator is to be, which takes its port itself; 0 for any.
        listeners: the ports of the others, taken, by their names in `KNOWN`.
        folder: for everything that is written.
    """

    coordinator_port: int
    listeners: Mapping[str, socket.socket]
    folder: Path


@contextmanager
def premises(*, base: int | None, any_ports: bool, folder: Path | None) -> Iterator[Premises]:
    """Have premises for as long as the context is open.

    Args:
        base: the first of as many ports in a row as there are servers; None for those that are known.
        any_ports: let the system choose.
        folder: an empty folder, or one to be made; None for one that is removed at the end.

    Raises:
        Ending: they cannot be had; the sentence says why.
    """
    ports = _choose_ports(base, any_ports)
    listeners = _take_ports(ports)
    with _folder(folder) as place:
        yield Premises(ports[COORDINATOR], listeners, place)


def _choose_ports(base: int | None, any_ports: bool) -> dict[str, int]:
    if base is not None and any_ports:
        raise WrongUse("--port-base and --any-ports exclude each other; give one of them.")
    if any_ports:
        return dict.fromkeys(KNOWN, 0)
    if base is None:
        return dict(KNOWN)
    if not 0 < base <= _HIGHEST + 1 - len(KNOWN):
        raise WrongUse(f"--port-base {base} leaves no room for {len(KNOWN)} ports; 6000 would.")
    return {name: base + number for number, name in enumerate(KNOWN)}


def _take_ports(ports: Mapping[str, int]) -> dict[str, socket.socket]:
    """Take all ports or none, and give that of the coordinator back, which takes its own."""
    taken: dict[str, socket.socket] = {}
    for name, port in ports.items():
        try:
            taken[name] = listen(HOST, port, remedy="let the demo take others with --any-ports or --port-base")
        except Refused as error:
            for listener in taken.values():
                listener.close()
            raise Refused(f"The {name} cannot start. {error}") from error
    taken.pop(COORDINATOR).close()
    return taken


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with TemporaryDirectory(prefix="lockstep-demo-") as made:
            yield Path(made)
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        is_empty = next(wanted.iterdir(), None) is None
    except OSError as error:
        raise Refused(f"The folder {wanted} cannot be used ({error.strerror}); name another one.") from error
    if not is_empty:
        raise Refused(f"The folder {wanted} is not empty; name an empty one, or one that does not exist yet.")
    yield wanted.resolve()
