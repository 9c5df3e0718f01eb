"""The folders of snapshots: one that the public cannot see, one that it can, and a move between them in one step.

    {root}/staging/{release}/{study}/dataservice/{entity}.json     while the release is prepared and reviewed
    {root}/public/{release}/{study}/dataservice/{entity}.json      once it is published

In each release's folder lies `snapshot.json`: whose task made it, whether it is complete, and how many records each
file holds. A folder never exists without it: it is made under another name and moved into place. So is everything
that is thrown away, moved out of the way first. Whatever moment the process is killed at, a snapshot is there or it
is not, and it belongs to one task.

Everything here may be done twice. Nothing here checks names: the task kit lets no id in that is not letters, digits,
`_` and `-`, so an id cannot lead out of its folder, and a name that begins with a dot is never one.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from lockstep.taskkit import StoreUnavailable

MANIFEST: Final = "snapshot.json"
_ONLY_OURS: Final = 0o700


class SnapshotError(Exception):
    """The snapshot cannot be made or published; the text says why."""


class SnapshotFolders:
    """The two folders below `root`, which are made when they are not there.

    Raises:
        ValueError: staging and public lie on different file systems, between which nothing moves in one step.
        StoreUnavailable: they cannot be made.
    """

    def __init__(self, root: str | Path) -> None:
        self.staging = Path(root) / "staging"
        self.public = Path(root) / "public"
        try:
            self.staging.mkdir(_ONLY_OURS, parents=True, exist_ok=True)
            self.public.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"the snapshots in {root} cannot be used: {error}") from error
        if self.staging.stat().st_dev != self.public.stat().st_dev:
            raise ValueError(
                f"{self.staging} and {self.public} must lie on one file system; a snapshot moves by rename"
            )

    def begin(self, release_id: str, task_id: str, studies: Iterable[str]) -> Path:
        """Make an empty folder for a snapshot, in the place of what an earlier attempt of the same task left.

        Raises:
            SnapshotError: the release is another task's, or public.
        """
        if (self.public / release_id).exists():
            raise SnapshotError(f"a snapshot of release {release_id} is public already")
        if (owner := _owner(self.staging / release_id)) not in {None, task_id}:
            raise SnapshotError(
                f"release {release_id} has a snapshot of task {owner} already; is this service registered twice?"
            )
        self.discard(release_id, task_id)
        new = self.staging / f".new-{task_id}"
        for study_id in studies:
            (new / study_id / "dataservice").mkdir(parents=True)
        new.mkdir(exist_ok=True)
        _write_manifest(new, {"release_id": release_id, "task_id": task_id, "complete": False})
        return new.rename(self.staging / release_id)

    def conclude(self, release_id: str, task_id: str, contents: Mapping[str, Any]) -> None:
        """Say that a snapshot is complete and what is in it."""
        manifest = {"release_id": release_id, "task_id": task_id, "complete": True, "studies": contents}
        _write_manifest(self.staging / release_id, manifest)

    def publish(self, release_id: str, task_id: str) -> None:
        """Make a complete snapshot public, in one step; if it is public already, nothing happens.

        Raises:
            SnapshotError: there is no complete snapshot of this task.
        """
        if _owner(self.public / release_id) == task_id:
            return
        manifest = _manifest(self.staging / release_id)
        if manifest.get("task_id") != task_id or manifest.get("complete") is not True:
            raise SnapshotError(f"there is no complete snapshot of release {release_id} that could be published")
        (self.staging / release_id).rename(self.public / release_id)

    def discard(self, release_id: str, task_id: str) -> None:
        """Throw a task's snapshot away, and what earlier attempts left; what is another task's stays."""
        rest = self.staging / f".discarded-{task_id}"
        for folder in (self.public / release_id, self.staging / release_id, self.staging / f".new-{task_id}"):
            shutil.rmtree(rest, ignore_errors=True)
            if folder.exists() and _owner(folder) in {None, task_id}:
                folder.rename(rest)
        shutil.rmtree(rest, ignore_errors=True)


class RecordFile:
    """Records as a JSON array, one to a line, written as they come. At the end they are on the disk."""

    def __init__(self, path: Path) -> None:
        self.records = 0
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        self._file.write("[")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._file.write("\n]\n" if self.records else "]\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one more record."""
        self._file.write(",\n" if self.records else "\n")
        self._file.write(json.dumps(record))
        self.records += 1


def _owner(folder: Path) -> str | None:
    owner = _manifest(folder).get("task_id")
    return owner if isinstance(owner, str) else None


def _manifest(folder: Path) -> Mapping[str, Any]:
    """Return what lies in a folder's manifest; nothing if there is none, or half of one."""
    try:
        manifest: object = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, Mapping) else {}


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    half = folder / f".{MANIFEST}"
    with half.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    half.replace(folder / MANIFEST)
