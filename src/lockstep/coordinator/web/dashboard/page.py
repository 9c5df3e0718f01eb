"""A page, and how it becomes HTML: whole for a visit, block by block for a page that is open.

A page function reads what it needs and returns a `Page`: which template, with which values. The blocks that it names
as live are parts of that template, so that what a stream sends later is what a visit would have shown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lockstep import __version__
from lockstep.coordinator.core.records import Event
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.dashboard import history, markdown, words
from lockstep.coordinator.web.dashboard.asking import may
from lockstep.coordinator.web.dashboard.forms import Form
from lockstep.coordinator.web.dashboard.theme import THEMES, theme_of
from lockstep.coordinator.web.dashboard.tokens import Token
from lockstep.coordinator.web.desk import desk_of

ASSETS: Final = files("lockstep.coordinator.web.dashboard") / "static"

_TO_US: Final = "form-action 'self'"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    f"{_TO_US}; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load and do: what comes from here, and nothing else."""

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        template: its template.
        title: what it is called.
        values: what the template works with.
        live: the template's blocks that are kept up to date while the page is open.
        status: the HTTP status.
        leads_to: the origin, besides ours, that one of its forms leads to in the end.
        unfinished: something on it is still being fetched from elsewhere, so that it is soon worth another look.
    """

    template: str
    title: str
    values: Mapping[str, object] = field(default_factory=dict)
    live: tuple[str, ...] = ()
    status: int = 200
    leads_to: str = ""
    unfinished: bool = False


Build = Callable[[Request], Awaitable[Page]]


def assets_version() -> str:
    """Return a name for the assets as they are, which changes whenever one of them does."""
    digest = sha256()
    for asset in sorted(ASSETS.iterdir(), key=lambda each: each.name):
        digest.update(asset.read_bytes())
    return digest.hexdigest()[:12]


class Pages:
    """Renders pages.

    Args:
        now: the clock.
        environment: what this deployment is called, such as `production`; empty when nobody said.
        identified: whether callers are known; otherwise every page says that they are not.
    """

    def __init__(self, now: Callable[[], datetime], *, environment: str = "", identified: bool = False) -> None:
        self.now = now
        self.turn = asyncio.Lock()
        self.version = f"{__version__}-{assets_version()}"
        self._environment, self._identified = environment, identified
        self._templates = Environment(
            loader=PackageLoader("lockstep.coordinator.web.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "ago": lambda moment: words.ago(moment, now()),
            "since": lambda moment: words.between(moment, now()),
            "until": words.between,
            **{
                name: getattr(words, name)
                for name in ("exact", "minute", "date", "number", "signed", "seconds", "listed")
            },
            "count": words.count,
            "told": self._told,
            "move": history.move_of,
            "person": history.person_of,
            "markdown": markdown.to_html,
            "line": markdown.to_line,
        }
        self._templates.globals |= {"assets": f"/assets/{self.version}", "lockstep_version": __version__}
        parts = self._templates.get_template("ui.html").module
        self._templates.globals["ui"] = parts
        self._state = cast("Callable[[str], Markup]", parts.state)  # type: ignore[attr-defined] # a macro of the template

    def _told(self, event: Event) -> Markup:
        """Return what an event says, with the state that something came to as states are shown."""
        if history.move_of(event) is None:
            return escape(event.message)
        before, _, state = event.message.rpartition(" ")
        return Markup("{} {}").format(before, self._state(state))

    def warm_up(self) -> None:
        """Compile every template, so that nobody's first page waits for it; it takes a third of a second."""
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def whole(self, request: Request, page: Page) -> str:
        """Return a page."""
        return self._templates.get_template(page.template).render(self._values(request, page))

    def block(self, request: Request, page: Page, name: str) -> Markup:
        """Return one of a page's blocks, which may not tell who its reader is: several may read it."""
        template = self._templates.get_template(page.template)
        values = self._values(request, page)
        del values["caller"]
        context = template.new_context(values)
        return Markup("".join(template.blocks[name](context)))  # noqa: S704 - rendered with escaping

    def answer(self, request: Request, page: Page) -> Response:
        """Return a page as an answer, with the visitor's token for forms."""
        token = Token.of(request)
        response = HTMLResponse(self.whole(request, page), page.status, HEADERS)
        if page.leads_to:
            widened = POLICY.replace(_TO_US, f"{_TO_US} {page.leads_to}")
            response.headers["Content-Security-Policy"] = widened
        token.keep(response, secure=request.url.scheme == "https")
        return response

    def _values(self, request: Request, page: Page) -> dict[str, Any]:
        caller = caller_of(request)
        return {
            "page": page,
            "path": request.url.path,
            "address": f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
            "caller": caller,
            "may": may(request),
            "token": Token.of(request).for_forms,
            "environment": self._environment,
            "identified": self._identified,
            "commit": desk_of(request).commit,
            "version": self.version,
            "theme": theme_of(request),
            "themes": ("", *THEMES),
            "now": self.now(),
            "no_form": _NO_FORM,
            "no_reports": desk_of(request).reports is None,
            "done": _DONE.get(request.query_params.get("done", "")),
            **page.values,
        }


_NO_FORM: Final = Form()

_DONE: Final = {
    "started": "The release has been started. Every enabled service is being asked to take part.",
    "publishing": "Publishing was asked for. Every service is being told.",
    "canceling": "Canceling was asked for. Every service is being told.",
    "saved": "Saved.",
    "noted": "The note was saved.",
    "removed": "The note was removed.",
    "registered": "The service is registered and takes part in new releases.",
    "enabled": "The service takes part in new releases.",
    "disabled": "The service takes no part in new releases. Those under way go on with it.",
    "checked": "Every service was looked at just now.",
    "synced": "The studies are those of the data service.",
}
"""What is said after a form has done its work, by the word in the address."""


def pages_of(request: Request) -> Pages:
    """Return the renderer of the application that a request came to."""
    pages: Pages = request.app.state.pages
    return pages


def go(path: str, done: str = "") -> RedirectResponse:
    """Return the answer to a form that did its work: the page to be seen next, by a GET."""
    address = f"{path}?done={done}" if done else path
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
