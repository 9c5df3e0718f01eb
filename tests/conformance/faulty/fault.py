"""A fault, and what is expected to be said about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tests.conformance.faulty.plain import PlainService

Service = TypeVar("Service", bound=type[PlainService])


@dataclass(frozen=True)
class Fault:
    """One faulty service.

    Attributes:
        origin: where the fault was seen: a service of the field, or any.
        service: the service that has it.
        cases: the cases that must fail, and no others.
        scenes: the scenes that are played; all if empty.
        limits: options of the check, in seconds, where the fault is that something takes too long or goes on. They
            leave room for what the service does well, on a machine that is busy with other tests.
    """

    origin: str
    service: type[PlainService]
    cases: frozenset[str]
    scenes: frozenset[str]
    limits: Mapping[str, float]

    @property
    def name(self) -> str:
        return f"{self.origin}, {self.service.__name__}"


FAULTS: list[Fault] = []


def fault(origin: str, *cases: str, scenes: tuple[str, ...], **limits: float) -> Callable[[Service], Service]:
    """Say where a faulty service comes from and which cases it fails in which scenes."""

    def register(service: Service) -> Service:
        FAULTS.append(Fault(origin, service, frozenset(cases), frozenset(scenes), limits))
        return service

    return register
