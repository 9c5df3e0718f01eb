"""How often a source of data is asked again when it gave no usable answer, and after which pauses.

A client asks once. Whoever has a release to bring home asks again: the reports for a count, the snapshot for a list.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

T = TypeVar("T")


class Unanswered(Exception):
    """A source did not give what was asked of it.

    Attributes:
        fault: what went wrong, without any address, so that it can be shown in public.
        transient: whether asking again may help.
    """

    transient = True

    def __init__(self, sentence: str, fault: str) -> None:
        super().__init__(sentence)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Patience:
    """Ask `attempts` times in all; the first pause is `pause_s` seconds, and each further one twice as long."""

    attempts: int = 3
    pause_s: float = 0.5

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.pause_s < 0:
            raise ValueError(f"{self} would never ask; it takes at least one attempt and a pause from 0 s up")

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what is asked for, as soon as it comes.

        Raises:
            Unanswered: the last attempt failed, or one failed in a way that another would not mend.
        """
        for attempt in count(1):
            try:
                return await ask()
            except Unanswered as error:
                if attempt >= self.attempts or not error.transient:
                    raise
            await asyncio.sleep(self.pause_s * 2 ** (attempt - 1))
        raise AssertionError
