"""What a run leaves under `images/`: names, provenance, sidecars, and pictures of another ratio."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from pipeline import metadata
from pipeline.commands.gallery import gallery
from pipeline.errors import SpecError
from pipeline.lifecycle import Status

if TYPE_CHECKING:
    from pathlib import Path

    from command_desk import Desk

FORMATS = ["jpeg", "png", "webp"]
EMBED = "output: {metadata: embed}\n"
SIDECAR = "output: {sidecar: true}\n"


def billed(desk: Desk) -> int:
    """Return how many tasks the sandbox was paid for."""
    lines = (desk.results / "sandbox.jsonl").read_text("utf-8").splitlines()
    return sum("task" in json.loads(line) for line in lines)


def facts(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text("utf-8"))
    return found


# ── names ───────────────────────────────────────────────────────────────────────────────────


def test_without_a_template_the_first_image_has_the_entrys_name_alone(desk: Desk) -> None:
    desk.write("entries:\n  - {id: cup, prompt: a cup, n: 3}\n")
    desk.run()
    assert desk.files() == ["cup-2.jpg", "cup-3.jpg", "cup.jpg"]


def test_images_have_the_names_of_the_template(desk: Desk) -> None:
    desk.write(
        'output: {name: "${{ id }}-${{ index }}"}\nentries:\n  - {id: cup, prompt: a cup, n: 2}\n'
    )
    desk.run()
    assert desk.files() == ["cup-1.jpg", "cup-2.jpg"]


def test_a_template_makes_subfolders(desk: Desk) -> None:
    desk.write(
        'output: {name: "${{ tags[0] }}/${{ size }}/${{ id }}"}\n'
        "entries:\n"
        "  - {id: cup, prompt: a cup, tags: [shop], size: '1:1'}\n"
        "  - {id: sea, prompt: the sea, tags: [home], size: '16:9'}\n"
    )
    desk.run()
    assert desk.files() == ["home/16-9/sea.jpg", "shop/1-1/cup.jpg"]
    assert [one["file"] for one in desk.pictures()] == [
        "images/shop/1-1/cup.jpg",
        "images/home/16-9/sea.jpg",
    ]


def test_the_extension_is_that_of_the_bytes(desk: Desk) -> None:
    desk.entries("cup")
    desk.run("format=webp")
    assert desk.files() == ["cup.webp"]


def test_two_jobs_of_one_file_name_are_refused_before_anything_is_sent(desk: Desk) -> None:
    desk.write(
        'output: {name: "${{ tags[0] }}"}\n'
        "entries:\n"
        "  - {id: cup, prompt: a cup, tags: [same]}\n"
        "  - {id: sea, prompt: the sea, tags: [same]}\n"
    )
    with pytest.raises(SpecError) as wrong:
        desk.run()
    assert [one.code for one in wrong.value.problems] == ["same-file"]
    assert not desk.results.exists()


def test_a_template_cannot_lead_out_of_the_folder(desk: Desk) -> None:
    desk.write('output: {name: "../../${{ id }}"}\nentries:\n  - {id: cup, prompt: a cup}\n')
    desk.run()
    (picture,) = desk.folder.rglob("*.jpg")
    assert picture.is_relative_to(desk.images)


def test_another_template_renames_the_files_and_pays_nothing(desk: Desk) -> None:
    desk.entries("cup", "sea")
    desk.run(plain=False)
    before = {one["sha256"] for one in desk.pictures()}
    desk.entries("cup", "sea", more='output: {name: "all/${{ id }}"}\n')
    assert desk.run(plain=False).code == 0
    assert desk.files() == ["all/cup.jpg", "all/sea.jpg"]
    assert {one["sha256"] for one in desk.pictures()} == before
    assert billed(desk) == 2


# ── provenance inside the file ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", FORMATS)
def test_the_facts_are_read_back_from_the_file(desk: Desk, format: str) -> None:
    desk.entries("cup", more=EMBED)
    desk.run(f"format={format}")
    (record,) = desk.records()
    found = metadata.read((desk.results / record.results[0].file).read_bytes())
    assert found["prompt"] == "picture of cup"
    assert found["model"] == record.model
    assert found["task_id"] == record.task_id
    assert found["fingerprint"] == record.fingerprint


def test_pillow_finds_the_prompt_in_a_png(desk: Desk) -> None:
    desk.entries("cup", more=EMBED)
    desk.run("format=png")
    with Image.open(desk.images / "cup.png") as picture:
        picture.load()
        assert picture.text["banana-batch:prompt"] == "picture of cup"


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_pillow_finds_the_prompt_in_the_xmp(desk: Desk, format: str) -> None:
    desk.entries("cup", more=EMBED)
    desk.run(f"format={format}")
    (name,) = desk.files()
    with Image.open(desk.images / name) as picture:
        assert b"picture of cup" in picture.info["xmp"]


@pytest.mark.parametrize("format", FORMATS)
def test_the_pixels_are_those_that_were_delivered(desk: Desk, tmp_path: Path, format: str) -> None:
    """The sandbox's tiny pictures depend on their size alone, so both runs are given the same."""
    desk.entries("cup")
    desk.run(f"format={format}")
    (name,) = desk.files()
    bare = (desk.images / name).read_bytes()
    desk.entries("cup", more="output: {metadata: embed, folder: other}\n")
    desk.run(f"format={format}")
    dressed = (tmp_path / "other-sandbox/images" / name).read_bytes()
    assert dressed != bare
    assert pixels(dressed) == pixels(bare)


def pixels(data: bytes) -> tuple[Any, bytes]:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.mode, picture.tobytes()


@pytest.mark.parametrize("format", FORMATS)
def test_the_manifests_hash_and_size_are_of_the_file_as_written(desk: Desk, format: str) -> None:
    desk.entries("cup", more=EMBED)
    desk.run(f"format={format}")
    (image,) = desk.pictures()
    data = (desk.results / image["file"]).read_bytes()
    assert image["sha256"] == hashlib.sha256(data).hexdigest()
    assert image["bytes"] == len(data)


def test_a_plan_that_reads_every_file_in_full_finds_dressed_files_whole(desk: Desk) -> None:
    desk.entries("cup", more=EMBED)
    desk.run()
    assert json.loads(desk.plan(verify=True, format="json").out)["summary"]["jobs_to_do"] == 0


# ── a sidecar ───────────────────────────────────────────────────────────────────────────────


def test_no_sidecar_is_written_unless_it_is_asked_for(desk: Desk) -> None:
    desk.entries("cup")
    desk.run()
    assert desk.files() == ["cup.jpg"]


def test_a_sidecar_holds_the_facts_beside_the_image(desk: Desk) -> None:
    desk.entries("v1.0-cup", more=SIDECAR)
    desk.run()
    assert desk.files() == ["v1.0-cup.jpg", "v1.0-cup.json"]
    (record,) = desk.records()
    told = facts(desk.images / "v1.0-cup.json")
    assert (told["prompt"], told["task_id"]) == ("picture of v1.0-cup", record.task_id)


def test_a_sidecar_moves_with_its_image(desk: Desk) -> None:
    desk.entries("cup", more=SIDECAR)
    desk.run()
    before = facts(desk.images / "cup.json")
    desk.write(SIDECAR + "entries:\n  - {id: mug, prompt: picture of cup}\n")
    desk.run()
    assert desk.files() == ["mug.jpg", "mug.json"]
    assert facts(desk.images / "mug.json") == before


def test_sidecars_follow_when_two_entries_swap_names(desk: Desk) -> None:
    desk.entries("cup", "sea", more=SIDECAR)
    desk.run(plain=False)
    desk.write(
        SIDECAR
        + "entries:\n  - {id: cup, prompt: picture of sea}\n  - {id: sea, prompt: picture of cup}\n"
    )
    desk.run(plain=False)
    assert desk.files() == ["cup.jpg", "cup.json", "sea.jpg", "sea.json"]
    for record in desk.records():
        told = facts(desk.images / f"{record.entry_id}.json")
        assert (told["prompt"], told["task_id"]) == (record.prompt, record.task_id)


def test_a_sidecar_is_kept_with_the_picture_that_a_changed_prompt_replaces(desk: Desk) -> None:
    desk.entries("cup", more=SIDECAR)
    desk.run(plain=False)
    old = facts(desk.images / "cup.json")
    desk.write(SIDECAR + "entries:\n  - {id: cup, prompt: another cup}\n")
    desk.run(plain=False)
    assert facts(desk.images / "cup.json")["prompt"] == "another cup"
    (picture,) = (desk.images / ".kept").glob("*.jpg")
    assert facts(picture.with_suffix(".json")) == old


def test_a_prompt_that_comes_back_brings_its_sidecar_back(desk: Desk) -> None:
    desk.entries("cup", more=SIDECAR)
    desk.run(plain=False)
    old = facts(desk.images / "cup.json")
    desk.write(SIDECAR + "entries:\n  - {id: cup, prompt: another cup}\n")
    desk.run(plain=False)
    desk.entries("cup", more=SIDECAR)
    desk.run(plain=False)
    assert facts(desk.images / "cup.json") == old
    assert billed(desk) == 2


def test_a_missing_image_comes_back_with_its_sidecar(desk: Desk) -> None:
    desk.entries("cup", more=SIDECAR)
    desk.run()
    before = facts(desk.images / "cup.json")
    (desk.images / "cup.jpg").unlink()
    desk.run()
    assert desk.files() == ["cup.jpg", "cup.json"]
    assert facts(desk.images / "cup.json") == before
    assert billed(desk) == 1


def test_a_sidecar_that_somebody_wrote_in_is_kept(desk: Desk) -> None:
    desk.entries("cup", more=SIDECAR)
    desk.run()
    (desk.images / "cup.json").write_text('{"mine": "1"}', "utf-8")
    (desk.images / "cup.jpg").unlink()
    desk.run()
    assert [facts(one) for one in desk.images.glob(".kept/*.json")] == [{"mine": "1"}]


# ── a picture of another ratio ──────────────────────────────────────────────────────────────

ODD = (
    "defaults: {model: gemini-3.1-flash-image-preview, resolution: 1K}\n"
    "entries:\n  - {id: banner, prompt: a banner, size: '8:1'}\n"
)
"""The sandbox's tiny pictures cannot have this ratio: 181×22 pixels come."""
SAID = "asked for 8:1, delivered 181×22"


def test_the_manifest_says_that_the_ratio_is_not_the_one_asked_for(desk: Desk) -> None:
    desk.write(ODD)
    desk.run()
    (image,) = desk.pictures()
    assert [one for one in image["warnings"] if one.startswith(SAID)]


def test_the_summary_says_it_with_the_entrys_name(desk: Desk) -> None:
    desk.write(ODD)
    assert f"banner: {SAID}" in " ".join(desk.run().out.split())


def test_the_summary_for_programs_says_it(desk: Desk) -> None:
    desk.write(ODD)
    assert [one for one in desk.run(format="json").data["warnings"] if SAID in one]


def test_the_gallery_says_it(desk: Desk) -> None:
    desk.write(ODD)
    desk.run()
    desk.say(gallery, "batch.yaml", sandbox=True)
    assert SAID in (desk.results / "gallery.html").read_text("utf-8")


def test_a_picture_of_another_ratio_is_kept_and_the_run_is_a_success(desk: Desk) -> None:
    desk.write(ODD)
    assert desk.run().code == 0
    assert [one.status for one in desk.records()] == [Status.DOWNLOADED]


def test_a_picture_of_the_ratio_asked_for_has_no_warning(desk: Desk) -> None:
    desk.entries("cup", more="defaults: {size: '1:1'}\n")
    assert "Warnings" not in desk.run().out
    assert [one["warnings"] for one in desk.pictures()] == [[]]
