"""The wheel has everything: built here, installed elsewhere, it runs the quickstart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline import schema

ROOT = Path(__file__).parents[1]


def clean_environment() -> dict[str, str]:
    """Return an environment that does not lead back to the checkout."""
    ours = ("PYTHON", "APIMART_", "BANANA_BATCH_", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a copy, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("pipeline", "schemas"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"],
        cwd=copy, check=True, capture_output=True,
    )  # fmt: skip
    (found,) = (copy / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return `banana-batch` in a fresh environment that has this one's dependencies, not us."""
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin/python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
         "--no-compile", "--disable-pip-version-check", wheel],
        check=True, capture_output=True, env=clean_environment(),
    )  # fmt: skip
    # Where the dependencies are. An editable install of ours there is not followed: only site
    # folders have their own `.pth` files read, and this makes them plain folders.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in here), "utf-8")
    return home / "bin/banana-batch"


def test_the_wheel_has_the_schemas_and_the_models(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("schemas/**/*.json")}
    assert {f"pipeline/{name}" for name in shipped} <= set(names)


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pipeline").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= set(names)


def test_the_wheel_has_nothing_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.split("-")[0] for top in tops} == {"pipeline", "banana_batch"}


def test_the_wheel_installs_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert b"banana-batch = pipeline.cli:main" in archive.read(points)


def test_the_installed_program_is_not_the_checkout(program: Path, tmp_path: Path) -> None:
    said = subprocess.run(
        [program.parent / "python", "-c", "from pipeline import schema; print(schema.folder())"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip().startswith(str(program.parents[1]))


def test_the_installed_programs_second_process_brings_the_images(
    program: Path, tmp_path: Path
) -> None:
    jobs: int = schema.document("limits")["porter"]["least_jobs"]
    rows = "".join(f"n{number},bowl number {number}\n" for number in range(jobs))
    (tmp_path / "rows.csv").write_text(f"sku,title\n{rows}", encoding="utf-8")
    (tmp_path / "many.yaml").write_text(
        "version: 1\nentries:\n  - {from: rows.csv, id: '${{ sku }}', prompt: 'A ${{ title }}'}\n",
        encoding="utf-8",
    )
    words = ["--sandbox", "--fault", "plain=true", "--fault", "task_seconds=0.01", "--no-gallery"]
    said = subprocess.run(
        [program, "run", "many.yaml", *words],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    out = tmp_path / "out/many-sandbox"
    assert len(list((out / "images").glob("*.jpg"))) == jobs
    assert "has ended" not in (out / "run.log").read_text(encoding="utf-8")


def test_the_installed_program_runs_the_quickstart(program: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs", ignore=shutil.ignore_patterns("out"))
    said = subprocess.run(
        [program, "run", "specs/quickstart.yaml", "--sandbox", "--fault", "plain=true"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    images = list((tmp_path / "specs/out/quickstart-sandbox/images").glob("*.jpg"))
    assert len(images) == 14
    for path in images:
        with Image.open(path) as image:
            image.load()
