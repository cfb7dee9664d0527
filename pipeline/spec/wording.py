"""What a YAML parser says, in words that help the person who typed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.problem import Place, Problem
    from pipeline.spec.source import Source

# Each: what libyaml or PyYAML say, what is wrong, what to do.
_BARE_TEMPLATE = re.compile(r"[{\[].*[:,\[{]\s*[^\"',]*\$\{\{")
_QUOTE_TEMPLATE = 'Inside of `{…}` and `[…]` put text with a template in quotes: `"${{ name }}"`.'
_TAB = re.compile(r"found character '\\t'|found a tab character")
_SAID: tuple[tuple[str, str, str], ...] = (
    (
        r"mapping values are not allowed",
        "a colon stands where no key can be",
        'Put text that holds ": " in quotes, and check how far the line is indented.',
    ),
    (
        r"could not find expected ':'|expected ':'",
        "a key has no colon after it",
        "Write `key: value`, with the colon on the same line; long text goes after `|` or `>`.",
    ),
    (
        r"unexpected end of stream|while scanning a quoted scalar",
        "a quote is opened and never closed",
        "Close it with the same kind of quote.",
    ),
    (
        r"expected ',' or '[\]}]'|expected the node content|did not find expected node content",
        "a list `[…]` or mapping `{…}` is not written right, or never closed",
        "Put a comma between its parts and close it; quote text that holds [ ] { } or commas.",
    ),
    (
        r"cannot start any token",
        "plain text cannot start with this character",
        "Put the text in quotes.",
    ),
    (
        r"did not find expected key|expected <block end>|did not find expected '-' indicator"
        r"|block sequence entries are not allowed",
        "this line does not fit the lines above it",
        "Indent it like its neighbours, or close the quote or bracket before it.",
    ),
    (
        r"unknown escape character|escape code|did not find expected hexdecimal",
        "there is a backslash in double quotes that YAML does not know",
        r"Use single quotes, or write `\\` for a backslash.",
    ),
    (
        r"alphabetic or numeric character while scanning an (alias|anchor)",
        "a `*` or `&` stands here, which YAML takes for a name of its own",
        "Put the text in quotes.",
    ),
    (
        r"while scanning a block scalar|indentation indicator",
        "there is more than a mark behind `|` or `>`",
        "Put the text on the lines below it, indented; or put it in quotes.",
    ),
    (
        r"mapping keys are not allowed",
        "plain text cannot start with a question mark and a space",
        "Put the text in quotes.",
    ),
    (
        r"expected <document start>",
        "this line stands outside of the document",
        "Put `---` before the first line and nothing behind `...`, or remove these lines.",
    ),
    (
        r"directive",
        "this line starts with `%`, but is no directive such as `%YAML 1.2`",
        "Remove it, or put text that starts with `%` in quotes.",
    ),
    (r"undefined tag handle", "the tag is not known here", "Remove the tag."),
    (r"incompatible YAML document", "this is not YAML 1.1 or 1.2", "Remove the `%YAML` line."),
)


def reword(said: str, places: list[Place], source: Source) -> Problem:
    """Turn what the parser `said` into a problem. `places`: where it is, where it began."""
    place, began = places[0], places[-1]
    text = source.line(place)
    if not text.strip():
        # At the end of the text there is nothing to see: what was never closed is what is wrong.
        place, text = began, source.line(began)
    while not text.strip() and place.line > 1:
        place = replace(place, line=place.line - 1, column=1)
        text = source.line(place)
    indent = text[: len(text) - len(text.lstrip())]
    if _TAB.search(said) or ("\t" in indent and place.column <= len(indent) + 1):
        return source.problem(
            "yaml-tab",
            "a tab is used to indent this line",
            place,
            why="YAML indents with spaces only.",
            fix="Replace the tab with spaces.",
        )
    for pattern, message, fix in _SAID:
        if re.search(pattern, said):
            why = f"It began on line {began.line}." if began.line != place.line else ""
            if "quote text" in fix and _BARE_TEMPLATE.search(text):
                why, fix = "The braces of a `${{ … }}` end a mapping.", _QUOTE_TEMPLATE
            return source.problem("not-yaml", message, place, why=why, fix=fix)
    clean = "".join(c if c.isprintable() else " " for c in said).strip()
    message = f"this is not YAML: {clean[:120] or 'it cannot be read'}"
    return source.problem("not-yaml", message, place, fix="Mend the line, or the one above it.")
