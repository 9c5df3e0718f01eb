"""Which of the formats on offer a request wants, by its `Accept` header (RFC 9110, 12.5.1). Pure.

Among the formats that the header allows, the one with the greatest weight wins; with equal weights, the one that is
offered first. No header allows everything. What is not allowed by any range, or by one of weight 0, is not sent.
"""

from collections.abc import Sequence


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """Return the media type to answer with, None when none of those offered is wanted."""
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    weighed = [(_weight(media_type, ranges), -place) for place, media_type in enumerate(offered)]
    weight, place = max(weighed)
    return offered[-place] if weight > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [_number(text[2:]) for text in parameters if text.startswith("q=")]
    return name, weights[0] if weights else 1.0


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _weight(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that a media type falls into, 0 when there is none."""
    for name in (media_type, f"{media_type.split('/', maxsplit=1)[0]}/*", "*/*"):
        weights = [weight for wanted, weight in ranges if wanted == name]
        if weights:
            return weights[0]
    return 0.0
