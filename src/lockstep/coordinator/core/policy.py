"""How patient the coordinator is: every interval, limit and number of attempts that its decisions depend on."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The patience of a deployment. Times are in seconds.

    Attributes:
        poll_interval_s: between two `get_status` to a task that is at work.
        attempts: requests without an answer, in a row, after which a service counts as silent.
        retry_pause_s: the pause before the second attempt; each further one is twice as long.
        retry_pause_limit_s: the longest pause, however many attempts there were.
        task_timeout_s: how long a task that is waited for may show no sign of life.
        release_timeout_s: how long a release may stay in a step that needs no person.
        cancel_patience_s: how long a release waits in `canceling` for its services to answer.
        cancel_delivery_s: how long after the release's end a cancel that was not delivered is still tried.
        lease_s: how long a worker's claim on a release holds without being renewed.
    """

    poll_interval_s: float = 30
    attempts: int = 3
    retry_pause_s: float = 1
    retry_pause_limit_s: float = 300
    task_timeout_s: float = 160_000
    release_timeout_s: float = 360_000
    cancel_patience_s: float = 60
    cancel_delivery_s: float = 86_400
    lease_s: float = 15

    def pause(self, attempts: int, asked_for_s: float | None = None) -> timedelta:
        """Return the pause after so many attempts without an answer: what the service asked for, up to the limit."""
        grown = self.retry_pause_s * 2.0 ** min(attempts - 1, 60)
        return timedelta(seconds=min(max(grown, asked_for_s or 0), self.retry_pause_limit_s))

    @property
    def poll_interval(self) -> timedelta:
        """Return the interval between polls as a duration."""
        return timedelta(seconds=self.poll_interval_s)
