"""Whatever specs, rows and bytes `validate` is given: an exit code and a place, no traceback."""

from __future__ import annotations

import io
import json
import random
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.clock import SystemClock
from pipeline.commands.validate import validate
from pipeline.commands.world import World
from pipeline.report import FORMATS

FUZZ = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PARTS = schema.document("spec")["$defs"]
FIELDS = sorted(
    {*PARTS["fields"]["properties"], *PARTS["entry"]["properties"], "google_search", "mask_url"}
)
WORD_LIST = (
    "a b sku ${{a}} ${{sku}} ${{id}} ${{row['a']}} ${{a|upper}} ${{a.b}} ${{env.X}} ${{index}}"
    " ${{a*9999999}} ${{ }} ${{}} ../x /etc/passwd rows.csv rows.json rows.jsonl . * [a-z]*"
    " refs/*.png https://x.y/z.png https:// data:image/png;base64,AAAA data:, ftp://x 16:9 16x9"
    " auto 1K 2K inline url object true yes 007 gemini-3-pro-image-preview"
)
WORDS = st.sampled_from(WORD_LIST.split())
TEXTS = WORDS | st.text(max_size=5) | st.sampled_from(["", " ", "\x85", "\u202e", "x" * 3000])
SCALARS = TEXTS | st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.just(10**40)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS | st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=8,
)
MATRIX = st.dictionaries(
    st.sampled_from(["a", "b", "include", "exclude", "id", "sku"]),
    st.lists(SCALARS | st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=2), max_size=3),
    max_size=3,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, SCALARS | st.lists(SCALARS, max_size=3) | VALUES),
        "prompt": TEXTS,
        "id": TEXTS,
        "matrix": MATRIX | VALUES,
        "from": st.sampled_from(["rows.csv", "rows.json", "rows.jsonl", "none.csv", "."]) | VALUES,
    },
)
TOP = st.fixed_dictionaries(
    {"entries": st.lists(ENTRY, min_size=1, max_size=4) | VALUES},
    optional={
        "version": st.just(2) | VALUES,
        "vars": st.dictionaries(TEXTS, VALUES, max_size=3) | VALUES,
        "defaults": ENTRY | VALUES,
        "output": st.fixed_dictionaries({"name": TEXTS}) | VALUES,
        "run": VALUES,
        "env": st.lists(TEXTS, max_size=2) | VALUES,
        "model": TEXTS | VALUES,
        "models": TEXTS | VALUES,
        "include": st.lists(st.sampled_from(["spec.yaml", "other.yaml", "."]) | TEXTS, max_size=2),
        "name": TEXTS,
    },
)
ROWS = st.one_of(
    st.binary(max_size=60),
    st.lists(st.lists(TEXTS, max_size=3).map(",".join), max_size=4).map(
        lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
    ),
    st.lists(VALUES, max_size=3).map(lambda rows: json.dumps(rows).encode()),
    st.lists(VALUES, max_size=3).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
)


def checked(files: dict[str, bytes], *, stdin: bytes = b"", source: str = "spec.yaml") -> None:
    """Validate a spec in a folder with these files, in every format."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        codes = {verdict(folder, stdin, source, form) for form in FORMATS}
    assert len(codes) == 1
    assert codes <= {0, 2}


def verdict(folder: Path, stdin: bytes, source: str, form: str) -> int:
    out, err = io.StringIO(), io.StringIO()
    world = World(
        environ={"X": "1"},
        cwd=folder,
        stdin=BytesIO(stdin),
        stdout=out,
        stderr=err,
        clock=SystemClock(),
        dice=random.Random(1),
    )
    code = validate(world, [source], format=form)
    said = out.getvalue()
    assert err.getvalue() == ""
    assert not set(said) & (set(map(chr, range(32))) - {"\n"})
    if form == "json":
        problems = [json.loads(line) for line in said.splitlines()]
        errors = [one for one in problems if one["severity"] == "error"]
        assert (code == 2) == bool(errors)
        assert all(one["file"] and one["message"] and one["code"] for one in problems)
    return code


@given(TOP, ROWS)
@example({"entries": [{"enabled": None}], "defaults": {"": None}}, b"")
@FUZZ
def test_of_specs_with_rows(top: dict[str, Any], rows: bytes) -> None:
    document = {"version": 1, **top}
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    files = dict.fromkeys(("rows.csv", "rows.json", "rows.jsonl"), rows)
    checked({"spec.yaml": text.encode("utf-8", "surrogatepass"), **files})


ROW_SPEC = b"""version: 1
entries:
  - {from: rows.csv, id: "${{ sku }}", prompt: "${{ title }}", n: "${{ n | default(1) }}"}
  - {from: rows.tsv, prompt: "${{ row | tojson }}"}
  - {from: rows.jsonl, prompt: "x ${{ a }}", size: "${{ size }}", references: ["${{ ref }}"]}
  - {from: rows.json, prompt: "${{ a }}", tags: ["${{ b }}"], enabled: "${{ on }}"}
"""


@given(ROWS, st.booleans())
@example(b"\xef\xbb\xbfsku,title\n1,2\n", True)
@example(b"[" * 100_000, False)
@example(b'{"a": 1e999, "size": NaN, "ref": "\\ud800"}', True)
@example(b'"sku,title\n1,2\n', False)
@settings(FUZZ)
def test_of_rows(rows: bytes, headed: bool) -> None:
    head = {"rows.csv": b"sku,title,n\n", "rows.tsv": b"a\tb\n"} if headed else {}
    names = ("rows.csv", "rows.tsv", "rows.jsonl", "rows.json")
    checked({"spec.yaml": ROW_SPEC, **{name: head.get(name, b"") + rows for name in names}})


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x00")
@example(b"\xff\xfe" + "version: 1\nentries: []\n".encode("utf-16-le"))
@example(b"%YAML 9.9\n---\nversion: 1\n")
@settings(FUZZ)
def test_of_bytes(data: bytes) -> None:
    checked({"spec.yaml": data})
    checked({}, stdin=data, source="-")


@given(st.integers(0, 400), st.integers(0, 255))
@settings(FUZZ)
def test_of_a_good_spec_with_one_byte_changed(at: int, byte: int) -> None:
    data = bytearray(ROW_SPEC)
    data[at % len(data)] = byte
    rows = {"rows.csv": b"sku,title\nA,B\n", "rows.tsv": b"a\tb\n1\t2\n", "rows.json": b"[{}]"}
    checked({"spec.yaml": bytes(data), **rows})
