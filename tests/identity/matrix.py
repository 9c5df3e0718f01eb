"""What the permission matrix is made of: the callers, what they ask things of, and what they should be answered.

Every operation of the REST face has a row; a row has a field for each caller, and a field says what comes of asking
it of a published release (and what belongs to it), of an unpublished one of the caller's own, and of an unpublished
one of somebody else: `+` it is done (or refused for another reason than who asks), `-` it is forbidden (403), `0`
there is no such thing (404). Rows were written by hand from what was promised, not from the table in `access.py`.

The published and the own release have a service in common, and all targets one webhook: deleted once, it is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CALLERS: Final = (
    "admin",
    "dev",
    "user",
    "outsider",
    "admin client",
    "service",
    "other service",
    "task",
    "other task",
    "anonymous",
)
"""
user: is of the group of the own release's study. outsider: is of none.
service: the machine of the service whose tasks the published and the own release have; other service: of the foreign.
task: with the callback token of the own release's task; other task: of the foreign one's.
"""

TARGETS: Final = ("published", "own", "foreign")

#                       admin  dev  user  out-  admin service other task other anonymous
#                                         sider client      service      task
PUBLIC: Final = "+++ +++ +++ +++ +++ +++ +++ +++ +++ +++"
WORKERS: Final = "+++ +++ --- --- +++ --- --- --- --- ---"
"""Those who run the place."""

ADMINS: Final = "+++ --- --- --- +++ --- --- --- --- ---"
SEEN: Final = "+++ +++ ++0 +00 +++ +00 +00 +00 +00 +00"
"""What hangs on a release that is seen."""

IN_FLIGHT: Final = "+++ +++ ++0 +00 +++ +++ +++ ++0 +0+ +00"
"""The release itself, of which machines and tasks see a little while it is in flight."""

OWN_TASK: Final = "+++ +++ ++0 +00 +++ +00 +00 ++0 +0+ +00"
REPORTED: Final = "+++ +++ --- --- +++ ++- --+ -+- --+ ---"

MATRIX: Final[Mapping[str, str]] = {
    "show_current_release": PUBLIC,
    "show_release_at": PUBLIC,
    "show_feed": PUBLIC,
    "show_current_release_of_study": "+00 +00 +00 +00 +00 +00 +00 +00 +00 +00",
    "list_collections": PUBLIC,
    "show_status": PUBLIC,
    "show_life": PUBLIC,
    "show_readiness": PUBLIC,
    "list_releases": PUBLIC,
    "create_release": "+++ +++ -+- --- +++ --- --- --- --- ---",
    "start_release_checks": WORKERS,
    "show_release": IN_FLIGHT,
    "show_decision": "+++ +++ ++0 +00 +++ +++ +++ ++0 +0+ ---",
    "edit_release": WORKERS,
    "replace_release": WORKERS,
    "cancel_release": WORKERS,
    "publish_release": ADMINS,
    "stream_release": SEEN,
    "list_tasks": PUBLIC,
    "add_task": WORKERS,
    "start_task_checks": WORKERS,
    "show_task": OWN_TASK,
    "report_task": REPORTED,
    "replace_task": REPORTED,
    "show_release_task": OWN_TASK,
    "report_release_task": REPORTED,
    "list_task_services": WORKERS,
    "register_task_service": WORKERS,
    "check_task_services": WORKERS,
    "show_task_service": WORKERS,
    "replace_task_service": WORKERS,
    "edit_task_service": WORKERS,
    "delete_task_service": "+0+ +0+ --- --- +0+ --- --- --- --- ---",
    "list_release_notes": PUBLIC,
    "create_release_note": WORKERS,
    "show_release_note": SEEN,
    "replace_release_note": WORKERS,
    "edit_release_note": WORKERS,
    "remove_release_note": WORKERS,
    "list_studies": PUBLIC,
    "sync_studies": WORKERS,
    "show_study": PUBLIC,
    "list_releases_of_study": PUBLIC,
    "show_release_of_study": SEEN,
    "list_events": PUBLIC,
    "add_event": REPORTED,
    "show_event": SEEN,
    "list_webhooks": WORKERS,
    "register_webhook": WORKERS,
    "show_webhook": WORKERS,
    "edit_webhook": WORKERS,
    "delete_webhook": "+00 +00 --- --- +00 --- --- --- --- ---",
    "rotate_webhook_secret": WORKERS,
    "list_deliveries": WORKERS,
    "redeliver_event": WORKERS,
    "list_older_task_services": WORKERS,
    "show_older_task_service": WORKERS,
}

ELSEWHERE: Final = {
    "show_metrics": "counts only, and asked of by its own token: tests/robustness",
}
"""Operations that are tried elsewhere."""


@dataclass(frozen=True)
class Target:
    """What something is asked of: a release, and what belongs to it."""

    release_id: str
    study_id: str
    task_id: str
    service_id: str
    note_id: str
    event_id: str
    webhook_id: str

    def path(self, template: str) -> str:
        ids = {name: getattr(self, name) for name in Target.__dataclass_fields__}
        path = template.format(**ids)
        return f"{path}?time=2100-01-01T00:00:00Z" if path == "/releases/at" else path

    def body(self, operation: str) -> dict[str, Any] | None:
        release, study = f"/releases/{self.release_id}", f"/studies/{self.study_id}"
        service = {"name": "x", "url": "http://127.0.0.1:9"}
        bodies: dict[str, dict[str, Any]] = {
            "create_release": {"name": "x", "studies": [self.study_id]},
            "edit_release": {"description": "x"},
            "replace_release": {"name": "x", "studies": [self.study_id]},
            "add_task": {"release": release, "task_service": f"/task-services/{self.service_id}"},
            "report_task": {"progress": 50},
            "replace_task": {"state": "staged", "progress": 50},
            "report_release_task": {"progress": 50},
            "register_task_service": service,
            "replace_task_service": service,
            "edit_task_service": {"description": "x"},
            "create_release_note": {"description": "x", "release": release, "study": study},
            "replace_release_note": {"description": "x"},
            "edit_release_note": {"description": "x"},
            "add_event": {"message": "x", "release": release, "task": f"/tasks/{self.task_id}"},
            "register_webhook": {"url": "http://127.0.0.1:9"},
            "edit_webhook": {"description": "x"},
        }
        return bodies.get(operation)


def rows() -> dict[str, dict[str, str]]:
    """Return the matrix by operation and caller."""
    return {name: dict(zip(CALLERS, row.split(), strict=True)) for name, row in MATRIX.items()}
