"""Bytes from anywhere to a verified file: what is taken in, what is refused, what is never lost."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import stat
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from pipeline import schema
from pipeline.api import Download
from pipeline.download import Shelf, look
from pipeline.errors import Cut, DiskError, NotAnImage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pipeline.model import Image


def picture(kind: str = "PNG", color: str = "red", size: tuple[int, int] = (16, 12)) -> bytes:
    data = io.BytesIO()
    Picture.new("RGB", size, color).save(data, kind)
    return data.getvalue()


def noise(megabytes: int) -> bytes:
    """A valid PNG of about so many megabytes: a picture and a chunk that nobody reads."""
    whole = picture()
    body = bytes(range(256)) * (megabytes * 4096)
    chunk = len(body).to_bytes(4, "big") + b"teSt" + body
    chunk += zlib.crc32(chunk[4:]).to_bytes(4, "big")
    return whole[:33] + chunk + whole[33:]


def coming(data: bytes, *, size: int | None = None, cut_at: int | None = None) -> Download:
    """A download in small pieces that may break off."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1 << 20):
            if cut_at is not None and start >= cut_at:
                raise Cut("the connection broke")
            yield data[start : start + (1 << 20)]

    return Download(size, chunks())


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    one = Shelf(tmp_path / "out")
    yield one
    one.close()


def take(shelf: Shelf, data: bytes, stem: str = "a", **how: object) -> Image:
    return asyncio.run(shelf.take(coming(data), "1-1", stem, **how))  # type: ignore[arg-type]


def files(shelf: Shelf) -> dict[str, bytes]:
    """Every file below the output folder, by its path."""
    return {
        str(path.relative_to(shelf.folder)): path.read_bytes()
        for path in shelf.folder.rglob("*")
        if path.is_file()
    }


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ── what is taken in ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_the_extension_comes_from_the_bytes(shelf: Shelf, kind: str, suffix: str) -> None:
    data = picture(kind)
    image = take(shelf, data, "mug.png")
    assert image.file == f"images/mug.png.{suffix}"
    assert files(shelf) == {image.file: data}
    assert (image.width, image.height, image.format) == (16, 12, kind)
    assert (image.bytes, image.sha256) == (len(data), sha(data))


def test_a_stem_may_lead_into_subfolders(shelf: Shelf) -> None:
    assert take(shelf, picture(), "spring/red/mug").file == "images/spring/red/mug.png"


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(shelf: Shelf) -> None:
    data = picture("JPEG") + b"\x00trailer" * 40
    image = take(shelf, data)
    assert files(shelf) == {image.file: data}


def test_a_large_image_goes_over_the_disk_and_leaves_no_part_file(shelf: Shelf) -> None:
    data = noise(6)
    image = take(shelf, data)
    assert files(shelf) == {image.file: data}


def test_metadata_goes_in_after_the_check_and_the_facts_are_those_of_the_file(
    shelf: Shelf,
) -> None:
    image = take(shelf, picture("JPEG"), dress=lambda data: data + b"more")
    (data,) = files(shelf).values()
    assert data.endswith(b"more")
    assert (image.bytes, image.sha256) == (len(data), sha(data))


# ── what is refused ─────────────────────────────────────────────────────────────────────────


def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 400 million pixels."""
    data = bytearray(picture())
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


BAD = {
    "nothing": b"",
    "half a png": picture(size=(200, 200))[:-20],
    "half a jpeg": picture("JPEG", size=(200, 200))[:-200],
    "half a webp": picture("WEBP", size=(200, 200))[:-30],
    "garbage": b"\x00\x01\x02" * 999,
    "a web page": b"<!doctype html><title>Sorry</title>" * 20,
    "json": b'{"error": "gone"}',
    "a gif": b"GIF89a" + b"\x01\x00\x01\x00\x00\x00\x00;",
    "a picture that draws itself": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
    "a bomb": bomb(),
    "a png header alone": picture()[:33],
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_no_whole_image_is_refused_and_leaves_nothing(shelf: Shelf, data: bytes) -> None:
    with pytest.raises(NotAnImage):
        take(shelf, data)
    assert files(shelf) == {}


def test_what_was_not_an_image_is_shown_without_its_control_characters() -> None:
    with pytest.raises(NotAnImage) as refused:
        look(b"\x1b[2Jhello" + bytes(50))
    assert "\x1b" not in refused.value.summary
    assert "hello" in refused.value.summary


def test_an_endless_download_ends_at_the_limit(shelf: Shelf) -> None:
    limit = schema.api("result", "max_bytes")
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 22
            yield bytes(1 << 22)

    with pytest.raises(NotAnImage, match="larger than"):
        asyncio.run(shelf.take(Download(None, endless()), "1-1", "a"))
    assert sent <= limit + (1 << 23)
    assert files(shelf) == {}


def test_an_announced_length_above_the_limit_is_not_even_read(shelf: Shelf) -> None:
    download = coming(picture(), size=schema.api("result", "max_bytes") + 1)
    with pytest.raises(NotAnImage, match="announced"):
        asyncio.run(shelf.take(download, "1-1", "a"))


def test_less_than_was_announced_is_incomplete(shelf: Shelf) -> None:
    data = picture()
    with pytest.raises(NotAnImage, match="incomplete"):
        asyncio.run(shelf.take(coming(data, size=len(data) + 1), "1-1", "a"))
    assert files(shelf) == {}


def test_a_large_download_that_breaks_off_is_not_glued_to_the_next_try(shelf: Shelf) -> None:
    data = noise(8)

    async def twice() -> Image:
        with pytest.raises(Cut):
            await shelf.take(coming(data, cut_at=6 << 20), "1-1", "a")
        assert files(shelf) == {}
        return await shelf.take(coming(data), "1-1", "a")

    image = asyncio.run(twice())
    assert image.sha256 == sha(data)
    assert files(shelf) == {image.file: data}


def test_part_files_of_a_killed_run_are_swept(shelf: Shelf) -> None:
    (shelf.folder / ".parts").mkdir(parents=True)
    (shelf.folder / ".parts" / "9-1.part").write_bytes(b"half")
    shelf.sweep()
    assert files(shelf) == {}
    assert not (shelf.folder / ".parts").exists()


def test_an_image_can_be_taken_in_after_a_sweep(shelf: Shelf) -> None:
    for stem in ("a", "b"):
        asyncio.run(shelf.take(coming(picture()), "1-1", stem))
        shelf.sweep()
    assert set(files(shelf)) == {"images/a.png", "images/b.png"}


WHOLE = {kind: picture(kind, size=(40, 30)) for kind in ("PNG", "JPEG", "WEBP")}


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    at=st.integers(0, 2000),
    put=st.binary(max_size=12),
    cut=st.integers(0, 2000),
    thorough=st.booleans(),
)
def test_no_damage_makes_a_look_fail_in_a_way_of_its_own(
    kind: str, at: int, put: bytes, cut: int, thorough: bool
) -> None:
    whole = WHOLE[kind]
    at = at % len(whole)
    data = whole[:at] + put + whole[at + len(put) :]
    try:
        seen = look(data[: len(data) - cut % len(data)], thorough=thorough)
    except NotAnImage:
        return
    assert seen.format in WHOLE


# ── nothing is destroyed ────────────────────────────────────────────────────────────────────


def test_a_file_of_the_users_own_is_kept(shelf: Shelf) -> None:
    (shelf.folder / "images").mkdir(parents=True)
    (shelf.folder / "images" / "a.png").write_bytes(b"my own drawing")
    image = take(shelf, picture())
    assert files(shelf) == {
        image.file: picture(),
        f"images/.kept/{sha(b'my own drawing')[:16]}.png": b"my own drawing",
    }


def test_the_same_picture_again_is_not_kept_twice(shelf: Shelf) -> None:
    take(shelf, picture())
    image = take(shelf, picture())
    assert files(shelf) == {image.file: picture()}


def test_one_stem_never_has_two_extensions(shelf: Shelf) -> None:
    take(shelf, picture("PNG"))
    image = take(shelf, picture("JPEG"))
    assert image.file == "images/a.jpg"
    assert sorted(files(shelf)) == [
        f"images/.kept/{sha(picture('PNG'))[:16]}.png",
        "images/a.jpg",
    ]


def test_two_things_that_cannot_be_read_are_both_kept(shelf: Shelf, tmp_path: Path) -> None:
    images = shelf.folder / "images"
    images.mkdir(parents=True)
    for name in ("one", "two"):
        (images / "a.png").unlink(missing_ok=True)
        (images / "a.png").symlink_to(tmp_path / f"gone-{name}")
        take(shelf, picture())
    kept = sorted(str(one.readlink()) for one in (images / ".kept").iterdir())
    assert kept == [str(tmp_path / "gone-one"), str(tmp_path / "gone-two")]


def test_a_folder_where_an_image_must_go_is_said_and_left(shelf: Shelf) -> None:
    (shelf.folder / "images" / "a.png").mkdir(parents=True)
    with pytest.raises(DiskError, match="a folder where an image must go"):
        take(shelf, picture())
    assert files(shelf) == {}


def test_a_link_where_an_image_must_go_is_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    outside = tmp_path / "precious.png"
    outside.write_bytes(b"precious")
    (shelf.folder / "images").mkdir(parents=True)
    (shelf.folder / "images" / "a.png").symlink_to(outside)
    image = take(shelf, picture())
    assert outside.read_bytes() == b"precious"
    assert not (shelf.folder / image.file).is_symlink()
    assert (shelf.folder / image.file).read_bytes() == picture()


def test_a_link_where_a_sidecar_must_go_is_not_followed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "out")
    outside = tmp_path / "precious.json"
    outside.write_bytes(b"precious")
    (shelf.folder / "images").mkdir(parents=True)
    (shelf.folder / "images" / "a.json").symlink_to(outside)
    take(shelf, picture(), story=b'{"prompt": "a cup"}')
    shelf.close()
    assert outside.read_bytes() == b"precious"
    assert json.loads((shelf.folder / "images" / "a.json").read_text()) == {"prompt": "a cup"}


def test_a_sidecar_keeps_what_stood_in_its_place(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "out")
    (shelf.folder / "images").mkdir(parents=True)
    (shelf.folder / "images" / "a.json").write_bytes(b"my notes")
    take(shelf, picture(), story=b"{}")
    shelf.close()
    assert b"my notes" in files(shelf).values()


# ── nothing gets out ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "stem",
    ["../a", "../../etc/a", "/etc/a", "x/../../a", "..", ".kept/abc", "", "a/", "a\x00b", "./a"],
)
def test_a_stem_that_leads_out_of_the_folder_is_refused(shelf: Shelf, stem: str) -> None:
    shelf.folder.mkdir()
    before = sorted(shelf.folder.parent.rglob("*"))
    with pytest.raises(DiskError, match="outside"):
        take(shelf, picture(), stem)
    left = take(shelf, picture(), "good")
    assert files(shelf) == {left.file: picture()}
    assert [one for one in sorted(shelf.folder.parent.rglob("*")) if shelf.folder not in
            (one, *one.parents)] == [one for one in before if one != shelf.folder]  # fmt: skip


@pytest.mark.parametrize("stem", ["../a", "/etc/a"])
def test_a_picture_is_not_brought_to_a_stem_outside(shelf: Shelf, stem: str) -> None:
    image = take(shelf, picture())
    with pytest.raises(DiskError, match="outside"):
        shelf.find(image, stem)


def test_a_subfolder_that_is_a_link_to_elsewhere_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (shelf.folder / "images").mkdir(parents=True)
    (shelf.folder / "images" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match="outside"):
        take(shelf, picture(), "sub/a")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_images_folder_that_is_itself_a_link_is_the_users_choice(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "big-disk").mkdir()
    shelf.folder.mkdir()
    (shelf.folder / "images").symlink_to(tmp_path / "big-disk")
    take(shelf, picture(), "sub/a")
    assert (tmp_path / "big-disk" / "sub" / "a.png").read_bytes() == picture()


def test_a_place_that_takes_no_files_is_a_matter_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder must go")
    shelf = Shelf(tmp_path / "out")
    with pytest.raises(DiskError) as said:
        take(shelf, picture())
    shelf.close()
    assert "run again" in said.value.fix


def test_images_and_folders_are_made_with_usual_rights(shelf: Shelf) -> None:
    image = take(shelf, picture())
    assert stat.S_IMODE((shelf.folder / image.file).stat().st_mode) & 0o600 == 0o600


# ── what is there already ───────────────────────────────────────────────────────────────────


def recorded(image: Image) -> object:
    from types import SimpleNamespace

    return SimpleNamespace(results=(image,))


def test_a_file_is_lost_when_it_is_missing_shorter_or_longer(shelf: Shelf) -> None:
    image = take(shelf, picture())
    file = shelf.folder / image.file
    whole = file.read_bytes()
    assert shelf.lost(recorded(image)) == ""  # type: ignore[arg-type]
    for data, said in ((whole[:-1], "file truncated"), (whole + b"x", "file changed on disk")):
        file.write_bytes(data)
        assert shelf.lost(recorded(image)) == said  # type: ignore[arg-type]
    file.unlink()
    assert shelf.lost(recorded(image)) == "file missing"  # type: ignore[arg-type]


@pytest.mark.parametrize(("thorough", "said"), [(False, ""), (True, "file changed on disk")])
def test_only_a_full_read_sees_a_change_of_the_same_length(
    tmp_path: Path, thorough: bool, said: str
) -> None:
    shelf = Shelf(tmp_path / "out", thorough=thorough)
    image = take(shelf, picture())
    file = shelf.folder / image.file
    file.write_bytes(b"\x00" * image.bytes)
    assert shelf.lost(recorded(image)) == said  # type: ignore[arg-type]
    shelf.close()


@pytest.mark.parametrize("place", ["wanted", "recorded", "kept"])
def test_a_picture_is_found_where_it_may_be_and_brought_to_its_name(
    shelf: Shelf, place: str
) -> None:
    image = take(shelf, picture(), "old")
    file = shelf.folder / image.file
    if place == "wanted":
        file.rename(shelf.folder / "images/new.png")
    elif place == "kept":
        take(shelf, picture("PNG", "blue"), "old")
    found = shelf.find(image, "new")
    assert found == replace(image, file="images/new.png")
    assert (shelf.folder / "images/new.png").read_bytes() == picture()


def test_a_picture_that_is_nowhere_is_not_found(shelf: Shelf) -> None:
    image = take(shelf, picture())
    (shelf.folder / image.file).write_bytes(b"\x00" * image.bytes)
    assert shelf.find(image, "new") is None
    assert shelf.find(replace(image, sha256=""), "new") is None


def test_a_picture_that_moves_keeps_what_stood_at_its_new_name(shelf: Shelf) -> None:
    image = take(shelf, picture(), "old")
    (shelf.folder / "images" / "new.png").write_bytes(b"my own")
    shelf.find(image, "new")
    assert b"my own" in files(shelf).values()


@pytest.mark.parametrize("names", [("b", "a"), ("b", "c"), ("x", "y")])
def test_pictures_that_are_alike_stay_two_files_when_their_names_change(
    shelf: Shelf, names: tuple[str, str]
) -> None:
    images = [take(shelf, picture(), "a"), take(shelf, picture(), "b")]
    shelf.clear_the_way([recorded(one) for one in images])  # type: ignore[misc]
    found = [shelf.find(image, name) for image, name in zip(images, names, strict=True)]
    assert all(found)
    assert files(shelf) == {f"images/{name}.png": picture() for name in names}


def test_two_pictures_can_swap_names(shelf: Shelf) -> None:
    one, two = take(shelf, picture(), "a"), take(shelf, picture("PNG", "blue"), "b")
    shelf.clear_the_way([recorded(one), recorded(two)])  # type: ignore[list-item]
    assert shelf.find(one, "b") == replace(one, file="images/b.png")
    assert shelf.find(two, "a") == replace(two, file="images/a.png")
    assert files(shelf) == {"images/b.png": picture(), "images/a.png": picture("PNG", "blue")}
