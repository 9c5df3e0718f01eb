"""The numbers of releases: semantic, unique, and rising in the order of publishing.

A release takes a number when it is created and another when it is published. Every number ever given stands in one
ledger, which no failure takes back (`docs/rules.md`, "Versions").
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A semantic version, compared number by number."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the version that a text such as `1.2.3` names.

        Raises:
            ValueError: the text is no such version.
        """
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):  # noqa: PLR2004
            raise ValueError(f"{text!r} is not a version; 1.2.3 would be")
        return cls(*(int(part) for part in parts))


FIRST = Version(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What has been given so far: the highest version of all, and the highest that any publishing took."""

    given: Version | None = None
    published: Version | None = None


def candidate_version(highest_given: Version | None) -> Version:
    """Return the number of a new release: the next patch after the highest ever given."""
    if highest_given is None:
        return FIRST
    return Version(highest_given.major, highest_given.minor, highest_given.patch + 1)


def final_version(highest_published: Version | None, *, is_major: bool) -> Version:
    """Return the number under which a release becomes public.

    Args:
        highest_published: the highest that any publishing ever took, whether it succeeded or not.
        is_major: the release changes the shape of the data: the next major, not the next minor.
    """
    base = highest_published or FIRST
    if is_major:
        return Version(base.major + 1, 0, 0)
    return Version(base.major, base.minor + 1, 0)
