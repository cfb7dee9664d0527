"""One run at a time for a spec, and no file to delete by hand afterwards."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import DiskError, Exit, LockHeld
from pipeline.lock import held, holder

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / ".lock"


def test_a_second_run_is_told_who_holds_the_lock(path: Path) -> None:
    with held(path, NOW), pytest.raises(LockHeld) as refused, held(path, NOW):
        pass
    assert refused.value.exit is Exit.LOCKED
    assert "process" in refused.value.summary
    assert "2027-01-15T08:00:00+00:00" in refused.value.summary


def test_the_lock_is_free_again_when_its_run_has_ended(path: Path) -> None:
    with held(path, NOW):
        assert holder(path) != ""
    assert holder(path) == ""
    with held(path, NOW):
        pass


def test_the_lock_dies_with_its_process(path: Path) -> None:
    script = (
        "import os, sys, pathlib\nfrom pipeline.lock import held\n"
        "with held(pathlib.Path(sys.argv[1]), 0.0):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld, match=f"process {other.pid} "), held(path, NOW):
            pass
        other.kill()
        other.wait()
    with held(path, NOW):
        pass


def test_one_spec_through_a_link_is_still_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with (
        held(tmp_path / "real" / ".lock", NOW),
        pytest.raises(LockHeld),
        held(tmp_path / "link" / ".lock", NOW),
    ):
        pass


def test_two_specs_may_run_at_once(tmp_path: Path) -> None:
    with held(tmp_path / "one" / ".lock", NOW), held(tmp_path / "two" / ".lock", NOW):
        pass


def test_the_lock_file_is_for_its_owner_only(path: Path) -> None:
    with held(path, NOW):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lock_file_with_rubbish_in_it_still_locks(path: Path) -> None:
    with held(path, NOW):
        path.write_bytes(b"\xff rubbish")
        with pytest.raises(LockHeld, match="did not say who it is"), held(path, NOW):
            pass


def test_nobody_holds_a_lock_that_is_not_there(path: Path) -> None:
    assert holder(path) == ""
    assert not path.exists()


def test_a_place_without_permission_is_a_matter_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder must go")
    with pytest.raises(DiskError), held(tmp_path / "out" / ".lock", NOW):
        pass


def test_a_lock_file_removed_between_opening_and_locking_is_not_the_one_locked(
    path: Path,
) -> None:
    """Another run that ends may remove its folder; two runs must not hold two different files."""
    script = """
import json, os, pathlib, sys
from pipeline.lock import held
path = pathlib.Path(sys.argv[1])
removed = []
def hook(event, args):
    if event == "fcntl.flock" and not removed:
        removed.append(True)
        os.unlink(path)
sys.addaudithook(hook)
with held(path, 0.0):
    print(json.dumps({"removed": bool(removed), "there": path.exists()}))
"""
    said = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == {"removed": True, "there": True}
