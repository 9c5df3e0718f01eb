"""What the coordinator asks of the world outside: the time, task services, the data service, another coordinator."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from lockstep.coordinator.core.history import Kind
from lockstep.coordinator.core.history import Piece as PieceOfHistory
from lockstep.coordinator.core.records import StudyFacts
from lockstep.protocol.messages import Reply, Request


def always() -> bool:
    """Tell that a request may leave, however late it is."""
    return True


class Clock(Protocol):
    """The time, which is an argument everywhere else."""

    def now(self) -> datetime:
        """Return the time, with its zone, in UTC."""
        ...


class TaskServices(Protocol):
    """The task services, as the engine speaks to them."""

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        """Send one request and return what came of it; whatever goes wrong on the way is a `Silence`.

        Args:
            service_url: the service's registered address; the request goes to its `/tasks`.
            request: what to say. Its task and action make the `Idempotency-Key`.
            trace_id: 32 hexadecimal digits, the release's trace, for `traceparent`.
            may_leave: asked as late as can be before anything of the request leaves; if it may not, nothing does.
        """
        ...


class Prober(Protocol):
    """Looks at a service's `/status`."""

    async def probe(self, url: str) -> None:
        """Check that `GET {url}/status` answers 200 with a name.

        Raises:
            Unavailable: it does not; the sentence says what was seen.
        """
        ...


class DataService(Protocol):
    """The data service, as far as the coordinator needs it."""

    async def studies(self) -> Sequence[StudyFacts]:
        """Return every study, of all pages.

        Raises:
            Unavailable: the data service did not give them.
        """
        ...

    def study_url(self, study_id: str) -> str:
        """Return the retrieval address of a study."""
        ...


class OtherCoordinator(Protocol):
    """Another coordinator, whose history is read."""

    def read(self, kind: Kind) -> AsyncIterator[PieceOfHistory]:
        """Yield all records of a kind, the oldest first and none twice; tasks and notes come with their releases.

        Raises:
            NoSource: it is no such coordinator, or does not let itself be read.
            SourceAway: it gave no usable answer; what was read before is then not all of it.
        """
        ...
