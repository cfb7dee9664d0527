"""The page itself: data into the template, style and script inlined and vouched for by hash."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pipeline import money
from pipeline.gallery import charts
from pipeline.gallery.cards import command
from pipeline.gallery.files import link
from pipeline.gallery.thumbs import PLACE
from pipeline.lifecycle import MEANING, STOPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from pipeline.gallery.cards import Card, Original, Sheet, Tile
    from pipeline.gallery.thumbs import Thumbs
    from pipeline.model import About, Failure

RELOAD_SECONDS = 5
"""How often a live page looks for a newer one."""

_WITHOUT_SCRIPT = 200
"""How many cards a reader without scripting gets; the manifest has all of them."""


def render(
    sheet: Sheet, small: Thumbs, *, about: About, failures: Sequence[Failure], live: bool
) -> str:
    """Return the whole page as text: everything it needs but the pictures is inside."""
    style, script = _part("gallery.css"), _part("gallery.js")
    cards = [_card(one, small) for one in sheet.cards]
    return _template().render(
        policy=_policy(style, script),
        style=_trusted(style),
        script=_trusted(script),
        data=_trusted(_embedded(cards)),
        about=about,
        generated=datetime.fromtimestamp(about.generated_at, UTC),
        totals=about.totals,
        money=money.display,
        shares=charts.shares(about.totals.counts),
        meaning=MEANING,
        stopped=STOPPED,
        curve=charts.spending(sheet.paid_at, sheet.paid),
        histogram=charts.durations(sheet.waits),
        causes=[(one, _cause_command(one, about)) for one in failures],
        first=cards[:_WITHOUT_SCRIPT],
        sheet=sheet,
        tags=sorted({tag for card in sheet.cards for tag in card.tags}),
        sizes=list(dict.fromkeys(card.size for card in sheet.cards if card.size)),
        reload_seconds=RELOAD_SECONDS if live else 0,
    )


def _cause_command(failure: Failure, about: About) -> str:
    if failure.status not in STOPPED:
        return command(about, "run")
    return command(about, "retry", status=str(failure.status))


def _card(card: Card, small: Thumbs) -> dict[str, Any]:
    facts = _facts(card)
    facts["tiles"] = [_tile(one, small) for one in card.tiles]
    facts["originals"] = [_original(one, small) for one in card.originals]
    return _spoken(facts)


def _tile(tile: Tile, small: Thumbs) -> dict[str, Any]:
    facts = _facts(tile)
    facts["thumb"] = _thumb(tile.thumb, small)
    reason = small.unfit.get(tile.thumb, "")
    if reason and not tile.absent:
        facts["absent"] = f"The file is {reason}."
    return _spoken(facts)


def _original(original: Original, small: Thumbs) -> dict[str, Any]:
    facts = _facts(original)
    facts["thumb"] = _thumb(original.thumb, small)
    if original.thumb in small.unfit:
        facts["link"] = ""
        facts["name"] = f"{original.name} ({small.unfit[original.thumb]})"
    return _spoken(facts)


def _thumb(key: str, small: Thumbs) -> str:
    return link(f"{PLACE}/{key}.webp") if key in small.ready else ""


def _facts(one: Card | Tile | Original) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _spoken(facts: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: the page holds thousands of these."""
    return {name: value for name, value in facts.items() if value or name in ("prompt", "tiles")}


def _embedded(cards: list[dict[str, Any]]) -> str:
    """Return JSON that ends no script element and starts no comment, whatever it holds."""
    text = json.dumps(cards, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: pictures from disk, and nothing else from anywhere."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src 'self' file: data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _part(name: str) -> str:
    return files("pipeline.gallery").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    jinja = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return jinja.from_string(_part("page.html.jinja"))


def _trusted(text: str) -> str:
    """Mark our own style and script, and JSON made safe above, as not to be escaped again."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - only what this file reads from the package or escaped
