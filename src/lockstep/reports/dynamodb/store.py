"""Reports in DynamoDB, and how a change of thousands of items is made to look like one.

DynamoDB changes a hundred items at once at most, so a change of a report is made in three steps:

1. *Claim.* The item of the release gets a new revision, on the condition that it still has the one that was read. Of
   two who claim, the later one wins; nothing that is shown has changed yet.
2. *Items of the studies.* Each is written on the condition that it does not belong to a later revision, so that
   somebody who was overtaken, a killed process's last requests among them, can spoil nothing and learns of it.
3. *Turn.* The item of the release takes its new state, version and draft, and a further revision, together with the
   item of the task in one transaction, on the condition that the claim still holds. This one write is the change: what
   is shown of a report is taken from the item of the release, whatever the items of the studies say.

So publishing sets state and version on every item before the release says `published`. Killed at any moment, the old
report stands, and whoever makes the change again begins with a claim. A report that begins to be made has no counts to
show, and is turned first: then it is there at once, and its item names its studies as long as theirs may be missing.

Each item is a write of its own: batches know no conditions, a transaction costs twice as much, and a thousand writes
per second are all that one partition takes anyway.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from lockstep.reports.dynamodb.calls import BATCH_GET_LIMIT, Calls, WrongState, in_parallel
from lockstep.reports.dynamodb.items import ReportItems, can_be_key
from lockstep.reports.dynamodb.rows import (
    Item,
    heading_of,
    mark_of,
    moment,
    new_revision,
    release_item,
    release_summary,
    study_item,
    study_summary,
    time_text,
)
from lockstep.reports.dynamodb.tables import Tables
from lockstep.reports.report import Mark, Publication, Report, ReportState, StudySummary
from lockstep.reports.store import HistoryPage, Place
from lockstep.taskkit import StoreUnavailable

_READS: Final = 5
_PAIRS: Final = BATCH_GET_LIMIT // 2
_BEHIND_ALL: Final = "~"
"""Stands behind every time that is written in digits."""


class DynamoReports:
    """Reports in three tables, which `create_tables` has made.

    Args:
        calls: what asks DynamoDB.
        tables: the names of the tables.
    """

    def __init__(self, calls: Calls, tables: Tables | None = None) -> None:
        self._items = ReportItems(calls, tables or Tables())

    def mark(self, release_id: str) -> Mark | None:
        """Return the mark of a release's report, None when there is no report."""
        return mark_of(self._items.release(release_id))

    def write(self, report: Report, seen: Mark | None) -> bool:
        """Put a report in the place of the one that bears the mark `seen`; False, and no change, if none does."""
        release_id, is_begun = report.summary.heading.release_id, report.summary.heading.state is ReportState.RUNNING
        study_ids = " ".join(row.study_id for row in report.studies) if is_begun else None
        claimed = self._claim(release_id, seen)
        if claimed is None:
            return False
        revision = claimed["revision"]
        release = release_item(report.summary, revision, study_ids)
        try:
            if is_begun:
                self._turn(release)
            in_parallel(self._items.put_study, [study_item(row, revision) for row in report.studies])
            if seen is not None:
                self._remove_overtaken(release_id, revision)
            if not is_begun:
                self._turn(release)
        except WrongState:
            return False
        return True

    def move(self, release_id: str, seen: Mark, state: ReportState, publication: Publication | None = None) -> bool:
        """Change the state of all rows of a report; False as in `write`."""
        claimed = self._claim(release_id, seen)
        if claimed is None:
            return False
        changes = {
            "state": state.value,
            "version": publication.version if publication else claimed.get("version"),
            "published_at": time_text(publication.at) if publication else None,
            "revision": claimed["revision"],
        }
        study_ids = [key["study_id"] for key in self._items.study_keys(release_id)]
        try:
            in_parallel(lambda study_id: self._items.change_study(release_id, study_id, changes), study_ids)
            self._turn({**claimed, **changes})
        except WrongState:
            return False
        return True

    def report(self, release_id: str) -> Report | None:
        """Return the report of a release.

        Raises:
            StoreUnavailable: it was being changed each time that it was read.
        """
        for _ in range(_READS):
            release = self._items.release(release_id)
            if release is None or mark_of(release) is None:
                return None
            items = {item["study_id"]: item for item in self._items.studies(release_id)}
            if _turn_of(self._items.release(release_id)) != _turn_of(release):
                continue
            study_ids = sorted(release["study_ids"].split() if "study_ids" in release else items)
            rows = [_row(release, study_id, items.get(study_id)) for study_id in study_ids]
            studies = tuple(row for row in rows if row is not None)
            if len(studies) == release["studies"]:
                return Report(release_summary(release), studies)
        raise StoreUnavailable(f"the report of release {release_id} is being changed; ask again in a moment")

    def study(self, release_id: str, study_id: str) -> StudySummary | None:
        """Return the row of one study in one release."""
        return next(iter(self._rows([(release_id, study_id)])), None)

    def history(self, study_id: str, limit: int, after: Place | None = None) -> HistoryPage:
        """Return up to `limit` rows of one study, from behind a place on if one is given."""
        if not can_be_key(study_id) or (after and not can_be_key(after.release_id)):
            return HistoryPage((), None)
        start = None
        if after is not None:
            created_at = time_text(after.created_at)
            start = {"study_id": study_id, "created_at": created_at, "release_id": after.release_id}
        keys, last = self._items.by_time(study_id, limit, start)
        rows = self._rows([(key["release_id"], study_id) for key in keys])
        return HistoryPage(rows, Place(moment(last["created_at"]), last["release_id"]) if last else None)

    def last_published(self, study_ids: Collection[str], before: datetime | None = None) -> Mapping[str, StudySummary]:
        """Return what was published last of each study, before a time if one is given.

        An index finds it. It may show what is being published just now, or is public no longer: what the item of the
        release does not confirm is passed over, and the search goes on behind it.
        """
        found: dict[str, StudySummary] = {}
        until = dict.fromkeys(study_ids, time_text(before) if before else _BEHIND_ALL)
        while until:
            keys: dict[str, Item] = {}
            in_parallel(partial(self._find_public, keys), list(until.items()))
            rows = self._rows([(key["release_id"], study_id) for study_id, key in keys.items()])
            found |= {row.study_id: row for row in rows if row.heading.state is ReportState.PUBLISHED}
            until = {study_id: key["published_at"] for study_id, key in keys.items() if study_id not in found}
        return found

    def _find_public(self, keys: dict[str, Item], wanted: tuple[str, str]) -> None:
        study_id, before = wanted
        key = self._items.newest_public(study_id, before)
        if key is not None:
            keys[study_id] = key

    def _claim(self, release_id: str, seen: Mark | None) -> dict[str, Any] | None:
        """Take the right to change a report that bears a mark, and return its item with the new revision."""
        revision = ""
        while True:
            item = self._items.release(release_id)
            if mark_of(item) != seen:
                return None
            if item is not None and item.get("revision") == revision:
                return item
            revision = new_revision(item)
            try:
                self._items.claim(release_id, item.get("revision") if item else None, revision)
            except WrongState:
                continue
            return {**(item or {}), "revision": revision}

    def _turn(self, release: Item) -> None:
        """Make the change of a report that was claimed.

        The item gets a further revision with it: whoever has read it before can no longer claim it.

        Raises:
            WrongState: somebody else has claimed it since.
        """
        turn = new_revision(release)
        try:
            self._items.turn({**release, "revision": turn, "turn": turn}, claimed=release["revision"])
        except WrongState:
            if _turn_of(self._items.release(release["release_id"])) != turn:
                raise

    def _remove_overtaken(self, release_id: str, revision: str) -> None:
        """Remove the items of studies that are no longer part of a release."""
        keys = self._items.study_keys(release_id)
        gone = [key["study_id"] for key in keys if key.get("revision", "") < revision]
        in_parallel(lambda study_id: self._items.remove_study(release_id, study_id, revision), gone)

    def _rows(self, keys: Sequence[tuple[str, str]]) -> list[StudySummary]:
        """Return rows by release and study, in the order of the keys; those that are not to be shown are left out."""
        rows: list[StudySummary] = []
        for start in range(0, len(keys), _PAIRS):
            pairs = keys[start : start + _PAIRS]
            found = self._items.found(pairs)
            shown = [_row(found.releases.get(pair[0]), pair[1], found.studies.get(pair)) for pair in pairs]
            rows += [row for row in shown if row is not None]
        return rows


def _turn_of(release: Item | None) -> str:
    """Return which change made a release what it is; a claim is none."""
    return str(release.get("turn", "")) if release else ""


def _row(release: Item | None, study_id: str, item: Item | None) -> StudySummary | None:
    """Return the row of a study under the heading of its release; None when it is not part of it."""
    if release is None or mark_of(release) is None:
        return None
    if item is not None and item.get("draft") == release.get("draft"):
        return study_summary(heading_of(release), study_id, item)
    is_part = study_id in release.get("study_ids", "").split()
    return study_summary(heading_of(release), study_id, None) if is_part else None
