"""A task as one text of JSON: how the stores of Postgres and DynamoDB keep it, beside the few fields that they compare.

A field that an earlier version did not write gets its default, and one that only a later version knows is passed over,
so that two versions of a service can share a table while one takes the other's place.
"""

import json
from dataclasses import asdict, fields
from typing import Final

from lockstep.protocol.states import TaskState
from lockstep.taskkit.store import StoredTask

_NAMES: Final = frozenset(field.name for field in fields(StoredTask))
_LISTS: Final = ("studies", "urls")


def to_document(task: StoredTask) -> str:
    """Return a task as text."""
    return json.dumps({name: value for name, value in asdict(task).items() if value is not None}, ensure_ascii=False)


def from_document(text: str) -> StoredTask:
    """Return the task that `to_document` made a text of."""
    known = {name: value for name, value in json.loads(text).items() if name in _NAMES}
    known["state"] = TaskState(known["state"])
    return StoredTask(**{**known, **{name: tuple(known.get(name, ())) for name in _LISTS}})
