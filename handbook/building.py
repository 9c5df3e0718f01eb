"""What MkDocs is told while it builds the site: a hook, named in `mkdocs.yml`.

Diagrams are written in Mermaid in the pages, which forges draw. The site draws them here, as SVG, since Mermaid would
be loaded from elsewhere by every reader. Links that lead out of the documentation, to files of the repository, become
their names.
"""

import re
from typing import Any, Final

from handbook.diagrams import drawn

_MERMAID: Final = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MOVE: Final = re.compile(r"^ *(\S+) --> (\S+)$", re.MULTILINE)
_OUTSIDE: Final = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+(?:[^)]*))\)")
_LINES: Final = {
    "waiting": ("waiting", "pending", "running", "staged", "publishing", "published"),
    "initializing": ("waiting", "initializing", "running", "staged", "publishing", "published"),
}


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:  # noqa: ANN401
    """Draw the diagrams of a page, and leave out links that lead nowhere on a site."""
    depth = page.file.src_uri.count("/")
    return _OUTSIDE.sub(lambda link: _kept(link, depth), _MERMAID.sub(_drawn, markdown))


def _kept(link: re.Match[str], depth: int) -> str:
    is_outside = link[2].count("../") > depth
    return link[1] if is_outside else link[0]


def _drawn(block: re.Match[str]) -> str:
    moves: dict[str, set[str]] = {}
    for here, there in _MOVE.findall(block[1]):
        if here != "[*]":
            moves.setdefault(here, set()).update({there} - {"[*]"})
            if there != "[*]":
                moves.setdefault(there, set())
    line = _LINES["initializing" if "initializing" in moves else "waiting"]
    name = "release" if "initializing" in moves else "task"
    return drawn(name, line, {state: frozenset(wanted) for state, wanted in moves.items()})
