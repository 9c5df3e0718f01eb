"""Markdown that people wrote, as HTML that can do nothing but be read.

HTML in it is shown as the text that it is; links lead to the web or a mail address only; images are links, since
nothing is loaded from elsewhere. What comes out is safe to put into a page.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

_SCHEMES: Final = ("http://", "https://", "mailto:")


def _safe(url: str) -> bool:
    return url.lower().startswith(_SCHEMES)


def _open_link(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    tokens[index].attrSet("rel", "nofollow noreferrer noopener")
    return renderer.renderToken(tokens, index, options, env)


def _deeper(state: Any) -> None:  # noqa: ANN401 - the parser's own state
    """Put headings two steps down: a page has its own first and second."""
    lowest = 6
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(lowest, int(token.tag[1]) + 2)}"


def _make() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    parser.enable(["table", "strikethrough", "linkify"]).disable(["image", "html_block", "html_inline"])
    parser.validateLink = _safe  # type: ignore[method-assign] # the library's own way to say which links may be
    parser.add_render_rule("link_open", _open_link)
    parser.core.ruler.push("deeper_headings", _deeper)
    return parser


_PARSER: Final = _make()


def to_html(text: str) -> Markup:
    """Return Markdown as HTML."""
    return Markup(_PARSER.render(text))  # noqa: S704 - the parser escapes everything that it did not make


def to_line(text: str, longest: int = 140) -> str:
    """Return the beginning of a text in one line, without the marks of Markdown but those of its lists."""
    line = " ".join(" ".join(_words(_PARSER.parse(text))).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "list_item_open":
            yield f"{token.info}{token.markup}" if token.info else "\N{BULLET}"
        yield "".join(" " if child.type.endswith("break") else child.content for child in token.children or ())
