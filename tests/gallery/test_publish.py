"""What `publish` writes: the page as text, and the small pictures beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from gallery_scene import drawing
from PIL import Image as Picture

from pipeline import schema
from pipeline.errors import DiskError
from pipeline.gallery import cards
from pipeline.gallery.files import link
from pipeline.lifecycle import Status
from pipeline.model import Reference, ReferenceKind
from pipeline.money import parse

if TYPE_CHECKING:
    from pathlib import Path

    from gallery_scene import Scene

HOSTILE = "</script><img src=x onerror=alert(1)><!-- {{ 7*7 }} ' \" & \u2028"


def data(page: Path) -> list[dict[str, Any]]:
    """Read the cards out of a page."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL
    )
    assert found
    cards: list[dict[str, Any]] = json.loads(found[1])
    return cards


class Tags(HTMLParser):
    """Collects every start tag, as a browser without scripting would meet them."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def thumbs(scene: Scene) -> dict[str, int]:
    place = scene.folder / "images" / ".thumbs"
    return {one.name: one.stat().st_mtime_ns for one in place.iterdir()} if place.exists() else {}


# ── the page ────────────────────────────────────────────────────────────────────────────────


def test_an_empty_run_gives_a_page_that_says_so(scene: Scene) -> None:
    text = scene.publish().read_text()
    assert "No pictures yet" in text
    assert data(scene.folder / "gallery.html") == []


def test_nothing_but_the_page_is_left_in_the_folder(catalog: Scene) -> None:
    catalog.publish()
    assert sorted(one.name for one in catalog.folder.iterdir()) == ["gallery.html", "images"]


def test_a_page_that_cannot_be_written_is_a_disk_error_and_the_old_one_stays(scene: Scene) -> None:
    page = scene.folder / "gallery.html"
    page.mkdir(parents=True)
    (page / "in the way").touch()
    with pytest.raises(DiskError, match=r"gallery\.html"):
        scene.publish()
    assert [one.name for one in scene.folder.iterdir()] == ["gallery.html"]


def test_an_image_is_named_by_a_link_that_leads_to_it(scene: Scene) -> None:
    name = "tea set/100% #1? 'x' \"y\" 茶.png"
    scene.add("tea", results=(scene.picture(name),))
    tile = data(scene.publish())[0]["tiles"][0]
    assert not set(tile["link"]) & set(" #?\"'<>")
    assert (scene.folder / unquote(tile["link"])).is_file()


def test_a_file_name_that_is_not_unicode_is_linked_byte_by_byte() -> None:
    assert link("images/\udcff.png") == "images/%FF.png"


def test_a_file_named_like_a_script_url_stays_a_file() -> None:
    assert link("javascript:alert(1)") == "javascript%3Aalert%281%29"


def test_jobs_of_one_entry_share_a_card(scene: Scene) -> None:
    for index in (1, 2, 3):
        scene.add(
            "mug",
            image_index=index,
            results=(replace(scene.picture(f"m{index}.png"), index=index),),
        )
    (card,) = data(scene.publish())
    assert [tile["index"] for tile in card["tiles"]] == [1, 2, 3]


def test_one_job_with_several_images_has_a_tile_for_each(scene: Scene) -> None:
    results = tuple(replace(scene.picture(f"m{n}.png", hue=n), index=n) for n in (1, 2))
    scene.add("mug", images=2, results=results, cost=parse("0.0672"))
    tiles = data(scene.publish())[0]["tiles"]
    assert [tile["cost"] for tile in tiles] == ["$0.0672 for 2 images"] * 2


def test_inactive_jobs_are_left_out(scene: Scene) -> None:
    scene.add("gone", active=False)
    scene.add("here")
    assert [card["id"] for card in data(scene.publish())] == ["here"]


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        (Status.FAILED, "retry"),
        (Status.HELD, "retry"),
        (Status.EXPIRED, "retry"),
        (Status.PENDING, "run"),
    ],
)
def test_what_is_not_there_says_why_and_what_to_type(
    scene: Scene, status: Status, verb: str
) -> None:
    scene.add("mug", status=status, error_message="no such luck")
    tile = data(scene.publish())[0]["tiles"][0]
    assert tile["error"] == "no such luck"
    assert tile["absent"]
    assert tile["command"] == f"banana-batch {verb} specs/spring.yaml --only=mug"


def test_the_command_is_quoted_for_a_shell_and_names_just_this_entry(scene: Scene) -> None:
    scene.spec = "my specs/spring.yaml"
    scene.sandbox = True
    scene.add("-m[1] $(rm -rf *)'", status=Status.FAILED)
    words = shlex.split(data(scene.publish())[0]["tiles"][0]["command"])
    assert words == [
        "banana-batch",
        "retry",
        "my specs/spring.yaml",
        "--only=-m[[]1] $(rm -rf [*])'",
        "--sandbox",
    ]


def test_a_cause_comes_with_the_command_for_all_of_it(catalog: Scene) -> None:
    text = catalog.publish().read_text()
    assert "banana-batch retry specs/spring.yaml --status=failed" in text
    assert "banana-batch retry specs/spring.yaml --status=held" in text


def test_a_missing_file_is_said_and_not_linked(scene: Scene) -> None:
    image = scene.picture("a.png")
    scene.add("a", results=(image,))
    (scene.folder / image.file).unlink()
    tile = data(scene.publish())[0]["tiles"][0]
    assert "link" not in tile
    assert "thumb" not in tile
    assert tile["absent"] == "The file is missing. A run fetches it again for free."
    assert tile["command"].startswith("banana-batch run ")


def test_a_wrong_ratio_is_a_warning(scene: Scene) -> None:
    scene.add("wide", size="16:9", results=(scene.picture("wide.png", (1024, 1024)),))
    scene.add("right", size="1:1", results=(scene.picture("right.png", (1024, 1024)),))
    wide, right = data(scene.publish())
    assert "16:9" in wide["tiles"][0]["warning"]
    assert "warning" not in right["tiles"][0]


@pytest.mark.parametrize(
    ("size", "space"),
    [
        ("16:9", (1000, 562)),
        ("9:16", (562, 1000)),
        ("auto", (1000, 1000)),
        ("", (1000, 1000)),
        ("0:0", (1000, 1000)),
        ("9999999:1", (1000, 1)),
    ],
)
def test_space_is_kept_for_what_is_not_there(
    scene: Scene, size: str, space: tuple[int, int]
) -> None:
    scene.add("a", size=size, status=Status.PENDING)
    tile = data(scene.publish())[0]["tiles"][0]
    assert (tile["width"], tile["height"]) == space


def test_a_page_has_a_limit_and_says_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "MOST_JOBS", 3)
    for number in range(5):
        scene.add(f"e{number}", status=Status.PENDING)
    page = scene.publish()
    assert len(data(page)) == 3
    assert "the first 3 of 5 jobs" in page.read_text()


# ── references ──────────────────────────────────────────────────────────────────────────────


def test_a_local_reference_is_linked_from_the_output_folder(scene: Scene) -> None:
    mug = scene.original("refs/my mug #1.png")
    scene.add("mug", references=(mug,))
    (original,) = data(scene.publish())[0]["originals"]
    assert original["link"] == "../specs/refs/my%20mug%20%231.png"
    assert original["thumb"] in {f"images/.thumbs/{name}" for name in thumbs(scene)}


def test_a_remote_reference_is_text(scene: Scene) -> None:
    urls = ("https://example.com/oak.jpg", "javascript:alert(1)")
    scene.add("mug", references=tuple(Reference(ReferenceKind.REMOTE, url, url) for url in urls))
    page = scene.publish()
    assert data(page)[0]["originals"] == [{"name": url, "role": "object"} for url in urls]
    for _, facts in Tags(page).found:
        assert not set(urls) & {facts.get("href"), facts.get("src")}


def test_an_inline_reference_is_not_copied_into_the_page(scene: Scene) -> None:
    uri = "data:image/png;base64," + "A" * 5000
    scene.add("mug", references=(Reference(ReferenceKind.INLINE, uri, "sha256:" + "0" * 64),))
    assert uri[:100] not in scene.publish().read_text()


def test_a_reference_that_went_away_is_said(scene: Scene) -> None:
    mug = scene.original("mug.png")
    assert mug.path
    mug.path.unlink()
    scene.add("mug", references=(mug,))
    (original,) = data(scene.publish())[0]["originals"]
    assert original == {"name": "mug.png (not there any more)", "role": "object"}


# ── nothing gets in, nothing gets out ───────────────────────────────────────────────────────


def test_hostile_text_is_text_everywhere(scene: Scene) -> None:
    scene.spec = HOSTILE
    scene.add(
        HOSTILE,
        HOSTILE,
        size=HOSTILE,
        tags=(HOSTILE,),
        status=Status.FAILED,
        error_message=HOSTILE,
        error_type=HOSTILE,
        task_id=HOSTILE,
        model=HOSTILE,
        references=(Reference(ReferenceKind.REMOTE, HOSTILE, HOSTILE, role=HOSTILE),),
    )
    page = scene.publish()
    assert data(page)[0]["prompt"] == HOSTILE
    tags = Tags(page).found
    assert not [one for one in tags if one[1].get("src") == "x" or "onerror" in one[1]]
    assert [name for name, _ in tags].count("script") == 2
    assert "<!--" not in page.read_text()
    assert "{{ 7*7 }}" in page.read_text()


def test_half_a_character_from_the_api_does_not_stop_the_page(scene: Scene) -> None:
    scene.add("a", "broken \ud83d here", status=Status.FAILED, error_message="\udc00")
    assert data(scene.publish())[0]["prompt"] == "broken ? here"


def test_the_policy_names_exactly_the_style_and_the_script_in_the_page(catalog: Scene) -> None:
    text = catalog.publish().read_text()
    policy = next(
        facts["content"]
        for tag, facts in Tags(catalog.folder / "gallery.html").found
        if tag == "meta" and "http-equiv" in facts
    )
    assert policy
    assert policy.startswith("default-src 'none'; img-src 'self' file: data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_page_names_no_other_host_to_load_from(catalog: Scene) -> None:
    catalog.publish()
    for tag, facts in Tags(catalog.folder / "gallery.html").found:
        for name in ("src", "href", "srcset", "action", "poster"):
            value = facts.get(name) or ""
            assert not re.match(r"\s*(https?:|//)", value), (tag, name, value)


def test_only_a_live_page_reloads_itself(scene: Scene) -> None:
    assert 'data-reload="0"' in scene.publish().read_text()
    assert 'data-reload="5"' in scene.publish(live=True).read_text()


def test_the_parts_of_the_page_travel_with_the_package() -> None:
    inside = {one.name for one in files("pipeline.gallery").iterdir()}
    assert {"page.html.jinja", "gallery.css", "gallery.js"} <= inside


# ── small pictures ──────────────────────────────────────────────────────────────────────────


def test_each_picture_gets_one_small_one_named_by_its_contents(scene: Scene) -> None:
    image = scene.picture("wide.png", (1600, 900))
    scene.add("wide", results=(image,))
    tile = data(scene.publish())[0]["tiles"][0]
    assert tile["thumb"] == f"images/.thumbs/{image.sha256[:16]}.webp"
    with Picture.open(scene.folder / tile["thumb"]) as small:
        assert (small.format, small.size) == ("WEBP", (569, 320))


def test_small_pictures_are_made_once(scene: Scene) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    scene.publish()
    before = thumbs(scene)
    scene.publish()
    assert thumbs(scene) == before


def test_a_copy_under_another_name_shares_the_small_one(scene: Scene) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    scene.add("b", results=(scene.picture("b.png"),))
    scene.publish()
    assert len(thumbs(scene)) == 1


def test_small_pictures_that_nobody_needs_go_and_other_files_stay(scene: Scene) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    scene.publish()
    other = scene.folder / "images" / ".thumbs" / "holiday.webp"
    other.touch()
    scene.records.clear()
    scene.publish()
    assert set(thumbs(scene)) == {"holiday.webp"}


def test_without_thumbs_the_picture_itself_is_shown(scene: Scene) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    tile = data(scene.publish(thumbs=False))[0]["tiles"][0]
    assert "thumb" not in tile
    assert tile["link"] == "images/a.png"
    assert thumbs(scene) == {}


@pytest.mark.parametrize(
    "rubbish", [b"", b"not a picture", drawing(400, 400, 9)[:300], b"GIF89a\x01\x00\x01\x00"]
)
def test_a_damaged_picture_is_said_and_not_shown(scene: Scene, rubbish: bytes) -> None:
    image = scene.picture("a.png", data=rubbish or b"x")
    scene.add("a", results=(image,))
    tile = data(scene.publish())[0]["tiles"][0]
    assert tile["absent"] == "The file is damaged."
    assert "thumb" not in tile
    assert thumbs(scene) == {}


def bomb(width: int, height: int) -> bytes:
    """Return the head of a PNG that claims to be huge."""
    small = bytearray(drawing(8, 8, 1))
    small[16:24] = width.to_bytes(4) + height.to_bytes(4)
    import zlib

    small[29:33] = zlib.crc32(small[12:29]).to_bytes(4)
    return bytes(small)


@pytest.mark.parametrize(
    "width", [schema.api("result", "max_pixels") // 100 + 1, 1_000_000, 2_000_000]
)
def test_a_picture_above_the_limit_is_never_opened(scene: Scene, width: int) -> None:
    scene.add("a", results=(scene.picture("a.png", data=bomb(width, 100)),))
    assert (
        data(scene.publish())[0]["tiles"][0]["absent"]
        == "The file is too large to be shown safely."
    )


@pytest.mark.parametrize("mode", ["P", "L", "LA", "RGBA", "1", "I;16", "CMYK"])
def test_every_kind_of_picture_gets_a_small_one(scene: Scene, mode: str) -> None:
    form = "jpg" if mode == "CMYK" else "png"
    path = scene.folder / f"made.{form}"
    path.parent.mkdir(exist_ok=True)
    Picture.new(mode, (900, 600)).save(path)
    scene.add("a", results=(scene.picture(f"a.{form}", (900, 600), data=path.read_bytes()),))
    scene.publish()
    assert len(thumbs(scene)) == 1


def test_a_turned_photo_stands_upright_in_small(scene: Scene, tmp_path: Path) -> None:
    turned = Picture.Exif()
    turned[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Picture.new("RGB", (800, 400)).save(path, exif=turned)
    scene.add("a", results=(scene.picture("a.jpg", (800, 400), data=path.read_bytes()),))
    tile = data(scene.publish())[0]["tiles"][0]
    with Picture.open(scene.folder / tile["thumb"]) as small:
        assert small.size == (160, 320)


def test_a_full_disk_is_a_disk_error(scene: Scene) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    (scene.folder / "images" / ".thumbs").write_text("a file where a folder should be")
    with pytest.raises(DiskError):
        scene.publish()


def test_the_folder_may_move_with_everything_in_it(scene: Scene, tmp_path: Path) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    scene.publish()
    moved = tmp_path / "elsewhere"
    shutil.move(scene.folder, moved)
    tile = data(moved / "gallery.html")[0]["tiles"][0]
    assert (moved / tile["thumb"]).is_file()
    assert (moved / tile["link"]).is_file()
