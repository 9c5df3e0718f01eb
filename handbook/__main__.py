"""`python -m handbook`: writes the pages that are made from the code."""

from pathlib import Path
from typing import Final

from handbook.pages import PAGES

DOCS: Final = Path(__file__).parents[1] / "docs"

if __name__ == "__main__":
    for path, page in PAGES.items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(page(), encoding="utf-8")
