"""The registry of task services as a file: what would have to change so that it is as the file says, and the change.

A service is known by its name. What the file does not say about a service stays as it is, and a service that is not
in the file stays too, unless pruning is asked for. The plan is made from what is stored and what is written alone, so
that it can be shown before anything happens; when nothing differs, it is empty.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockstep.cli.documents import Fields, checked, read_document
from lockstep.cli.endings import Ending, Refused, WrongUse

if TYPE_CHECKING:
    from lockstep.cli.client import Api

Json = dict[str, Any]

_FIELDS: Final[Fields] = {"name": str, "url": str, "description": str, "enabled": bool, "client_id": str}


class Deed(StrEnum):
    """What is done with a service."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One service, and what is done with it.

    Attributes:
        deed: what.
        name: of the service.
        kf_id: its id; empty as long as it has none.
        fields: what is sent.
        before: what those fields were, or where a service was that goes.
    """

    deed: Deed
    name: str
    kf_id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """The fields, and what they were."""
        if self.deed is Deed.CHANGE:
            changes = ((name, self.before[name], new) for name, new in self.fields.items())
            return ", ".join(f"{name}: {_shown(old)} → {_shown(new)}" for name, old, new in changes)
        said = self.fields if self.deed is Deed.ADD else self.before
        return ", ".join(f"{name}: {_shown(value)}" for name, value in said.items() if name != "name")

    @property
    def document(self) -> Json:
        """All of it, for programs."""
        said = {"deed": self.deed.value, "name": self.name, "kf_id": self.kf_id or None}
        return {**said, "fields": dict(self.fields), "before": dict(self.before)}


def read_services(path: Path) -> list[Json]:
    """Return the services that a file wants.

    Raises:
        WrongUse: it cannot be read, or says something that cannot be meant.
    """
    document = checked(read_document(path), {"services": list}, str(path), ["services"])
    services = [
        checked(given, _FIELDS, f"{path}: service {number}", ["name", "url"])
        for number, given in enumerate(document["services"], 1)
    ]
    services = [_as_kept(service) for service in services]
    if twice := [name for name, times in Counter(service["name"] for service in services).items() if times > 1]:
        raise WrongUse(f"{path}: services are known by their names, and there are two of {', '.join(twice)}.")
    return services


def plan(wanted: Iterable[Json], stored: Iterable[Json], *, prune: bool) -> list[Step]:
    """Return what would have to be done, in the order in which it is done.

    Raises:
        Refused: two stored services share a name that the file has, so that nobody knows which one is meant.
    """
    by_name: dict[str, list[Json]] = {}
    for service in stored:
        by_name.setdefault(service["name"], []).append(service)
    steps: list[Step] = []
    for service in wanted:
        known = by_name.pop(service["name"], [])
        if len(known) > 1:
            ids = " and ".join(sorted(one["kf_id"] for one in known))
            raise Refused(f"There are several services of the name {service['name']!r} ({ids}); rename all but one.")
        steps += _step(service, known)
    if prune:
        gone = [service for services in by_name.values() for service in services]
        steps += [
            Step(Deed.REMOVE, service["name"], service["kf_id"], before={"url": service["url"]}) for service in gone
        ]
    return steps


async def apply(coordinator: "Api", steps: Sequence[Step]) -> None:
    """Do what was planned.

    Raises:
        Ending: a step was refused; the sentence says which, and how many were done before it.
    """
    for done, step in enumerate(steps):
        try:
            await _do(coordinator, step)
        except Ending as error:
            before = f"{done} of {len(steps)} steps were done" if done else "Nothing was done"
            raise type(error)(f"{before}; this was not: {step.deed} {step.name!r}. {error}") from error


async def _do(coordinator: "Api", step: Step) -> None:
    path, what = f"task-services/{step.kf_id}", f"task service {step.kf_id}"
    match step.deed:
        case Deed.ADD:
            await coordinator.post("task-services", step.fields)
        case Deed.CHANGE:
            await coordinator.patch(path, step.fields, what=what)
        case Deed.REMOVE:
            await coordinator.delete(path, what=what)


def _step(service: Json, known: Sequence[Json]) -> list[Step]:
    if not known:
        return [Step(Deed.ADD, service["name"], fields=service)]
    [one] = known
    changes = {name: value for name, value in service.items() if one.get(name) != value}
    if not changes:
        return []
    return [Step(Deed.CHANGE, one["name"], one["kf_id"], changes, {name: one.get(name) for name in changes})]


def _as_kept(service: Json) -> Json:
    """Return a service as the coordinator keeps it, so that the same file makes no change twice."""
    kept = {name: value.strip() if isinstance(value, str) else value for name, value in service.items()}
    url = kept["url"]
    return {**kept, "url": (url if "://" in url else f"http://{url}").rstrip("/")}


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value or "-")
