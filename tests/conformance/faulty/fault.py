"""A fault, and what is expected to be said about it."""

from collections.abc import Callable
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
        patience_s: how long work may take before it counts as stuck.
        answer_limit_s: how long an answer may take.
        at_once_s: how long an answer may take that comes at once.
    """

    origin: str
    service: type[PlainService]
    cases: frozenset[str]
    scenes: frozenset[str]
    patience_s: float = 5.0
    answer_limit_s: float = 5.0
    at_once_s: float = 3.0

    @property
    def name(self) -> str:
        return f"{self.origin}, {self.service.__name__}"


FAULTS: list[Fault] = []


def fault(origin: str, *cases: str, scenes: tuple[str, ...], **limits: float) -> Callable[[Service], Service]:
    """Say where a faulty service comes from and which cases it fails in which scenes."""

    def register(service: Service) -> Service:
        FAULTS.append(Fault(origin, service, frozenset(cases), frozenset(scenes), **limits))
        return service

    return register
