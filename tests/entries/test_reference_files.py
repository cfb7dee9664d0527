"""Reference images: found, looked at by content, hashed once, never changed."""

from __future__ import annotations

import base64
import os
import struct
import zlib
from hashlib import sha256

import pytest
from entries_desk import picture

from pipeline.model import ReferenceKind
from pipeline.problem import Severity


def ask(desk, *references: str, extra: str = ""):
    listed = "".join(f"\n  - {one}" for one in references)
    return desk.entry(f"id: x\nprompt: p\n{extra}references:{listed}")


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_the_content_says_what_an_image_is_not_its_name(desk, kind, media_type):
    data = picture(kind)
    desk.put("refs/wrong.gif", data)
    (reference,) = ask(desk, "refs/wrong.gif").jobs[0].references
    assert reference.kind is ReferenceKind.LOCAL
    assert reference.source == "refs/wrong.gif"
    assert reference.media_type == media_type
    assert reference.size == len(data)
    assert reference.identity == f"sha256:{sha256(data).hexdigest()}"
    assert reference.path == desk.folder / "refs/wrong.gif"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-an-image"),
        (b"just words", "not-an-image"),
        (b"<html>not found</html>", "not-an-image"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not-an-image"),
        (picture("BMP"), "not-an-image"),
        (picture("TIFF"), "not-an-image"),
        (picture("GIF"), "wrong-image-type"),
        (picture("PNG", (64, 64))[:-20], "damaged-image"),
        (picture("JPEG", (64, 64))[:-200], "damaged-image"),
        (picture("JPEG", (64, 64))[:-2], "damaged-image"),
        (picture("WEBP", (64, 64))[:-8], "damaged-image"),
        (b"\x89PNG\r\n\x1a\n", "damaged-image"),
        (b"\xff\xd8\xff\xe0", "damaged-image"),
    ],
)
def test_what_is_no_whole_image_of_the_right_kind_is_an_error(desk, content, code):
    desk.put("a.png", content)
    problem = ask(desk, "a.png").only
    assert (problem.code, problem.place.line) == (code, 6)
    assert problem.fix


def test_a_cut_jpeg_is_not_saved_by_the_thumbnail_inside_it(desk):
    thumbnail = picture("JPEG")
    whole = picture("JPEG", (64, 64))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    desk.put("whole.jpg", whole[:2] + segment + whole[2:])
    desk.put("cut.jpg", (whole[:2] + segment + whole[2:])[:-50])
    assert ask(desk, "whole.jpg").problems == []
    assert ask(desk, "cut.jpg").only.code == "damaged-image"


def test_a_small_file_with_a_giant_picture_is_refused_from_its_header(desk):
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    desk.put("bomb.png", b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert ask(desk, "bomb.png").only.code == "too-many-pixels"


def test_a_file_beyond_the_models_limit_is_refused_without_being_read(desk, png):
    desk.put("big.png", png)
    os.truncate(desk.folder / "big.png", 10_485_761)
    problem = ask(desk, "big.png").only
    assert problem.code == "reference-too-large"
    assert "10,485,760" in problem.message


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("none.png", "missing-reference"),
        ("refs", "not-a-file"),
        ("pipe", "not-a-file"),
        ("refs/*.webp", "no-match"),
        ("nowhere/*.png", "no-match"),
        ("ftp://example.com/a.png", "unknown-reference"),
        ("'http://'", "wrong-url"),
        ("https://example.com/a b.png", "wrong-url"),
        ("https://example.com:port/", "wrong-url"),
        ("data:image/png,abc", "wrong-data-uri"),
        ("data:image/png;base64,a b c", "wrong-data-uri"),
        ("data:image/gif;base64,R0lGOD==", "wrong-image-type"),
        ("data:image/png;base64,aGVsbG8=", "not-an-image"),
    ],
)
def test_what_names_no_image_is_an_error(desk, png, written, code):
    desk.put("refs/a.png", png)
    os.mkfifo(desk.folder / "pipe")
    problem = ask(desk, written).only
    assert (problem.code, problem.place.line) == (code, 6)
    assert problem.fix or code == "not-a-file"


def test_a_near_miss_of_a_file_name_is_named(desk, png):
    desk.put("refs/mug.png", png)
    assert "`refs/mug.png`" in ask(desk, "refs/mugs.png").only.fix


def test_a_link_to_nothing_is_called_that(desk):
    (desk.folder / "mug.png").symlink_to("nowhere.png")
    problem = ask(desk, "mug.png").only
    assert (problem.code, problem.fix) == ("missing-reference", "Mend the link.")


@pytest.mark.parametrize(
    "address",
    ["http://localhost/a.png", "http://10.0.0.1/a", "http://[::1]:8/a", "https://nas.local/a.png"],
)
def test_an_address_that_only_this_network_knows_is_warned_of(desk, address):
    outcome = ask(desk, f'"{address}"')
    assert outcome.codes == ["private-url"]
    assert len(outcome.jobs) == 1


def test_a_glob_gives_its_files_in_order_and_no_hidden_ones(desk, png):
    for name in ("b.png", "a.png", ".c.png", "ab.png", "z.txt"):
        desk.put(f"refs/{name}", png)
    found = ask(desk, "refs/*.png").jobs[0].references
    assert [one.source for one in found] == ["refs/a.png", "refs/ab.png", "refs/b.png"]


def test_a_glob_may_have_wildcards_in_its_folders(desk, png):
    desk.put("x1/a.png", png)
    desk.put("x2/a.png", png)
    found = ask(desk, "x?/a.*").jobs[0].references
    assert [one.source for one in found] == ["x1/a.png", "x2/a.png"]


def test_a_glob_is_filled_in_for_each_row(desk, png):
    desk.put("refs/1.png", png)
    desk.put("refs/10.png", png)
    desk.put("a.csv", "sku\n1\n10\n")
    got = desk.entry("from: a.csv\nprompt: p ${{ sku }}\nreferences: ['refs/${{ sku }}.*']")
    assert [job.references[0].source for job in got.jobs] == ["refs/1.png", "refs/10.png"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(desk, png):
    desk.put("a[1].png", png)
    assert ask(desk, "'a[1].png'").jobs[0].references[0].source == "a[1].png"


def test_remote_references_are_known_by_their_address(desk):
    (reference,) = ask(desk, "https://example.com/oak.jpg?x=1").jobs[0].references
    assert reference.kind is ReferenceKind.REMOTE
    assert reference.identity == reference.source == "https://example.com/oak.jpg?x=1"


def test_data_uris_are_known_by_what_they_hold(desk, png):
    uri = data_uri(png)
    (reference,) = ask(desk, uri).jobs[0].references
    assert reference.kind is ReferenceKind.INLINE
    assert reference.source == uri
    assert reference.identity == f"sha256:{sha256(png).hexdigest()}"


def test_a_data_uri_must_hold_what_it_says(desk, png):
    assert ask(desk, data_uri(png, "image/jpeg")).only.code == "wrong-data-uri"


def test_a_heavy_data_uri_is_a_warning(desk):
    noise = os.urandom(3 * 64 * 64)
    from io import BytesIO

    from PIL import Image

    data = BytesIO()
    Image.frombytes("RGB", (64, 64), noise).save(data, "PNG")
    got = ask(desk, data_uri(data.getvalue()))
    assert len(got.entries) == 1
    assert (got.only.code, got.only.severity) == ("heavy-data-uri", Severity.WARNING)


def test_fifteen_references_are_one_too_many(desk):
    urls = [f"https://example.com/{n}.png" for n in range(15)]
    problem = ask(desk, *urls).only
    assert problem.code == "too-many"
    assert "at most 14" in problem.message


def test_more_than_the_suggested_roles_is_a_warning(desk):
    urls = [f"{{file: 'https://example.com/{n}.png', role: character}}" for n in range(5)]
    got = ask(desk, *urls)
    assert [one.role for one in got.jobs[0].references] == ["character"] * 5
    assert (got.only.code, got.only.severity) == ("many-references", Severity.WARNING)
    assert ask(desk, *urls[:4]).problems == []


def test_a_reference_outside_the_folder_is_allowed_but_said(desk, png, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.png"
    outside.write_bytes(png)
    got = ask(desk, str(outside))
    assert len(got.entries) == 1
    assert (got.only.code, got.only.severity) == ("reference-outside", Severity.WARNING)


def test_symbolic_links_are_followed(desk, png, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.png"
    outside.write_bytes(png)
    (desk.folder / "link.png").symlink_to(outside)
    (desk.folder / "loop.png").symlink_to("loop.png")
    (desk.folder / "broken.png").symlink_to("nothing.png")
    assert ask(desk, "link.png").problems == []
    assert ask(desk, "loop.png").only.code == "unreadable-file"
    assert ask(desk, "broken.png").only.code == "missing-reference"


def test_an_image_is_read_once_for_all_entries_and_never_changed(desk, png):
    path = desk.put("a.png", png)
    os.utime(path, ns=(1, 1))
    got = desk.entry("prompt: p ${{ n }}\nmatrix: {n: [1, 2, 3]}\nreferences: [a.png]")
    assert len({id(job.references[0].identity) for job in got.jobs}) <= 3
    assert len({job.references[0].identity for job in got.jobs}) == 1
    assert path.read_bytes() == png
    assert path.stat().st_mtime_ns == 1


def test_every_bad_reference_of_an_entry_is_told(desk):
    got = ask(desk, "a.png", "b.png")
    assert [(one.code, one.place.line) for one in got.problems] == [
        ("missing-reference", 6),
        ("missing-reference", 7),
    ]
