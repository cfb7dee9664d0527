"""The examples work, as far as that can be seen without their hosts."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from documents import ROOT, flags, wrong_words
from PIL import Image

from pipeline.cli import main
from pipeline.cli.verbs import cli
from pipeline.errors import Exit

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = ROOT / "examples"
SPECS = [*sorted((ROOT / "specs").glob("*.yaml")), EXAMPLES / "catalogue/catalogue.yaml"]
PICTURES = sorted([*ROOT.glob("specs/refs/*"), *EXAMPLES.glob("catalogue/refs/*")])
WITH_COMMANDS = [
    EXAMPLES / "cron/crontab",
    EXAMPLES / "cron/nightly.sh",
    EXAMPLES / "systemd/banana-batch.service",
    EXAMPLES / "github-actions/nightly-images.yml",
    ROOT / ".pre-commit-hooks.yaml",
    ROOT / ".pre-commit-config.yaml",
    ROOT / "action.yml",
    *SPECS,
]
DOCUMENTS = [
    *EXAMPLES.glob("github-actions/*.yml"),
    *EXAMPLES.glob("kubernetes/*.yaml"),
    ROOT / "action.yml",
    ROOT / ".pre-commit-hooks.yaml",
    ROOT / ".pre-commit-config.yaml",
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def ended(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return end.value.code


# ── specs ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_a_spec_of_ours_is_valid(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = ended("validate", str(spec))
    said = capsys.readouterr()
    assert (code, "warning" in said.out, said.err) == (Exit.DONE, False, "")


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_a_spec_of_ours_leads_an_editor_to_its_schema(spec: Path) -> None:
    first = spec.read_text(encoding="utf-8").splitlines()[0]
    schema = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert schema is not None
    assert (spec.parent / schema[1]).is_file()


def test_the_quickstart_is_what_a_user_would_write() -> None:
    entries = loaded(ROOT / "specs/quickstart.yaml")["entries"]
    assert len(entries) == 12
    assert len({one.get("size", "1:1") for one in entries}) >= 6
    assert [one["n"] for one in entries if "n" in one] == [3]
    assert any(re.search("[\u4e00-\u9fff]", one["prompt"]) for one in entries)
    assert sum("references" in one for one in entries) >= 3


@pytest.mark.parametrize("picture", PICTURES, ids=name_of)
def test_a_reference_of_ours_is_a_small_picture(picture: Path) -> None:
    with Image.open(picture, formats=("JPEG", "PNG", "WEBP")) as image:
        image.load()
    assert picture.stat().st_size < 60_000


def test_references_of_all_three_kinds_are_shown() -> None:
    assert {path.suffix for path in (ROOT / "specs/refs").iterdir()} == {".png", ".jpg", ".webp"}


def test_every_product_has_its_photo() -> None:
    with (EXAMPLES / "catalogue/products.csv").open(encoding="utf-8", newline="") as file:
        skus = [row["sku"] for row in csv.DictReader(file)]
    photos = {path.stem for path in (EXAMPLES / "catalogue/refs").iterdir()}
    assert set(skus) <= photos


def test_the_catalogue_says_how_many_jobs_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    ended("validate", str(SPECS[-1]))
    counted = capsys.readouterr().out.split(": ", 1)[1].strip()
    assert counted in (EXAMPLES / "catalogue/README.md").read_text(encoding="utf-8")


# ── commands ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=name_of)
def test_commands_of_an_example_exist_with_their_flags(path: Path) -> None:
    assert wrong_words(path.read_text(encoding="utf-8")) == []


def test_make_demo_runs_a_command_that_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^\t\$\(BIN\)/(banana-batch .+)$", makefile, re.MULTILINE)
    assert commands == ["banana-batch run specs/quickstart.yaml --sandbox"]
    assert wrong_words(commands[0]) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_file_for_a_host_is_yaml(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


# ── cron ────────────────────────────────────────────────────────────────────────────────────


def nightly(tmp_path: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Run the script with a program in the tool's place that ends with `code`."""
    stand_in = tmp_path / "banana-batch"
    stand_in.write_text(f'#!/bin/sh\necho "said: $*" >&2\nexit {code}\n')
    stand_in.chmod(0o755)
    return subprocess.run(
        ["sh", str(EXAMPLES / "cron/nightly.sh"), "images.yaml", "--deadline", "4h"],
        env={"PATH": f"{tmp_path}:{os.defpath}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_cron_script_is_a_script_of_a_plain_shell() -> None:
    subprocess.run(["sh", "-n", str(EXAMPLES / "cron/nightly.sh")], check=True)
    assert os.access(EXAMPLES / "cron/nightly.sh", os.X_OK)


@pytest.mark.parametrize("code", [0, 4, 5])
def test_cron_has_nothing_to_mail_when_nobody_is_needed(code: int, tmp_path: Path) -> None:
    run = nightly(tmp_path, code)
    assert (run.returncode, run.stdout, run.stderr) == (code, "", "")


@pytest.mark.parametrize("code", [1, 2, 3, 70])
def test_cron_mails_what_was_said_when_somebody_is_needed(code: int, tmp_path: Path) -> None:
    run = nightly(tmp_path, code)
    assert run.returncode == code
    assert run.stdout.startswith("images.yaml: ")
    assert "said: run images.yaml --quiet --deadline 4h\n" in run.stdout


def test_the_cron_script_says_that_the_tool_is_missing(tmp_path: Path) -> None:
    run = subprocess.run(
        ["/bin/sh", str(EXAMPLES / "cron/nightly.sh"), "images.yaml"],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 127
    assert "not on PATH" in run.stdout


def test_every_line_of_the_crontab_has_a_time_and_a_command() -> None:
    lines = (EXAMPLES / "cron/crontab").read_text(encoding="utf-8").splitlines()
    jobs = [one for one in lines if one and not re.match(r"#|[A-Z]+=", one)]
    assert len(jobs) == 2
    assert all(re.match(r"[\d*]+ [\d*]+ [\d*]+ [\d*]+ [\d*]+  \S", one) for one in jobs)
    assert not any(re.search(r"(?<!\\)%", one) for one in jobs)


# ── systemd ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in (EXAMPLES / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8")
        # The program itself need not be installed where the tests run.
        (tmp_path / unit.name).write_text(text.replace("/usr/local/bin/banana-batch", "/bin/true"))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "banana-batch." not in said.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_when_the_timer_runs() -> None:
    timer = (EXAMPLES / "systemd/banana-batch.timer").read_text(encoding="utf-8")
    when = re.search(r"^OnCalendar=(.+)$", timer, re.MULTILINE)
    assert when is not None
    subprocess.run(["systemd-analyze", "calendar", when[1]], capture_output=True, check=True)


def test_the_service_counts_as_success_what_the_next_run_mends() -> None:
    service = (EXAMPLES / "systemd/banana-batch.service").read_text(encoding="utf-8")
    codes = f"{int(Exit.LOCKED)} {int(Exit.UNFINISHED)} {int(Exit.TERMINATED)}"
    assert f"\nSuccessExitStatus={codes}\n" in service


# ── GitHub ──────────────────────────────────────────────────────────────────────────────────


def steps_of(path: Path) -> list[dict[str, Any]]:
    document = loaded(path)
    jobs = [document["runs"]] if "runs" in document else document["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


SCRIPTS = [
    pytest.param(step["run"], id=f"{path.name}-{step['name']}")
    for path in (ROOT / "action.yml", EXAMPLES / "github-actions/nightly-images.yml")
    for step in steps_of(path)
    if "run" in step
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_step_of_a_workflow_is_a_shell_script(script: str) -> None:
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_an_event_holds_is_not_pasted_into_a_script(script: str) -> None:
    assert "${{" not in script.replace("${{ github.run_id }}", "")


def test_a_workflow_gives_the_action_only_inputs_that_it_has() -> None:
    known = set(loaded(ROOT / "action.yml")["inputs"])
    used = [
        step for step in steps_of(EXAMPLES / "github-actions/check-specs.yml") if "with" in step
    ]
    assert [step["uses"].split("@")[0] for step in used] == ["your-org/banana-batch"]
    assert set(used[0]["with"]) <= known


def test_the_nightly_workflow_never_runs_twice_at_once() -> None:
    workflow = loaded(EXAMPLES / "github-actions/nightly-images.yml")
    assert workflow["concurrency"]["cancel-in-progress"] is False


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a checkout whose pull request changes one entry of two and adds a third."""
    where = tmp_path / "checkout"
    (where / "specs").mkdir(parents=True)
    spec = where / "specs/menu.yaml"
    git = ["git", "-C", str(where), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    spec.write_text(
        "version: 1\nentries:\n- {id: a, prompt: Soup}\n- {id: b, prompt: Salad}\n", "utf-8"
    )
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    subprocess.run([*git, "remote", "add", "origin", str(where)], check=True)
    spec.write_text(
        "version: 1\nentries:\n- {id: a, prompt: Soup}\n- {id: b, prompt: Green salad}\n"
        "- {id: c, prompt: Bread}\n",
        "utf-8",
    )
    return where


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
def test_the_action_counts_what_a_pull_request_would_cost(repository: Path) -> None:
    tools = repository / "tools"
    tools.mkdir()
    program = tools / "banana-batch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline.cli "$@"\n', "utf-8")
    program.chmod(0o755)
    script = next(one for one in SCRIPTS if "Count" in str(one.id)).values[0]
    base = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (repository / "run").mkdir()
    subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", str(script)],
        cwd=repository,
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SPECS": "specs/*.yaml",
            "BASE": base,
            "RUNNER_TEMP": str(repository / "run"),
            "GITHUB_STEP_SUMMARY": str(repository / "run/summary"),
        },
        check=True,
    )
    comment = (repository / "run/comment.md").read_text(encoding="utf-8")
    assert comment.startswith("<!-- banana-batch -->\n")
    assert "| `specs/menu.yaml` | 2 | $0.07 | 3 | $0.1 |" in comment


# ── Kubernetes ──────────────────────────────────────────────────────────────────────────────


def cron_job() -> dict[str, Any]:
    text = (EXAMPLES / "kubernetes/cronjob.yaml").read_text(encoding="utf-8")
    found = {one["kind"]: one for one in yaml.safe_load_all(text)}
    job: dict[str, Any] = found["CronJob"]["spec"]
    return job


def test_the_container_runs_a_command_that_exists() -> None:
    container = cron_job()["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["banana-batch"]
    verb, *words = container["args"]
    assert verb in cli.commands
    assert {one.split("=")[0] for one in words if one.startswith("-")} <= flags(verb)


def test_kubernetes_forbids_two_runs_at_once() -> None:
    assert cron_job()["concurrencyPolicy"] == "Forbid"


def test_kubernetes_tries_again_only_what_another_run_mends() -> None:
    rules = cron_job()["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    fail = {code for rule in rules for code in rule["onExitCodes"]["values"]}
    assert fail == {Exit.SOME_FAILED, Exit.WRONG_INPUT, Exit.STOPPED, Exit.BUG}


def test_what_a_pod_mounts_is_there() -> None:
    pod = cron_job()["jobTemplate"]["spec"]["template"]["spec"]
    mounts = {one["name"] for box in pod["containers"] for one in box["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}


# ── pre-commit ──────────────────────────────────────────────────────────────────────────────


def test_the_hook_takes_specs_and_nothing_else() -> None:
    (hook,) = loaded(ROOT / ".pre-commit-hooks.yaml")
    pattern = re.compile(hook["files"])
    assert [bool(pattern.search(one)) for one in ("specs/a.yaml", "x/specs/b.yml", "ci.yaml")] == [
        True,
        True,
        False,
    ]


def test_our_own_hooks_need_no_address() -> None:
    assert {one["repo"] for one in loaded(ROOT / ".pre-commit-config.yaml")["repos"]} == {"local"}
