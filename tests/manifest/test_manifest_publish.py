from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from manifest_samples import about, downloaded, sample

from pipeline.errors import DiskError
from pipeline.manifest import publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.model import Record


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_both_files_and_nothing_else_are_there(tmp_path: Path) -> None:
    publish(tmp_path, about(), sample)
    assert names(tmp_path) == ["manifest.csv", "manifest.json"]


def test_both_files_tell_of_the_same_images(tmp_path: Path) -> None:
    publish(tmp_path, about(), sample)
    with (tmp_path / "manifest.csv").open(encoding="utf-8", newline="") as file:
        from_csv = [row["task_id"] for row in csv.DictReader(file)]
    found = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    jobs = [job for entry in found["entries"] for job in entry["jobs"]]
    assert from_csv == [job["task_id"] or "" for job in jobs] == ["task_1", "task_2", ""]


def test_the_records_are_read_once(tmp_path: Path) -> None:
    asked = []

    def records() -> list[Record]:
        asked.append(1)
        return sample()

    publish(tmp_path, about(), records)
    assert asked == [1]


@pytest.mark.parametrize("after", range(3))
def test_records_that_break_off_leave_the_old_files_alone(tmp_path: Path, after: int) -> None:
    publish(tmp_path, about(), sample)
    before = contents(tmp_path)

    def breaking() -> Iterator[Record]:
        yield from sample()[:after]
        raise RuntimeError("the state file is gone")

    with pytest.raises(RuntimeError, match="the state file is gone"):
        publish(tmp_path, about(), breaking)
    assert contents(tmp_path) == before


def test_a_disk_that_refuses_is_a_disk_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()  # cannot be replaced by a file
    with pytest.raises(DiskError, match="cannot be written"):
        publish(tmp_path, about(), sample)
    assert [name for name in names(tmp_path) if name.endswith(".part")] == []


def test_a_folder_that_is_not_there_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file"):
        publish(tmp_path / "gone", about(), sample)


def test_a_disk_error_says_that_the_images_are_safe(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught:
        publish(tmp_path / "gone", about(), sample)
    assert "images" in caught.value.why
    assert caught.value.fix


def test_the_part_file_of_a_killed_process_is_swept_away(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    (tmp_path / f".manifest.csv.{ended.stdout.strip()}.part").write_text("half")
    publish(tmp_path, about(), sample)
    assert names(tmp_path) == ["manifest.csv", "manifest.json"]


def test_the_part_file_of_a_living_process_is_left_to_it(tmp_path: Path) -> None:
    other = f".manifest.csv.{os.getppid()}.part"
    (tmp_path / other).write_text("half")
    publish(tmp_path, about(), sample)
    assert other in names(tmp_path)


def test_the_files_can_be_read_by_whoever_the_umask_allows(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        publish(tmp_path, about(), sample)
    finally:
        os.umask(old)
    assert (tmp_path / "manifest.csv").stat().st_mode & 0o777 == 0o644


def test_a_link_planted_as_the_part_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / f".manifest.csv.{os.getpid()}.part").symlink_to(target)
    with pytest.raises(DiskError):
        publish(tmp_path, about(), sample)
    assert target.read_text() == "mine"


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        publish(tmp_path, about(), lambda: (downloaded(n, entry_id=f"e{n}") for n in range(count)))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(100)
    assert peak(3000) < 2 * peak(300)
