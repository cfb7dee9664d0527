"""Records as a run would leave them."""

from __future__ import annotations

from typing import Any

from pipeline import money
from pipeline.lifecycle import Status
from pipeline.model import About, Image, Record, Totals

NOON = 1_767_355_200.0  # 2026-01-02T12:00:00Z


def record(number: int = 1, **fields: Any) -> Record:
    """Return a job that waits, unless told otherwise."""
    usual: dict[str, Any] = {
        "entry_id": "night-city",
        "image_index": 1,
        "images": 1,
        "position": number - 1,
        "active": True,
        "status": Status.PENDING,
        "model": "gemini-3.1-flash-lite-image",
        "prompt": "A cyberpunk city at night, neon lights",
        "size": "16:9",
        "request": "{}",
        "references": (),
        "references_as": "upload",
        "webhook": "",
        "fingerprint": f"{number:064x}",
        "stems": ("night-city",),
        "tags": (),
        "estimate": money.parse("0.0336"),
    }
    return Record(number=number, **{**usual, **fields})


def downloaded(number: int = 1, index: int = 1, **fields: Any) -> Record:
    """Return a job whose image is on disk."""
    name = "night-city" if index == 1 else f"night-city-{index}"
    usual: dict[str, Any] = {
        "image_index": index,
        "status": Status.DOWNLOADED,
        "attempt": 1,
        "key": f"key-{number}",
        "task_id": f"task_{number}",
        "cost": money.parse("0.0336"),
        "submitted_at": NOON,
        "completed_at": NOON + 11,
        "results": (image(index, file=f"images/{name}.png"),),
    }
    return record(number, **{**usual, **fields})


def image(index: int = 1, **fields: Any) -> Image:
    """Return an image of the ratio asked for."""
    usual: dict[str, Any] = {
        "url": f"https://cdn.example.com/{index}.png",
        "url_expires_at": NOON + 86400,
        "file": f"images/{index}.png",
        "bytes": 1000,
        "sha256": "a" * 64,
        "width": 1376,
        "height": 768,
        "format": "png",
    }
    return Image(index=index, **{**usual, **fields})


def sample() -> list[Record]:
    """Return the run that the recipes of `docs/manifest.md` are about."""
    tags = ("city", "neon; bright")
    return [
        downloaded(1, 1, tags=tags),
        downloaded(2, 2, tags=tags),
        record(
            3,
            entry_id="=mug",
            status=Status.FAILED,
            attempt=1,
            key="key-3",
            error_type="invalid_request_error",
            error_message="The prompt is empty; say what to draw",
        ),
    ]


def about(**counts: int) -> About:
    """Return what the document says of the whole."""
    found = {Status(name): count for name, count in counts.items()}
    return About(
        name="sample",
        spec="specs/sample.yaml",
        git_commit="",
        host="http://127.0.0.1:8787",
        sandbox=True,
        generated_at=NOON,
        version="0.1.0",
        totals=Totals(found, images=counts.get("downloaded", 0), spent=money.parse("0.0672")),
    )
