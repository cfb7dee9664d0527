"""Every construct that YAML has, legal and broken, through `validate`: what it says, and where.

To each belong the codes of the errors it must give, none for one that is right.
"""

from __future__ import annotations

import io
import json
import random
from typing import TYPE_CHECKING

import pytest

from pipeline.clock import SystemClock
from pipeline.commands.validate import validate
from pipeline.commands.world import World

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "version: 1\nentries:\n"
CONSTRUCTS: dict[str, tuple[str, str]] = {
    "anchor on a key": ("", "&a version: 1\nentries: [{prompt: x}]\n"),
    "alias as a key": ("", "version: 1\nvars: {x: &k prompt}\nentries: [{*k : a mug}]\n"),
    "alias of a scalar": ("", HEAD + "  - {id: &i one, prompt: *i}\n"),
    "anchor named twice": ("", HEAD + "  - {id: &i one, prompt: &i two, tags: [*i]}\n"),
    "anchor of nothing": ("empty-value", "version: 1\nvars: &v\nentries: [{prompt: x}]\n"),
    "anchor with odd characters": (
        "not-yaml",
        HEAD + "  - {id: &\u00e9.:-1 one, prompt: *\u00e9.:-1 }\n",
    ),
    "alias before its anchor": ("unknown-alias", HEAD + "  - {id: *i, prompt: &i x}\n"),
    "alias with a tag": ("not-yaml", HEAD + "  - {id: &i x, prompt: !!str *i}\n"),
    "alias of a list in two entries": (
        "",
        HEAD + "  - {prompt: x, tags: &t [a]}\n  - {prompt: y, tags: *t}\n",
    ),
    "alias of the file": ("recursive-alias", "&all\nversion: 1\nentries: [*all]\n"),
    "merge": ("", HEAD + "  - &b {prompt: x, n: 2}\n  - {<<: *b, id: c}\n"),
    "merge of a list": (
        "",
        "version: 1\nvars: {a: &a {n: 2}, b: &b {size: 1:1}}\n"
        "entries: [{<<: [*a, *b], prompt: x}]\n",
    ),
    "merge of a list in place": ("", HEAD + "  - {<<: [{n: 2}, {size: 1:1}], prompt: x}\n"),
    "merge twice": (
        "",
        "version: 1\nvars: {a: &a {n: 2}, b: &b {size: 1:1}}\n"
        "entries: [{<<: *a, <<: *b, prompt: x}]\n",
    ),
    "merge after the keys": (
        "",
        HEAD + "  - &b {prompt: x, n: 2}\n  - {n: 3, prompt: y, <<: *b}\n",
    ),
    "merge of a merge": (
        "",
        HEAD + "  - &a {prompt: x}\n  - &b {<<: *a, n: 2}\n  - {<<: *b, size: 1:1}\n",
    ),
    "merge of text": ("bad-merge", HEAD + "  - {<<: x, prompt: y}\n"),
    "merge of nothing": ("bad-merge", HEAD + "  - {<<: , prompt: y}\n"),
    "merge of a list with text": ("bad-merge", HEAD + "  - {<<: [{n: 2}, x], prompt: y}\n"),
    "merge sign in quotes": ("unknown-key", HEAD + "  - {'<<': {n: 2}, prompt: y}\n"),
    "merge with a tag": ("unknown-tag", HEAD + "  - {!!merge <<: {n: 2}, prompt: y}\n"),
    "merge sign as a value": ("", HEAD + "  - {prompt: <<}\n"),
    "tag str": ("", HEAD + "  - {prompt: !!str 5}\n"),
    "tag int in quotes": ("", HEAD + '  - {prompt: x, n: !!int "2"}\n'),
    "tag float": ("", HEAD + "  - {prompt: !!float 1}\n"),
    "tag bool of a word": ("wrong-type", HEAD + "  - {prompt: x, split: !!bool maybe}\n"),
    "tag null": ("empty-value", HEAD + "  - {prompt: !!null ''}\n"),
    "tag binary": ("unknown-tag", HEAD + "  - {prompt: !!binary aGk=}\n"),
    "tag timestamp": ("unknown-tag", HEAD + "  - {prompt: !!timestamp 2001-01-01}\n"),
    "tag set": ("unknown-tag", HEAD + "  - {prompt: x, tags: !!set {a, b}}\n"),
    "tag omap": ("unknown-tag wrong-type", HEAD + "  - {prompt: x, tags: !!omap [a: 1]}\n"),
    "tag pairs": ("unknown-tag wrong-type", HEAD + "  - {prompt: x, tags: !!pairs [a: 1]}\n"),
    "tag map of a list": ("wrong-type", HEAD + "  - !!map [prompt]\n"),
    "tag seq of a mapping": ("wrong-type", "version: 1\nentries: !!seq {prompt: x}\n"),
    "tag of one's own": ("unknown-tag", HEAD + "  - !mug {prompt: x}\n"),
    "tag verbatim": ("", HEAD + "  - {prompt: !<tag:yaml.org,2002:str> 5}\n"),
    "tag verbatim of one's own": (
        "unknown-tag",
        HEAD + "  - {prompt: !<tag:example.com,2000:x> 5}\n",
    ),
    "tag by directive": (
        "unknown-tag",
        "%TAG !e! tag:example.com,2000:\n---\nversion: 1\nentries:\n  - {prompt: !e!x y}\n",
    ),
    "tag core by directive": (
        "",
        "%TAG !y! tag:yaml.org,2002:\n---\nversion: 1\nentries:\n  - {prompt: !y!str 5}\n",
    ),
    "tag handle unknown": ("not-yaml", HEAD + "  - {prompt: !e!x y}\n"),
    "tag not specific": ("", HEAD + "  - {prompt: ! 5}\n"),
    "tag python object": (
        "unknown-tag",
        HEAD + "  - {prompt: !!python/object/apply:os.system [x]}\n",
    ),
    "tag on a key": ("", HEAD + "  - {!!str prompt: x}\n"),
    "tag of a number on a key": ("unknown-key", HEAD + "  - {prompt: x, !!int 5: y}\n"),
    "tag empty": ("not-yaml", HEAD + "  - {prompt: !<> y}\n"),
    "directive yaml 1.1": ("", "%YAML 1.1\n---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "directive yaml 1.2": ("", "%YAML 1.2\n---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "directive yaml 2.0": ("not-yaml", "%YAML 2.0\n---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "directive yaml twice": (
        "not-yaml",
        "%YAML 1.2\n%YAML 1.2\n---\nversion: 1\nentries:\n  - {prompt: x}\n",
    ),
    "directive unknown": ("not-yaml", "%MUG 1\n---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "directive broken": ("not-yaml", "%YAML one\n---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "directive without a document": ("not-yaml", "%YAML 1.2\n"),
    "directive without dashes": ("not-yaml", "%YAML 1.2\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "tag directive broken": ("not-yaml", "%TAG !\n---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "percent in the middle": ("not-yaml", HEAD + "  - prompt: x\n%YAML 1.2\n"),
    "document marks": ("", "---\nversion: 1\nentries:\n  - {prompt: x}\n...\n"),
    "document end and comment": ("", HEAD + "  - {prompt: x}\n... # end\n# more\n"),
    "two documents": (
        "several-documents",
        HEAD + "  - {prompt: x}\n---\nversion: 1\nentries:\n  - {prompt: y}\n",
    ),
    "two documents, the second empty": ("several-documents", HEAD + "  - {prompt: x}\n---\n"),
    "empty first document": (
        "not-a-mapping several-documents",
        "---\n---\nversion: 1\nentries:\n  - {prompt: x}\n",
    ),
    "text behind the end": ("not-yaml", HEAD + "  - {prompt: x}\n... prompt\n"),
    "content on the dashes": ("", "--- {version: 1, entries: [{prompt: x}]}\n"),
    "dashes in text": ("", HEAD + "  - prompt: |\n      ---\n      x\n"),
    "dashes at the margin of a text": ("not-yaml", HEAD + "  - prompt: 'a\n---\n  b'\n"),
    "key of a list": ("key-not-text", HEAD + "  - {prompt: x, ? [a, b] : y}\n"),
    "key of a mapping": ("key-not-text", HEAD + "  - {prompt: x, ? {a: b} : y}\n"),
    "key explicit": ("", HEAD + "  - ? prompt\n    : x\n"),
    "key explicit without value": ("empty-value", HEAD + "  - prompt: x\n    ? id\n"),
    "key of nothing": ("not-yaml", HEAD + "  - {prompt: x, : y}\n"),
    "key null": ("key-not-text", HEAD + "  - {prompt: x, ~: y}\n"),
    "key of a number": ("key-not-text", HEAD + "  - {prompt: x, 5: y}\n"),
    "key true": ("key-not-text", HEAD + "  - {prompt: x, true: y}\n"),
    "key of text in quotes": ("", HEAD + '  - {"prompt": x}\n'),
    "key over several lines": ("not-yaml", HEAD + '  - "prom\n    pt": x\n'),
    "key of a block text": ("unknown-key", HEAD + "  - ? |\n      prompt\n    : x\n"),
    "key very long": (
        "not-yaml",
        HEAD + "  - {prompt: x, " + "k" * 2000 + ": y}\n",
    ),
    "key twice": ("duplicate-key", HEAD + "  - {prompt: x, prompt: y}\n"),
    "key twice in other quotes": ("duplicate-key", HEAD + "  - {prompt: x, 'prompt': y}\n"),
    "key without a space": ("wrong-type", HEAD + "  - prompt:x\n"),
    "key with a space before the colon": ("", HEAD + "  - prompt : x\n"),
    "plain over lines": ("", HEAD + "  - prompt: a\n      b\n\n      c\n"),
    "plain with a colon": ("not-yaml", HEAD + "  - prompt: a: b\n"),
    "plain with a hash": ("", HEAD + "  - prompt: a#b\n"),
    "plain with a comment": ("", HEAD + "  - prompt: a # b\n"),
    "plain with a tab": ("", HEAD + "  - prompt: a\tb\n"),
    "plain that starts with a tab": ("", HEAD + "  - prompt:\tx\n"),
    "plain dash": ("not-yaml", HEAD + "  - prompt: -\n"),
    "plain question mark": ("not-yaml", HEAD + "  - prompt: ?\n"),
    "plain colon": ("not-yaml", HEAD + "  - prompt: :\n"),
    "plain star": ("not-yaml", HEAD + "  - prompt: *\n"),
    "plain ampersand": ("not-yaml", HEAD + "  - prompt: &\n"),
    "plain at": ("not-yaml", HEAD + "  - prompt: @x\n"),
    "plain backtick": ("not-yaml", HEAD + "  - prompt: `x`\n"),
    "plain percent": ("not-yaml", HEAD + "  - prompt: %x\n"),
    "plain pipe": ("not-yaml", HEAD + "  - prompt: |x\n"),
    "plain bracket inside": ("", HEAD + "  - prompt: a [b] {c}\n"),
    "plain in flow with a bracket": ("not-yaml", HEAD + "  - {prompt: a [b]}\n"),
    "plain that starts with a template": ("", HEAD + "  - prompt: ${{ spec }}\n"),
    "plain template in flow": ("not-yaml", HEAD + "  - {prompt: ${{ spec }}}\n"),
    "plain brace template": ("key-not-text wrong-type", HEAD + "  - prompt: {{ spec }}\n"),
    "single quotes": ("", HEAD + "  - prompt: 'it''s \\n'\n"),
    "single quotes over lines": ("", HEAD + "  - prompt: 'a\n\n      b'\n"),
    "double quotes with every escape": (
        "",
        HEAD + '  - prompt: "\\t\\n\\x41\\u00e9\\U0001F34C\\"\\/\\\\\\_\\N\\L\\P\\ "\n',
    ),
    "double quotes folded by a backslash": ("", HEAD + '  - prompt: "a\\\n      b"\n'),
    "double quotes with a wrong escape": ("not-yaml", HEAD + '  - prompt: "\\q"\n'),
    "double quotes with a short escape": ("not-yaml", HEAD + '  - prompt: "\\x4"\n'),
    "double quotes with a surrogate": ("not-yaml", HEAD + '  - prompt: "\\ud800"\n'),
    "double quotes beyond unicode": ("not-yaml", HEAD + '  - prompt: "\\U00110000"\n'),
    "double quotes with NUL": ("control-character", HEAD + '  - prompt: "\\0"\n'),
    "double quotes with a bell": ("control-character", HEAD + '  - prompt: "\\a"\n'),
    "text behind a quote": ("not-yaml", HEAD + '  - prompt: "a" b\n'),
    "quote never closed": ("not-yaml", HEAD + '  - prompt: "a\n'),
    "literal": ("", HEAD + "  - prompt: |\n      a\n        b\n"),
    "literal stripped and indented": ("", HEAD + "  - prompt: |2-\n        a\n"),
    "literal kept": ("", HEAD + "  - prompt: |+\n      a\n\n\n"),
    "literal empty": ("empty-value", HEAD + "  - prompt: |\n  - prompt: x\n"),
    "literal with a wrong indent": ("not-yaml", HEAD + "  - prompt: |0\n      a\n"),
    "literal with two marks": ("not-yaml", HEAD + "  - prompt: |+-\n      a\n"),
    "literal with words behind": ("not-yaml", HEAD + "  - prompt: | a\n      b\n"),
    "literal too little indented": ("not-yaml", HEAD + "  - prompt: |4\n     a\n"),
    "literal that starts with spaces": ("not-yaml", HEAD + "  - prompt: |\n         \n      a\n"),
    "literal with tabs": ("yaml-tab", HEAD + "  - prompt: |\n      \ta\n"),
    "folded": ("", HEAD + "  - prompt: >\n      a\n      b\n\n      c\n"),
    "folded with more indent": ("", HEAD + "  - prompt: >-\n      a\n        b\n      c\n"),
    "flow with a comma at the end": ("", "version: 1\nentries: [{prompt: x,},]\n"),
    "flow with nothing between commas": ("not-yaml", "version: 1\nentries: [{prompt: x},,]\n"),
    "flow over lines": ("", "version: 1\nentries: [\n{prompt: x},\n  # c\n {prompt:\n y}]\n"),
    "flow pair in a list": ("", HEAD + "  - {prompt: x, matrix: {a: [b: 1]}}\n"),
    "flow without a comma": ("not-yaml", "version: 1\nentries: [{prompt: x} {prompt: y}]\n"),
    "flow with the wrong end": ("not-yaml", "version: 1\nentries: [{prompt: x]}\n"),
    "flow closed twice": ("not-yaml", "version: 1\nentries: [{prompt: x}]]\n"),
    "flow json": ("", '{"version":1,"entries":[{"prompt":"x","n":2}]}'),
    "flow json without spaces in keys": ("", '{"version":1,"entries":[{"prompt":x}]}'),
    "list in a list": ("wrong-type", HEAD + "  - - prompt: x\n"),
    "list at the key's own indent": ("", HEAD + "- prompt: x\n- prompt: y\n"),
    "list with an empty item": ("empty-value", HEAD + "  -\n  - prompt: x\n"),
    "mapping less indented": ("not-yaml", HEAD + "  - id: a\n   prompt: x\n"),
    "mapping more indented": ("not-yaml", HEAD + "  - id: a\n      prompt: x\n"),
    "tab as indent": ("yaml-tab", HEAD + "\t- prompt: x\n"),
    "tab after a dash": ("not-yaml", HEAD + "  -\tprompt: x\n"),
    "tab on an empty line": ("yaml-tab", "version: 1\n\t\nentries: [{prompt: x}]\n"),
    "comment without a space": ("", "version: 1 #c\nentries: [{prompt: x}] #\n"),
    "comment stuck to a value": ("unknown-value", "version: 1#c\nentries: [{prompt: x}]\n"),
    "value empty": ("empty-value", HEAD + "  - {prompt: x, id: }\n"),
    "value null": ("empty-value", HEAD + "  - {prompt: x, id: null}\n"),
    "value tilde": ("empty-value", HEAD + "  - {prompt: ~}\n"),
    "number octal": ("", HEAD + "  - {prompt: 0o17}\n"),
    "number hex": ("", HEAD + "  - {prompt: x, n: 0x2}\n"),
    "number with an underscore": ("", HEAD + "  - {prompt: 1_000}\n"),
    "number with leading zeros": ("", HEAD + "  - {prompt: 007}\n"),
    "number in base sixty": ("", HEAD + "  - {prompt: 190:20:30}\n"),
    "number infinite": ("not-a-number", HEAD + "  - {prompt: .inf}\n"),
    "number not a number": ("not-a-number", HEAD + "  - {prompt: .NaN}\n"),
    "number huge": ("not-a-number", HEAD + "  - {prompt: 1e400}\n"),
    "number with a plus": ("", HEAD + "  - {prompt: x, n: +2}\n"),
    "number of a fraction": ("", HEAD + "  - {prompt: x, n: 2.0}\n"),
    "word yes": ("", HEAD + "  - {prompt: yes}\n"),
    "word True": ("", HEAD + "  - {prompt: x, split: True}\n"),
    "date": ("", HEAD + "  - {prompt: 2026-01-01}\n"),
    "equals sign": ("", HEAD + "  - {prompt: =}\n"),
    "carriage returns only": ("", "version: 1\rentries:\r  - {prompt: x}\r"),
    "next line as a break": ("", "version: 1\u0085entries: [{prompt: x}]\u0085"),
    "line separator as a break": ("", "version: 1\u2028entries: [{prompt: x}]\u2028"),
    "byte order mark inside": ("", HEAD + "  - {prompt: a\ufeffb}\n"),
    "byte order mark before a document": ("", "\ufeff---\nversion: 1\nentries:\n  - {prompt: x}\n"),
    "no end of line": ("", "version: 1\nentries: [{prompt: x}]"),
    "emoji in a key": ("unknown-key", HEAD + "  - {prompt: x, \U0001f34c: y}\n"),
    "non-character": ("control-character", HEAD + "  - {prompt: \ufffe}\n"),
    "delete": ("control-character", HEAD + "  - {prompt: \u007f}\n"),
    "escape": ("control-character", HEAD + "  - {prompt: \u001b[31m}\n"),
}


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_construct_is_read_or_refused_at_its_place(tmp_path: Path, name: str) -> None:
    codes, text = CONSTRUCTS[name]
    (tmp_path / "spec.yaml").write_bytes(text.encode())
    out = io.StringIO()
    world = World(
        environ={},
        cwd=tmp_path,
        stdin=io.BytesIO(),
        stdout=out,
        stderr=io.StringIO(),
        clock=SystemClock(),
        dice=random.Random(1),
    )
    code = validate(world, ["spec.yaml"], format="json")
    problems = [json.loads(line) for line in out.getvalue().splitlines()]
    errors = [one for one in problems if one["severity"] == "error"]
    assert sorted({one["code"] for one in errors}) == codes.split()
    assert code == (2 if codes else 0)
    assert all(one["line"] and one["column"] and one["fix"] for one in errors)
    # A value that is not there may stand behind the last line.
    assert all(one["text"] or one["code"] == "empty-value" for one in errors)
