"""Each exit code comes when the page says that it does."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_desk import KEY, Said, every_file, facts

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Call

FOLDER = "out/menu-sandbox"
FAST = ("--fault", "plain=true")


def statuses(folder: Path) -> list[str]:
    return [row[0] for row in facts(folder / "state.sqlite", "SELECT status FROM jobs ORDER BY 1")]


def test_0_when_everything_is_there(banana: Call, spec: Path, tmp_path: Path) -> None:
    assert banana("run", spec, "--sandbox", *FAST).code == 0
    assert statuses(tmp_path / FOLDER) == ["downloaded"] * 3


def test_0_when_what_was_selected_is_there(banana: Call, spec: Path, tmp_path: Path) -> None:
    assert banana("run", spec, "--sandbox", "--tag", "hot", *FAST).code == 0
    assert statuses(tmp_path / FOLDER) == ["downloaded", "pending", "pending"]


def test_1_when_tasks_fail(banana: Call, spec: Path, tmp_path: Path) -> None:
    said = banana("run", spec, "--sandbox", "--fault", "fail=1")
    assert (said.code, "3 failed" in said.out) == (1, True)
    assert statuses(tmp_path / FOLDER) == ["failed"] * 3


def test_1_again_while_failed_jobs_are_left_alone(banana: Call, spec: Path) -> None:
    banana("run", spec, "--sandbox", "--fault", "fail=1")
    assert banana("run", spec, "--sandbox", *FAST).code == 1


def test_0_after_failed_jobs_were_retried(banana: Call, spec: Path, tmp_path: Path) -> None:
    banana("run", spec, "--sandbox", "--fault", "fail=1")
    assert banana("retry", spec, "--sandbox", "--yes", *FAST).code == 0
    assert statuses(tmp_path / FOLDER) == ["downloaded"] * 3


def test_retry_pays_nothing_that_nobody_agreed_to(banana: Call, spec: Path) -> None:
    banana("run", spec, "--sandbox", "--fault", "fail=1")
    said = banana("retry", spec, "--sandbox", *FAST)
    assert (said.code, "may cost about" in said.err, "--yes" in said.err) == (2, True, True)


def test_1_when_the_outcome_of_a_submit_is_unknown(
    banana: Call, spec: Path, tmp_path: Path
) -> None:
    said = banana("run", spec, "--sandbox", "--fault", "indeterminate=1")
    assert (said.code, "retry" in said.out) == (1, True)
    assert statuses(tmp_path / FOLDER) == ["held"] * 3


def test_2_for_a_bad_spec(banana: Call, spec: Path, tmp_path: Path) -> None:
    spec.write_text("version: 1\nentries:\n  - {id: a, promt: Soup, size: 16x9}\n", "utf-8")
    said = banana("run", spec, "--sandbox")
    assert (said.code, said.out) == (2, "")
    assert "prompt" in said.err
    assert "16:9" in said.err
    assert not (tmp_path / "out").exists()


def test_2_without_a_key(banana: Call, spec: Path, tmp_path: Path) -> None:
    said = banana("run", spec)
    assert (said.code, "no API key" in said.err) == (2, True)
    assert every_file(tmp_path) == [spec]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "menu.yaml", "--sandbox", "--rate", "fast"),
        ("run", "menu.yaml", "--sandbox", "--concurrency", "0"),
        ("run", "menu.yaml", "--sandbox", "--concurrency", "many"),
        ("run", "menu.yaml", "--sandbox", "--deadline", "5 years"),
        ("run", "menu.yaml", "--sandbox", "--max-cost", "a lot"),
        ("run", "menu.yaml", "--sandbox", "--max-cost", "-1"),
        ("run", "menu.yaml", "--sandbox", "--patience", "-"),
        ("run", "menu.yaml", "--sandbox", "--limit", "-3"),
        ("run", "menu.yaml", "--sandbox", "--plan", "nowhere.json"),
        ("run", "menu.yaml", "--sandbox", "--fault", "nothing=1"),
        ("run", "menu.yaml", "--sandbox", "--fault", "fail=often"),
        ("run", "menu.yaml", "--fault", "fail=1"),
        ("run", "menu.yaml", "--sandbox", "--format", "xml"),
        ("run", "menu.yaml", "--sandbox", "--listen", "everywhere"),
        ("run", "menu.yaml", "--no-such-flag"),
        ("run", "menu.yaml", "--api-key-file", "nowhere.txt"),
        ("run",),
        ("run", "nowhere.yaml", "--sandbox"),
        ("no-such-command",),
        ("manifest", "menu.yaml"),
        ("gallery", "menu.yaml"),
        ("retry", "menu.yaml", "--status", "pending"),
        ("schema", "nowhere"),
        ("sandbox", "--port", "99999"),
        ("sandbox", "--fault", "nothing=1"),
        ("balance",),
        ("models", "--folder", "nowhere"),
    ],
)
def test_2_for_a_bad_command_line(banana: Call, spec: Path, words: tuple[str, ...]) -> None:
    said = banana(*words)
    assert said.code == 2, said
    assert said.err
    assert "Traceback" not in said.err


def test_3_when_the_cost_limit_is_reached(banana: Call, spec: Path, tmp_path: Path) -> None:
    said = banana("run", spec, "--sandbox", "--max-cost", "0.04", "--concurrency", "1", *FAST)
    assert (said.code, "--max-cost $0.04 is reached" in said.out) == (3, True)
    assert statuses(tmp_path / FOLDER) == ["downloaded", "pending", "pending"]


def test_0_once_the_limit_is_raised(banana: Call, spec: Path, tmp_path: Path) -> None:
    banana("run", spec, "--sandbox", "--max-cost", "0.04", *FAST)
    assert banana("run", spec, "--sandbox", "--max-cost", "1", *FAST).code == 0
    assert statuses(tmp_path / FOLDER) == ["downloaded"] * 3


@pytest.mark.parametrize("status", [401, 402, 403])
def test_3_when_the_account_must_be_mended(
    banana: Call, spec: Path, tmp_path: Path, status: int
) -> None:
    said = banana("run", spec, "--sandbox", "--fault", f"refuse_with={status}")
    assert said.code == 3
    assert statuses(tmp_path / FOLDER) == ["pending"] * 3


def test_4_while_another_process_holds_the_lock(banana: Call, spec: Path, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w+") as lock:
        who = {"pid": 4711, "host": "elsewhere", "since": "2026-01-01T00:00:00+00:00"}
        json.dump(who, lock)
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", "run", str(spec), "--sandbox"],
            capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert (said.returncode, "process 4711 on elsewhere" in said.stderr) == (4, True)


def test_the_lock_of_a_process_that_died_holds_nobody_up(
    banana: Call, spec: Path, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / ".lock").write_text('{"pid": 4711}')
    assert banana("run", spec, "--sandbox", *FAST).code == 0


def test_5_when_nobody_waits(banana: Call, spec: Path, tmp_path: Path) -> None:
    assert banana("run", spec, "--sandbox", "--no-wait", *FAST).code == 5
    assert statuses(tmp_path / FOLDER) == ["submitted"] * 3


def test_5_when_images_are_left_for_later(banana: Call, spec: Path, tmp_path: Path) -> None:
    assert banana("run", spec, "--sandbox", "--no-download", *FAST).code == 5
    assert statuses(tmp_path / FOLDER) == ["completed"] * 3


def test_0_once_what_was_submitted_is_collected(banana: Call, spec: Path, tmp_path: Path) -> None:
    banana("run", spec, "--sandbox", "--no-wait", *FAST)
    assert banana("run", spec, "--sandbox", *FAST).code == 0
    assert facts(tmp_path / FOLDER / "state.sqlite", "SELECT max(sends) FROM jobs") == [(1,)]


def test_5_when_the_deadline_comes_first(banana: Call, spec: Path) -> None:
    said = banana(
        "run", spec, "--sandbox", "--deadline", "30s", "--fault", "task_seconds=1000", *FAST
    )
    assert (said.code, "deadline" in said.out) == (5, True)


def test_5_when_the_api_is_out_of_reach(
    banana: Call, spec: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("APIMART_API_KEY", KEY)
    monkeypatch.setenv("APIMART_BASE_URL", "http://127.0.0.1:1")
    assert banana("run", spec, "--patience", "10s").code == 5
    assert statuses(tmp_path / "out/menu") == ["pending"] * 3


def test_5_when_the_output_cannot_be_written(banana: Call, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked-sandbox").write_text("a file where a folder should be")
    said = banana("run", spec, "--sandbox", "--output", "blocked")
    assert (said.code, "cannot write" in said.err) == (5, True)


def test_the_key_is_in_no_file_and_no_message(
    banana: Call, spec: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("APIMART_API_KEY", KEY)
    monkeypatch.setenv("APIMART_BASE_URL", "http://127.0.0.1:1")
    said: list[Said] = [
        banana("run", spec, "--patience", "1s", "-v"),
        banana("run", spec, "--patience", "1s", "--log-format", "json"),
        banana("doctor", spec),
        banana("status", spec),
        banana("manifest", spec),
        banana("gallery", spec),
    ]
    assert [one for one in said if KEY in one.out + one.err] == []
    written = [one for one in every_file(tmp_path / "out") if KEY.encode() in one.read_bytes()]
    assert written == []
