"""The beginnings of a task service: a small project whose tests pass, to be changed into one's own.

`files_for` fills the templates beside this module; it knows nothing of folders, and writes nothing. `lockstep new
task-service` is who calls it.
"""

import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import Final

from lockstep import __version__

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*")
_LONGEST: Final = 60
_TAKEN: Final = frozenset({"lockstep", "aiohttp", "starlette", "uvicorn", "pytest", "conftest", "tests"})
_ENDING: Final = ".template"


@dataclass(frozen=True, slots=True)
class ProjectName:
    """What a new project is called, in each place where it has a name.

    Attributes:
        title: as people read it.
        folder: as its folder and its distribution are named.
        module: as Python imports it.
    """

    title: str
    folder: str
    module: str

    @classmethod
    def of(cls, given: str) -> "ProjectName":
        """Return the names that follow from what was given.

        Raises:
            ValueError: nothing can be called so; the sentence says why.
        """
        title = given.strip()
        if len(title) > _LONGEST or not _NAME.fullmatch(title):
            raise ValueError(
                f"{given!r} is not a name for a project; up to {_LONGEST} letters and digits that begin with a letter, "
                "in words with one space, - or _ between them, would be, such as 'search index'"
            )
        module = re.sub("[ -]", "_", title).lower()
        if module in _TAKEN | sys.stdlib_module_names or keyword.iskeyword(module):
            raise ValueError(f"Python has a module or a word {module!r} already; another name would be right")
        return cls(re.sub("[_-]", " ", title), module.replace("_", "-"), module)


def files_for(name: ProjectName) -> Mapping[str, str]:
    """Return the texts of a new project's files, by their names."""
    words = {
        "title": name.title,
        "folder": name.folder,
        "module": name.module,
        "variable": name.module.upper(),
        "version": __version__,
    }
    templates = sorted((found for found in files(__name__).iterdir() if found.name.endswith(_ENDING)), key=_name)
    return {
        _name(found).replace("module", name.module): Template(found.read_text("utf-8")).substitute(words)
        for found in templates
    }


def _name(template: Traversable) -> str:
    return template.name.removesuffix(_ENDING)
