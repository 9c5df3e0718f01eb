"""The clock of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """The time as the machine has it."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)
