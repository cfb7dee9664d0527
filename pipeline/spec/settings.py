"""How a run behaves: the command line beats the environment beats the spec beats the schema."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline import money, schema
from pipeline.errors import InputError
from pipeline.explain import explain, shown
from pipeline.model import RunSettings, WebhookSettings
from pipeline.problem import Place
from pipeline.schema import Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.spec.load import Spec

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SWITCHES = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def run_settings(spec: Spec, overrides: Mapping[str, Any]) -> RunSettings:
    """Return how a run of `spec` behaves.

    `overrides` are by the names of the spec's `run:` section; None means not given, text is what
    the user typed. Raises `InputError` for one that is no good, `KeyError` for one that is no
    setting. What is wrong in the spec itself is left out; it is among the spec's problems.
    """
    properties = schema.document("spec")["$defs"]["run"]["properties"]
    values = schema.defaults("run")
    asked = spec.document.data.get("run")
    if isinstance(asked, dict):
        _add(values, {k: v for k, v in asked.items() if spec.sound(("run", k))}, properties)
    given = {name: word for name, word in overrides.items() if word is not None}
    _add(
        values, {name: _value(name, word, properties[name]) for name, word in given.items()}, given
    )
    webhook = values.get("webhook")
    cost = values.get("max_cost")
    return RunSettings(
        concurrency=int(values["concurrency"]),
        rate=per_second(values["rate"]) if "rate" in values else None,
        max_cost=None if cost is None else money.parse(_amount(cost)),
        deadline=seconds(values["deadline"]) if "deadline" in values else None,
        patience=seconds(values["patience"]),
        task_retries=int(values["task_retries"]),
        webhook=_receiver(webhook) if webhook else None,
        timeouts={phase: float(value) for phase, value in values["timeouts"].items()},
        **{name: values[name] for name in _switches()},
    )


def seconds(span: str | float) -> float:
    """Turn a span of time (`90`, `"30m"`, `"1.5h"`) that obeys the schema into seconds."""
    number = str(span).rstrip("smhd")
    return float(number) * _SECONDS[str(span)[len(number) :]]


def per_second(rate: str) -> float:
    """Turn a rate (`"10/s"`, `"300/min"`) that obeys the schema into a number a second."""
    number, unit = rate.split("/")
    return float(number) / _SECONDS[unit]


def _add(values: dict[str, Any], more: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if name not in known:
            continue
        nested = isinstance(value, dict) and isinstance(values.get(name), dict)
        values[name] = {**values[name], **value} if nested else value


def _receiver(told: Mapping[str, str]) -> WebhookSettings:
    if not told.get("listen"):
        raise InputError(
            "--public-url needs --listen",
            why="It is the public address of our own receiver, which is to listen somewhere.",
            fix="Say where the proxy or the tunnel leads to:\n  --listen 127.0.0.1:8790",
        )
    return WebhookSettings(told["listen"], told.get("public_url", ""))


def _amount(cost: int | float) -> str:
    return str(int(cost)) if isinstance(cost, int) else str(cost)


@cache
def _switches() -> tuple[str, ...]:
    fields = (field.name for field in dataclasses.fields(RunSettings))
    run = schema.document("spec")["$defs"]["run"]["properties"]
    return tuple(name for name in fields if run[name].get("type") == "boolean")


def _value(name: str, word: Any, rule: Mapping[str, Any]) -> Any:
    """Return what the user typed for a setting as a value. Raises `InputError`."""
    if isinstance(word, dict):
        return {key: _value(key, part, rule["properties"][key]) for key, part in word.items()}
    value = _typed(word.strip(), rule) if isinstance(word, str) else word
    validator = Validator(rule)
    if validator.valid(value):
        return value
    flag = "--" + name.replace("_", "-")
    told = explain(validator.violations(value)[0], Place(""), "")
    examples = rule.get("examples", [rule.get("default", "")])
    said = told.message.replace("the spec", "it", 1)
    raise InputError(
        f"{flag} cannot be {shown(word)}",
        why=told.why or f"{said[0].upper()}{said[1:]}.",
        fix=f"For example:\n  {flag} {str(examples[0]).lower()}",
    )


def _typed(word: str, rule: Mapping[str, Any]) -> Any:
    types = rule.get("type", ())
    types = {types} if isinstance(types, str) else set(types)
    if "boolean" in types:
        return _SWITCHES.get(word.lower(), word)
    if "integer" in types and re.fullmatch(r"[-+]?\d{1,18}", word):
        return int(word)
    if types == {"number"}:
        word = word.removeprefix("$")
        return float(word) if re.fullmatch(r"[-+]?\d{1,18}(\.\d{1,18})?", word) else word
    return word
