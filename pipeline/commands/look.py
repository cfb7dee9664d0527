"""The small commands that only show something: `schema`, `models`, `balance`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline import editor, money, schema, terminal
from pipeline.commands import question
from pipeline.errors import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.commands.world import World
    from pipeline.model import Model

MODELS = schema.MODELS


def print_schema(world: World, name: str) -> int:
    """Print one schema, whole enough to be used alone."""
    told = editor.bundle(schema.models()) if name == "spec" else schema.document(name)
    world.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return Exit.DONE


def print_schema_names(world: World) -> int:
    """List the schemas there are."""
    world.stdout.write("".join(f"{name}\n" for name in schema.names()))
    return Exit.DONE


def known_models(world: World, folder: str | None) -> dict[str, Model]:
    """Return the models that ship, then those of BANANA_BATCH_MODELS and of `folder`."""
    own = [world.cwd / folder] if folder else []
    return schema.models(*schema.model_folders(world.environ, world.cwd), *own)


def print_models(world: World, *, format: str, folder: str | None) -> int:
    """List the models with their limits and prices."""
    models = known_models(world, folder)
    if format == "json":
        told = [one.card for one in models.values()]
        world.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return Exit.DONE
    default = schema.document("spec")["properties"]["model"]["default"]
    columns = terminal.columns(world.stdout, world.environ)
    for name, model in models.items():
        mark = "  (default)" if name == default else ""
        world.stdout.write(
            f"{name}{mark}\n  {terminal.cut(terminal.clean(model.title), columns - 2)}\n"
        )
        for label, said in _limits(model):
            shown = terminal.cut(terminal.clean(said), max(20, columns - 14))
            world.stdout.write(f"  {label:<11} {shown}\n")
        world.stdout.write("\n")
    return Exit.DONE


def _limits(model: Model) -> list[tuple[str, str]]:
    properties = model.request["properties"]
    size, resolution, count = (properties.get(one, {}) for one in ("size", "resolution", "n"))
    price = model.card["x-price"]
    images = ", ".join(
        f"{money.display(_image(price, tokens))} at {tier}"
        for tier, tokens in price["output_tokens_per_image"].items()
    )
    return [
        ("size", " ".join(size.get("enum", ["any"]))),
        ("resolution", " ".join(resolution.get("enum", ["any"]))),
        ("n", f"1 to {most}" if (most := count.get("maximum", 1)) > 1 else "1"),
        (
            "references",
            f"at most {model.max_references}, {model.max_reference_bytes // 2**20} MB each",
        ),
        ("price", f"about {images} an image"),
        *(("to review", guess) for guess in model.card.get("x-review", ())),
    ]


def _image(price: dict[str, str], tokens: int) -> money.Money:
    per_million = money.parse(price["output_per_million_tokens"])
    return money.Money(per_million * tokens // 10**6)


def print_balance(world: World, *, key_file: Path | None, format: str) -> int:
    """Ask the API for the account's balance and print it."""
    balance = question.ask(world, lambda api: api.balance(), key_file)
    remaining = None if balance.remaining is None else money.text(balance.remaining)
    used = None if balance.used is None else money.text(balance.used)
    if format == "json":
        told = {"remaining_usd": remaining, "used_usd": used, "unlimited": remaining is None}
        world.stdout.write(json.dumps(told) + "\n")
    else:
        left = "unlimited" if remaining is None else f"${remaining} left"
        world.stdout.write(left + (f", ${used} used\n" if used is not None else "\n"))
    return Exit.DONE
