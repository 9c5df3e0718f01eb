"""The Atom feed (RFC 4287) of published releases: an entry for each, with what it brings.

An entry is known by the release's uuid, so that readers know it again wherever the feed is served from.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement, tostring

from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.web.answers import time

ATOM: Final = "application/atom+xml"
_NAMESPACE: Final = "http://www.w3.org/2005/Atom"
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def atom(views: Sequence[ReleaseView], base: str) -> bytes:
    """Return the feed of some releases, the one published last first; `base` is the address that links begin with."""
    feed = Element("feed", {"xmlns": _NAMESPACE})
    address = f"{base}/releases/feed"
    _text(feed, "id", address)
    _text(feed, "title", "Published releases")
    _text(feed, "updated", _published_at(views[0]) if views else time(_NEVER))
    SubElement(feed, "link", {"rel": "self", "type": ATOM, "href": address})
    SubElement(feed, "link", {"rel": "alternate", "href": f"{base}/releases"})
    _text(SubElement(feed, "author"), "name", "Lockstep")
    for view in views:
        _entry(feed, view, base)
    written: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _entry(feed: Element, view: ReleaseView, base: str) -> None:
    release = view.release
    entry = SubElement(feed, "entry")
    _text(entry, "id", UUID(release.uuid).urn)
    _text(entry, "title", f"{release.name} {release.version}")
    _text(entry, "published", _published_at(view))
    _text(entry, "updated", _published_at(view))
    SubElement(entry, "link", {"rel": "alternate", "href": f"{base}/releases/{release.kf_id}"})
    _text(SubElement(entry, "author"), "name", release.author or "Lockstep")
    for term in (*release.studies, *release.tags):
        SubElement(entry, "category", {"term": _clean(term)})
    _text(entry, "content", _content(view)).set("type", "text")


def _content(view: ReleaseView) -> str:
    """Return what a release brings, in Markdown: its description, and its notes in the order of their writing."""
    notes = [f"{note.study_id}: {note.description}" if note.study_id else note.description for note in view.notes[::-1]]
    return "\n\n".join(filter(None, [view.release.description, *notes]))


def _published_at(view: ReleaseView) -> str:
    return time(view.release.published_at or view.release.step_since)


def _text(parent: Element, name: str, text: str) -> Element:
    element = SubElement(parent, name)
    element.text = _clean(text)
    return element


def _clean(text: str) -> str:
    """Return a text without the characters that XML cannot say."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
