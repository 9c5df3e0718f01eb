"""About this deployment, who one is here, the choice of a theme, and the preview of Markdown."""

import platform
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lockstep.coordinator.services.access import standing
from lockstep.coordinator.web.callers import caller_of, proof_of
from lockstep.coordinator.web.dashboard import markdown
from lockstep.coordinator.web.dashboard.forms import read
from lockstep.coordinator.web.dashboard.page import HEADERS, Page, go
from lockstep.coordinator.web.dashboard.theme import keep
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.sign_in import own_page

_PREVIEWED: Final = 5000


async def show(request: Request) -> Page:
    """Show what runs here."""
    desk = desk_of(request)
    values = {
        "python": platform.python_version(),
        "reports": desk.reports.reports.url if desk.reports else "",
        "data_service": desk.commands.data_service is not None,
    }
    return Page("about.html", "About", values)


async def profile(request: Request) -> Page:
    """Show who one is here."""
    desk = desk_of(request)
    farewell = urlsplit(await desk.sign_in.farewell("")) if desk.sign_in else None
    values = {"standing": standing(caller_of(request)), "proof": proof_of(request)}
    leads_to = f"{farewell.scheme}://{farewell.netloc}" if farewell and farewell.netloc else ""
    return Page("profile.html", "Profile", values, leads_to=leads_to)


async def choose_theme(request: Request) -> Response:
    """Keep the choice of a theme, and lead back to the page that it was made on."""
    form = await read(request)
    answer = go(own_page(form.one("page", "/")))
    keep(answer, form.one("theme"), secure=request.url.scheme == "https")
    return answer


async def preview(request: Request) -> Response:
    """Return Markdown as it will be shown."""
    form = await read(request)
    return HTMLResponse(markdown.to_html(form.text("text")[:_PREVIEWED]), headers=HEADERS)
