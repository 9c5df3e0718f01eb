"""The page about identity: its tables are those of the code."""

from pathlib import Path
from typing import Final

from lockstep.coordinator.services.access import TABLE, Standing
from lockstep.coordinator.settings import PREFIX, Settings

PAGE: Final = Path(__file__).parents[2] / "docs" / "identity.md"
SETTINGS: Final = (
    "auth",
    "insecure",
    *(name for name in Settings.model_fields if name.startswith("oidc_")),
    "admin_clients",
    "open_reads",
    "open_reports",
    "secret",
    "allow_private_urls",
    "cors_origins",
)


def roles() -> list[str]:
    head = [f"| | {' | '.join(Standing)} |", f"|---{'|---' * len(Standing)}|"]
    return head + [f"| {act} | {' | '.join(row.allowed)} |" for act, row in TABLE.items()]


def settings() -> list[str]:
    head = ["| Setting | What it is for, and its default |", "|---|---|"]
    fields = Settings.model_fields
    return head + [f"| `{PREFIX}{name.upper()}` | {fields[name].description} |" for name in SETTINGS]


def test_the_table_of_roles_is_the_one_that_is_asked() -> None:
    assert "\n".join(roles()) in PAGE.read_text()


def test_the_settings_are_told_as_they_are() -> None:
    assert "\n".join(settings()) in PAGE.read_text()
