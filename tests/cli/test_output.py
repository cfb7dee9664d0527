"""What is said, where, and in which form; and what decides when several say something."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_desk import every_file, facts

from pipeline import __version__
from pipeline.cli.verbs import cli
from pipeline.errors import EXIT_MEANING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Call

FOLDER = "out/menu-sandbox"
FAST = ("--sandbox", "--fault", "plain=true")


def test_quiet_says_nothing_when_all_is_well(banana: Call, spec: Path) -> None:
    said = banana("run", spec, "-q", *FAST)
    assert (said.code, said.out, said.err) == (0, "", "")


def test_quiet_says_what_is_wrong(banana: Call, spec: Path) -> None:
    said = banana("run", spec, "-q", "--sandbox", "--fault", "fail=1")
    assert (said.code, said.out, "failed" in said.err) == (1, "", True)


def test_the_summary_is_data_when_asked_for(banana: Call, spec: Path) -> None:
    said = banana("run", spec, "--format", "json", *FAST)
    told = json.loads(said.out)
    assert (told["exit"], told["outcome"], told["spec"]) == (0, "done", str(spec))
    assert told["results"]["manifest"].endswith("manifest.csv")


def test_the_log_is_json_when_asked_for(banana: Call, spec: Path) -> None:
    said = banana("run", spec, "--log-format", "json", *FAST)
    events = [json.loads(line)["event"] for line in said.err.splitlines()]
    assert (events[0], events[-1]) == ("started", "ended")


def test_the_log_file_has_every_event_however_quiet_the_run_is(
    banana: Call, spec: Path, tmp_path: Path
) -> None:
    banana("run", spec, "-q", *FAST)
    lines = (tmp_path / FOLDER / "run.log").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["event"] for line in lines} >= {"started", "stepped", "ended"}


def test_verbose_says_more(banana: Call, spec: Path) -> None:
    plain = banana("run", spec, "--output", "one", *FAST)
    verbose = banana("run", spec, "--output", "two", "-v", *FAST)
    assert len(verbose.err.splitlines()) > len(plain.err.splitlines())


def test_no_colour_and_no_cursor_without_a_terminal(banana: Call, spec: Path) -> None:
    said = banana("run", spec, *FAST)
    assert "\x1b" not in said.out + said.err
    assert "\r" not in said.err


def test_an_option_can_come_from_the_environment(
    banana: Call, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANANA_BATCH_RUN_SANDBOX", "1")
    monkeypatch.setenv("BANANA_BATCH_RUN_ONLY", "soup bread")
    monkeypatch.setenv("BANANA_BATCH_RUN_FAULT", "plain=true")
    monkeypatch.setenv("BANANA_BATCH_RUN_OUTPUT", "elsewhere")
    assert banana("run", spec).code == 0
    done = "SELECT entry_id FROM jobs WHERE status = 'downloaded'"
    assert facts(tmp_path / "elsewhere-sandbox/state.sqlite", done) == [("soup",)]


def test_the_environment_beats_the_spec(
    banana: Call, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec.write_text(f"{spec.read_text('utf-8')}run: {{max_cost: 0.01}}\n", "utf-8")
    assert banana("run", spec, *FAST).code == 3
    monkeypatch.setenv("BANANA_BATCH_RUN_MAX_COST", "5")
    assert banana("run", spec, *FAST).code == 0


def test_a_flag_beats_the_environment(
    banana: Call, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANANA_BATCH_RUN_MAX_COST", "5")
    assert banana("run", spec, "--max-cost", "0.01", *FAST).code == 3


def test_a_wrong_value_in_the_environment_is_a_wrong_command_line(
    banana: Call, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANANA_BATCH_RUN_CONCURRENCY", "many")
    assert banana("run", spec, *FAST).code == 2


def test_a_dry_run_tells_the_plan_and_changes_nothing(
    banana: Call, spec: Path, tmp_path: Path
) -> None:
    said = banana("run", spec, "--dry-run")
    assert (said.code, said.out) == (0, banana("plan", spec).out)
    assert every_file(tmp_path) == [spec]


def test_an_approved_plan_is_carried_out(banana: Call, spec: Path, tmp_path: Path) -> None:
    banana("plan", spec, "--sandbox", "--only", "soup", "--out", "plan.json")
    assert banana("run", spec, "--plan", "plan.json", *FAST).code == 0
    counts = "SELECT status, count(*) FROM jobs GROUP BY 1"
    state = tmp_path / FOLDER / "state.sqlite"
    assert facts(state, counts) == [("downloaded", 1), ("pending", 2)]


def test_an_approved_plan_is_refused_when_the_spec_has_moved_on(banana: Call, spec: Path) -> None:
    banana("plan", spec, "--sandbox", "--out", "plan.json")
    spec.write_text(spec.read_text("utf-8").replace("green", "red"), "utf-8")
    said = banana("run", spec, "--plan", "plan.json", *FAST)
    assert (said.code, "moved on" in said.err) == (2, True)


def test_a_spec_can_come_from_standard_input(banana: Call, spec: Path) -> None:
    said = banana("validate", "-", stdin=spec.read_bytes())
    assert (said.code, "2 entries, 3 jobs" in said.out) == (0, True)


def test_what_init_writes_is_valid(banana: Call, tmp_path: Path) -> None:
    assert banana("init", "mine").code == 0
    assert banana("validate", "mine/images.yaml").code == 0
    assert ".env" in (tmp_path / "mine/.gitignore").read_text(encoding="utf-8")


def test_init_overwrites_nothing(banana: Call, tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text("mine")
    assert banana("init").code == 2
    assert (tmp_path / "images.yaml").read_text() == "mine"


def test_validate_writes_annotations(banana: Call, spec: Path) -> None:
    spec.write_text("version: 1\nentries:\n  - {id: a, promt: Soup}\n", "utf-8")
    said = banana("validate", spec, "--format", "github")
    assert (said.code, said.out.startswith("::error file=")) == (2, True)


def test_a_manifest_is_exported_to_standard_output(banana: Call, spec: Path) -> None:
    banana("run", spec, *FAST)
    said = banana("manifest", spec, "--sandbox", "--columns", "entry_id,status", "-o", "-")
    assert said.out.splitlines() == [
        "entry_id,status",
        "soup,downloaded",
        "salad,downloaded",
        "salad,downloaded",
    ]


def test_help_tells_the_exit_codes(banana: Call) -> None:
    said = banana("--help").out
    assert [code for code in EXIT_MEANING if f"{int(code):>5}  " not in said] == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help(banana: Call, name: str) -> None:
    said = banana(name, "--help")
    assert (said.code, said.out.startswith("Usage: ")) == (0, True)


def test_the_version_is_told(banana: Call) -> None:
    assert banana("--version").out.strip().endswith(__version__)


def test_help_loads_no_room_that_it_does_not_need() -> None:
    heavy = {
        "httpx",
        "pyreqwest",
        "uvloop",
        "aiohttp",
        "PIL",
        "yaml",
        "jinja2",
        "jsonschema",
        "tqdm",
        "sqlite3",
    }
    program = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert heavy & set(said.stderr.split()) == set()


# ── nothing to trip over ────────────────────────────────────────────────────────────────────


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", *words]


def with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        said = subprocess.run(
            command("schema", "spec"), stdout=write, stderr=subprocess.PIPE, env=with_path(),
            check=False,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (said.returncode, said.stderr) == (0, b"")


def test_a_full_disk_behind_standard_output_is_said() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        said = subprocess.run(
            command("models"), stdout=full, stderr=subprocess.PIPE, env=with_path(), check=False,
        )  # fmt: skip
    assert (said.returncode, b"No space left" in said.stderr) == (5, True)


def test_closed_streams_are_no_error(spec: Path) -> None:
    script = f'"{sys.executable}" -m pipeline.cli plan "{spec}" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script], env=with_path(), check=False).returncode == 0


def test_a_narrow_encoding_is_no_error(spec: Path) -> None:
    spec.write_text(spec.read_text("utf-8").replace("id: soup", "id: 汤"), "utf-8")
    said = subprocess.run(
        command("plan", str(spec)), capture_output=True, check=False,
        env={**with_path(), "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (said.returncode, b"\\u6c64" in said.stdout) == (0, True)


@pytest.mark.parametrize("verb", ["validate", "plan", "status", "run", "doctor"])
@pytest.mark.parametrize("what", ["missing", "folder", "binary", "empty"])
def test_a_file_that_is_no_spec_is_said_to_be_none(
    banana: Call, tmp_path: Path, verb: str, what: str
) -> None:
    path = tmp_path / "it.yaml"
    match what:
        case "folder":
            path.mkdir()
        case "binary":
            path.write_bytes(bytes(range(256)))
        case "empty":
            path.write_bytes(b"")
    said = banana(verb, path)
    assert said.code == 2
    assert "it.yaml" in said.out + said.err
    assert "Traceback" not in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_an_unreadable_spec_is_said_to_be_so(banana: Call, spec: Path) -> None:
    spec.chmod(0)
    said = banana("validate", spec)
    assert (said.code, "Permission denied" in said.out + said.err) == (2, True)


def test_a_terminal_is_not_needed_for_any_of_it(banana: Call) -> None:
    assert not io.StringIO().isatty()
    assert banana("models").code == 0
