"""Flag beats environment beats spec beats schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline import money, schema, spec
from pipeline.errors import InputError
from pipeline.model import WebhookSettings

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.model import RunSettings


def settings(folder: Path, run: str = "{}", **overrides: Any) -> RunSettings:
    (folder / "a.yaml").write_text(f"version: 1\nentries: [{{prompt: x}}]\nrun: {run}\n")
    return spec.run_settings(spec.load("a.yaml", environ={}, cwd=folder), overrides)


def test_the_schema_says_what_nobody_said(tmp_path: Path) -> None:
    found, usual = settings(tmp_path), schema.defaults("run")
    assert found.concurrency == usual["concurrency"]
    assert (found.rate, found.max_cost, found.deadline, found.webhook) == (None, None, None, None)
    assert found.timeouts == usual["timeouts"]
    assert found.wait is True


def test_the_spec_beats_the_schema(tmp_path: Path) -> None:
    found = settings(tmp_path, "{concurrency: 7, wait: false, timeouts: {read: 5}}")
    assert (found.concurrency, found.wait) == (7, False)
    assert found.timeouts["read"] == 5
    assert found.timeouts["connect"] == schema.defaults("run")["timeouts"]["connect"]


def test_the_command_line_beats_the_spec(tmp_path: Path) -> None:
    run = "{concurrency: 7, rate: 1/s, wait: false, max_cost: 1}"
    found = settings(tmp_path, run, concurrency="9", rate=None, wait=True, max_cost="$2.50")
    assert (found.concurrency, found.rate, found.wait) == (9, 1.0, True)
    assert found.max_cost == money.parse("2.50")


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), ("0", 0)],
)
def test_a_span_of_time_is_seconds(tmp_path: Path, typed: str, seconds: float) -> None:
    assert settings(tmp_path, f"{{deadline: {typed}}}").deadline == seconds
    assert settings(tmp_path, deadline=typed).deadline == seconds


@pytest.mark.parametrize(
    ("typed", "rate"), [("10/s", 10), ("300/min", 5), ("300/m", 5), ("1800/h", 0.5), ("0.5/s", 0.5)]
)
def test_a_rate_is_per_second(tmp_path: Path, typed: str, rate: float) -> None:
    assert settings(tmp_path, f"{{rate: {typed}}}").rate == rate
    assert settings(tmp_path, rate=typed).rate == rate


@pytest.mark.parametrize("typed", ["5", "5.00", "05", "5e0"])
def test_money_is_exact(tmp_path: Path, typed: str) -> None:
    assert settings(tmp_path, f"{{max_cost: {typed}}}").max_cost == money.parse("5")


def test_a_webhook_is_read(tmp_path: Path) -> None:
    run = '{webhook: {listen: "127.0.0.1:8790", public_url: "https://h.example/x"}}'
    assert settings(tmp_path, run).webhook == WebhookSettings(
        "127.0.0.1:8790", "https://h.example/x"
    )


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("concurrency", "0"),
        ("concurrency", "many"),
        ("concurrency", "1.5"),
        ("concurrency", "99999"),
        ("rate", "0/s"),
        ("rate", "10"),
        ("rate", "-1/s"),
        ("max_cost", "0"),
        ("max_cost", "-5"),
        ("max_cost", "nan"),
        ("max_cost", "9" * 30),
        ("deadline", "soon"),
        ("deadline", "9" * 400),
        ("patience", "-1"),
        ("wait", "perhaps"),
    ],
)
def test_an_override_that_is_no_good_is_refused_by_its_flag(
    tmp_path: Path, name: str, typed: str
) -> None:
    with pytest.raises(InputError) as caught:
        settings(tmp_path, **{name: typed})
    assert caught.value.summary.startswith("--" + name.replace("_", "-"))
    assert caught.value.why
    assert caught.value.fix


def test_what_is_wrong_in_the_spec_is_left_to_its_problems(tmp_path: Path) -> None:
    usual = schema.defaults("run")["concurrency"]
    assert settings(tmp_path, "{concurrency: many, rate: 2/s}").concurrency == usual


def test_a_word_that_is_no_setting_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        settings(tmp_path, colour="red")
