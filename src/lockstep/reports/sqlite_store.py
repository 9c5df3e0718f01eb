"""Reports in an SQLite file.

Every write is one transaction that takes the write lock at its beginning (`BEGIN IMMEDIATE`), looks at the mark, and
changes all rows or none. A commit is on the disk before it counts (WAL with `synchronous=FULL`).

One column per entity holds its number and is empty where the number is unknown; `unknown` says why, and `sources`
where each number came from, both as JSON. `published_at` is filled as long as a row is public: the index over it
answers at once what of a study is public, and the one over `created_at` gives a page of its history.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import Count, Known, Total, Unknown
from lockstep.reports.report import Heading, Mark, Publication, ReleaseSummary, Report, ReportState, StudySummary
from lockstep.reports.store import HistoryPage, Place
from lockstep.taskkit import StoreUnavailable

BUSY_TIMEOUT_S: Final = 5.0

_HEADING: Final = ("release_id", "task_id", "version", "state", "created_at", "published_at")
_NUMBERS: Final = tuple(f'"{entity}"' for entity in REPORTED)
_RELEASE_COLUMNS: Final = (*_HEADING, "studies", *_NUMBERS, "unknown")
_STUDY_COLUMNS: Final = (*_HEADING, "study_id", *_NUMBERS, "unknown", "sources")

_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS task (
  task_id TEXT PRIMARY KEY, release_id TEXT NOT NULL, created_at REAL NOT NULL, state TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS task_of_release ON task (release_id);
CREATE TABLE IF NOT EXISTS release_summary (
  release_id TEXT PRIMARY KEY, task_id TEXT NOT NULL, version TEXT, state TEXT NOT NULL, created_at TEXT NOT NULL,
  published_at TEXT, studies INTEGER NOT NULL, {" INTEGER, ".join(_NUMBERS)} INTEGER, unknown TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS study_summary (
  release_id TEXT NOT NULL, task_id TEXT NOT NULL, version TEXT, state TEXT NOT NULL, created_at TEXT NOT NULL,
  published_at TEXT, study_id TEXT NOT NULL, {" INTEGER, ".join(_NUMBERS)} INTEGER,
  unknown TEXT NOT NULL, sources TEXT NOT NULL,
  PRIMARY KEY (release_id, study_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS study_summary_by_time ON study_summary (study_id, created_at);
"""

_PUBLISHED: Final = """
CREATE INDEX IF NOT EXISTS study_summary_published ON study_summary (study_id, published_at)
WHERE published_at IS NOT NULL;
"""


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - our own names


def _select(table: str, columns: Sequence[str], condition: str) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} WHERE {condition}"  # noqa: S608 - our own names


_ADD_RELEASE: Final = _insert("release_summary", _RELEASE_COLUMNS)
_ADD_STUDY: Final = _insert("study_summary", _STUDY_COLUMNS)
_ADD_TASK: Final = _insert("task", ("task_id", "release_id", "created_at", "state"))
_MARK: Final = _select("release_summary", ("task_id", "state"), "release_id = ?")
_RELEASE: Final = _select("release_summary", _RELEASE_COLUMNS, "release_id = ?")
_STUDIES: Final = _select("study_summary", _STUDY_COLUMNS, "release_id = ? ORDER BY study_id")
_STUDY: Final = _select("study_summary", _STUDY_COLUMNS, "release_id = ? AND study_id = ?")
_HISTORY: Final = _select(
    "study_summary",
    _STUDY_COLUMNS,
    "study_id = ? AND (created_at, release_id) < (?, ?) ORDER BY created_at DESC, release_id DESC LIMIT ?",
)
_LAST_PUBLISHED: Final = _select(
    "study_summary", _STUDY_COLUMNS, "study_id = ? AND published_at < ? ORDER BY published_at DESC LIMIT 1"
)
_BEHIND_ALL: Final = "~"
"""Stands behind every time that is written in digits."""


class SqliteReports:
    """Reports in the file `path`, which is made, with its folders, when there is none.

    Raises:
        StoreUnavailable: the file cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._use = Lock()
        with self._border():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._make_tables()

    def close(self) -> None:
        """Give the file back."""
        with self._use:
            self._connection.close()

    def mark(self, release_id: str) -> Mark | None:
        """Return the mark of a release's report, None when there is no report."""
        with self._border(), self._use:
            return self._mark(release_id)

    def write(self, report: Report, seen: Mark | None) -> bool:
        """Put a report in the place of the one that bears the mark `seen`; False, and no change, if none does."""
        heading = report.summary.heading
        with self._changing(heading.release_id, seen) as is_seen:
            if is_seen:
                row = (heading.task_id, heading.release_id, heading.created_at.timestamp(), heading.state)
                self._connection.execute(_ADD_TASK, row)
                self._connection.execute("DELETE FROM study_summary WHERE release_id = ?", (heading.release_id,))
                self._connection.execute(_ADD_RELEASE, _release_to_row(report.summary))
                self._connection.executemany(_ADD_STUDY, map(_study_to_row, report.studies))
            return is_seen

    def move(self, release_id: str, seen: Mark, state: ReportState, publication: Publication | None = None) -> bool:
        """Change the state of all rows of a report; False as in `write`."""
        version, at = (publication.version, _time(publication.at)) if publication else (None, None)
        with self._changing(release_id, seen) as is_seen:
            if is_seen:
                self._connection.execute("UPDATE task SET state = ? WHERE task_id = ?", (state, seen.task_id))
                for table in ("release_summary", "study_summary"):
                    change = "SET state = ?, version = coalesce(?, version), published_at = ? WHERE release_id = ?"
                    self._connection.execute(f"UPDATE {table} {change}", (state, version, at, release_id))
            return is_seen

    def report(self, release_id: str) -> Report | None:
        """Return the report of a release."""
        with self._border(), self._use:
            row = self._connection.execute(_RELEASE, (release_id,)).fetchone()
            studies = self._connection.execute(_STUDIES, (release_id,)).fetchall()
        return None if row is None else Report(_release_from_row(row), tuple(map(_study_from_row, studies)))

    def study(self, release_id: str, study_id: str) -> StudySummary | None:
        """Return the row of one study in one release."""
        with self._border(), self._use:
            row = self._connection.execute(_STUDY, (release_id, study_id)).fetchone()
        return None if row is None else _study_from_row(row)

    def history(self, study_id: str, limit: int, after: Place | None = None) -> HistoryPage:
        """Return up to `limit` rows of one study, from behind a place on if one is given."""
        behind = (_time(after.created_at), after.release_id) if after else (_BEHIND_ALL, "")
        with self._border(), self._use:
            found = self._connection.execute(_HISTORY, (study_id, *behind, limit + 1)).fetchall()
        rows = [_study_from_row(row) for row in found[:limit]]
        last = rows[-1].heading if len(found) > limit else None
        return HistoryPage(rows, Place(last.created_at, last.release_id) if last else None)

    def last_published(self, study_ids: Collection[str], before: datetime | None = None) -> Mapping[str, StudySummary]:
        """Return what was published last of each study, before a time if one is given."""
        until = _time(before) if before else _BEHIND_ALL
        with self._border(), self._use:
            rows = [self._connection.execute(_LAST_PUBLISHED, (study_id, until)).fetchone() for study_id in study_ids]
        found = [_study_from_row(row) for row in rows if row is not None]
        return {summary.study_id: summary for summary in found}

    def _make_tables(self) -> None:
        """Make the tables, and give those of an earlier version the column that they lack."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            for table in ("release_summary", "study_summary"):
                columns = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
                if "published_at" not in columns:
                    self._connection.execute(f"ALTER TABLE {table} ADD COLUMN published_at TEXT")
                    self._connection.execute(
                        f"UPDATE {table} SET published_at = created_at WHERE state = 'published'"  # noqa: S608 - our own names
                    )
            self._connection.execute(_PUBLISHED)

    @contextmanager
    def _changing(self, release_id: str, seen: Mark | None) -> Iterator[bool]:
        """Open a writing transaction and tell whether the report still bears the mark that was seen."""
        with self._border(), self._use, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._mark(release_id) == seen

    def _mark(self, release_id: str) -> Mark | None:
        row = self._connection.execute(_MARK, (release_id,)).fetchone()
        return None if row is None else Mark(row[0], ReportState(row[1]))

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the reports in {self.path} cannot be used: {error}") from error


def _heading_to_row(heading: Heading) -> tuple[Any, ...]:
    published_at = _time(heading.published_at) if heading.published_at else None
    created_at = _time(heading.created_at)
    return (heading.release_id, heading.task_id, heading.version, heading.state, created_at, published_at)


def _time(moment: datetime) -> str:
    """Return a time so that the order of texts is the order of times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _heading_from_row(row: Mapping[str, Any]) -> Heading:
    return Heading(
        release_id=row["release_id"],
        task_id=row["task_id"],
        version=row["version"],
        state=ReportState(row["state"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        published_at=datetime.fromisoformat(row["published_at"]) if row["published_at"] else None,
    )


def _release_to_row(summary: ReleaseSummary) -> tuple[Any, ...]:
    numbers = (summary.totals[entity].number for entity in REPORTED)
    gaps = {entity: total.gap for entity, total in summary.totals.items() if total.gap is not None}
    return (*_heading_to_row(summary.heading), summary.studies, *numbers, json.dumps(gaps))


def _release_from_row(values: Sequence[Any]) -> ReleaseSummary:
    row = dict(zip((*_HEADING, "studies", *REPORTED, "unknown"), values, strict=True))
    gaps = json.loads(row["unknown"])
    totals = {entity: Total(row[entity], gaps.get(entity)) for entity in REPORTED}
    return ReleaseSummary(_heading_from_row(row), row["studies"], totals)


def _study_to_row(summary: StudySummary) -> tuple[Any, ...]:
    known = {entity: count for entity, count in summary.counts.items() if isinstance(count, Known)}
    unknown = {
        entity: {"reason": count.reason, "withheld": count.withheld}
        for entity, count in summary.counts.items()
        if isinstance(count, Unknown)
    }
    sources = {entity: count.source for entity, count in summary.counts.items()}
    numbers = (known[entity].number if entity in known else None for entity in REPORTED)
    return (*_heading_to_row(summary.heading), summary.study_id, *numbers, json.dumps(unknown), json.dumps(sources))


def _study_from_row(values: Sequence[Any]) -> StudySummary:
    row = dict(zip((*_HEADING, "study_id", *REPORTED, "unknown", "sources"), values, strict=True))
    unknown, sources = json.loads(row["unknown"]), json.loads(row["sources"])
    counts: dict[str, Count] = {
        entity: Unknown(source=source, **unknown[entity]) if entity in unknown else Known(row[entity], source)
        for entity, source in sources.items()
    }
    return StudySummary(_heading_from_row(row), row["study_id"], counts)
