"""Provenance goes into the file, and the picture does not notice."""

from __future__ import annotations

import json
import random
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageSequence
from PIL.PngImagePlugin import PngInfo

from pipeline.metadata import embed, read, sidecar

FACTS = {
    "prompt": 'A "red" mug & <oak>; 水墨画 — line one\nline two\t]]> --> </rdf:RDF>',
    "model": "gemini-3.1-flash-lite-image",
    "task_id": "task_01K",
    "fingerprint": "f" * 64,
    "entry_id": "mug-red/oak",
    "tool": "banana-batch 0.1.0",
}


def picture(mode: str = "RGB", size: tuple[int, int] = (37, 23), seed: int = 1) -> Picture.Image:
    """Make noise, so that a single wrong byte shows."""
    made = Picture.new(mode, size)
    noise = random.Random(seed).randbytes(len(made.tobytes()))
    if mode == "1":
        return Picture.frombytes(
            "L", size, random.Random(seed).randbytes(size[0] * size[1])
        ).convert("1")
    made.frombytes(noise)
    if mode == "P":
        made.putpalette(random.Random(seed).randbytes(768))
    return made


def saved(image: Picture.Image, form: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def frames(data: bytes) -> list[tuple[str, tuple[int, int], bytes]]:
    """Decode every frame: mode, size and pixels."""
    with Picture.open(BytesIO(data)) as image:
        return [(one.mode, one.size, one.tobytes()) for one in ImageSequence.Iterator(image)]


def exif() -> Picture.Exif:
    found = Picture.Exif()
    found[0x0112] = 6
    found[0x010E] = "a description"
    return found


KINDS = {
    "png rgb": saved(picture(), "PNG"),
    "png alpha": saved(picture("RGBA"), "PNG"),
    "png grey": saved(picture("L"), "PNG"),
    "png grey alpha": saved(picture("LA"), "PNG"),
    "png palette": saved(picture("P"), "PNG", transparency=3),
    "png one bit": saved(picture("1"), "PNG"),
    "png 16 bit": saved(picture("I;16"), "PNG"),
    "png animated": saved(picture(), "PNG", save_all=True, append_images=[picture(seed=2)]),
    "png many chunks": saved(picture(size=(400, 400)), "PNG", exif=exif(), dpi=(72, 72)),
    "jpeg": saved(picture(), "JPEG"),
    "jpeg grey": saved(picture("L"), "JPEG"),
    "jpeg cmyk": saved(picture("CMYK"), "JPEG"),
    "jpeg progressive": saved(picture(size=(300, 200)), "JPEG", progressive=True, quality=95),
    "jpeg exif": saved(picture(), "JPEG", exif=exif(), icc_profile=b"p" * 70_000, comment=b"hello"),
    "webp lossy": saved(picture(), "WEBP", quality=70),
    "webp odd size": saved(picture(size=(1, 1)), "WEBP"),
    "webp lossless": saved(picture(), "WEBP", lossless=True),
    "webp lossless alpha": saved(picture("RGBA"), "WEBP", lossless=True, exact=True),
    "webp lossy alpha": saved(picture("RGBA"), "WEBP", quality=70),
    "webp exif": saved(picture(), "WEBP", exif=exif(), icc_profile=b"icc"),
    "webp animated": saved(
        picture("RGBA"), "WEBP", save_all=True, append_images=[picture("RGBA", seed=2)], duration=80
    ),
}


def compressed(data: bytes) -> list[bytes]:
    """Return the parts of a file that hold the picture itself, by a reading of our own."""
    if data.startswith(b"\x89PNG"):
        found, at = [], 8
        while at < len(data):
            size = int.from_bytes(data[at : at + 4])
            if data[at + 4 : at + 8] in (b"IDAT", b"fdAT", b"PLTE", b"tRNS", b"IHDR"):
                found.append(data[at : at + 12 + size])
            at += 12 + size
        return found
    if data.startswith(b"\xff\xd8"):
        at = 2
        while data[at + 1] != 0xDA:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
        return [data[at:]]
    found, at = [], 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"ANIM"):
            found.append(data[at : at + 8 + size])
        at += 8 + size + size % 2
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_facts_come_back_as_they_went_in(kind: str) -> None:
    assert read(embed(KINDS[kind], FACTS)) == FACTS


@pytest.mark.parametrize("kind", KINDS)
def test_every_pixel_of_every_frame_stays(kind: str) -> None:
    assert frames(embed(KINDS[kind], FACTS)) == frames(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_the_compressed_picture_is_the_same_bytes(kind: str) -> None:
    before = compressed(KINDS[kind])
    assert before
    assert compressed(embed(KINDS[kind], FACTS)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_embedding_again_replaces_and_does_not_pile_up(kind: str) -> None:
    once = embed(KINDS[kind], FACTS)
    other = {**FACTS, "task_id": "task_02K"}
    assert embed(once, FACTS) == once
    assert read(embed(once, other)) == other
    assert len(embed(once, other)) == len(once)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "exif" in kind])
def test_exif_and_colour_profile_stay(kind: str) -> None:
    with (
        Picture.open(BytesIO(KINDS[kind])) as one,
        Picture.open(BytesIO(embed(KINDS[kind], FACTS))) as other,
    ):
        assert dict(one.getexif()) == dict(other.getexif())
        assert one.info["icc_profile"] == other.info["icc_profile"]


def test_jfif_and_exif_stay_in_front_of_the_packet() -> None:
    data = embed(KINDS["jpeg exif"], FACTS)
    assert (
        data.index(b"JFIF\x00") < data.index(b"Exif\x00") < data.index(b"http://ns.adobe.com/xap/")
    )
    assert data.index(b"http://ns.adobe.com/xap/") < data.index(b"ICC_PROFILE\x00")


def test_pillow_reads_png_text() -> None:
    with Picture.open(BytesIO(embed(KINDS["png rgb"], FACTS))) as image:
        assert image.info["banana-batch:prompt"] == FACTS["prompt"]


def test_text_that_a_png_already_has_stays() -> None:
    text = PngInfo()
    text.add_itxt("Description", "théière")
    text.add_text("prompt", "another tool's")
    with Picture.open(BytesIO(embed(saved(picture(), "PNG", pnginfo=text), FACTS))) as image:
        assert image.info["Description"] == "théière"
        assert image.info["prompt"] == "another tool's"


FOREIGN = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:p="http://ns.adobe.com/photoshop/1.0/"'
    b' p:Credit="Made with AI"/>'
    b"</rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_packet_that_is_there_already_is_added_to(form: str) -> None:
    data = embed(saved(picture(), form, xmp=FOREIGN), FACTS)
    assert read(data) == FACTS
    with Picture.open(BytesIO(data)) as image:
        assert b'p:Credit="Made with AI"' in image.info["xmp"]
        assert data.count(b"<x:xmpmeta") == 1


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_packet_that_cannot_be_added_to_is_left_alone(form: str) -> None:
    data = saved(picture(), form, xmp=FOREIGN.decode().encode("utf-16"))
    assert embed(data, FACTS) == data


@pytest.mark.parametrize(
    ("kind", "alpha", "size"),
    [
        ("webp lossy", 0, (37, 23)),
        ("webp lossless", 0, (37, 23)),
        ("webp lossless alpha", 0x10, (37, 23)),
    ],
)
def test_a_simple_webp_becomes_an_extended_one(
    kind: str, alpha: int, size: tuple[int, int]
) -> None:
    assert KINDS[kind][12:16] in (b"VP8 ", b"VP8L")
    data = embed(KINDS[kind], FACTS)
    assert data[12:16] == b"VP8X"
    assert data[20] == 0x04 | alpha
    assert int.from_bytes(data[24:27], "little") + 1 == size[0]
    assert int.from_bytes(data[27:30], "little") + 1 == size[1]
    assert int.from_bytes(data[4:8], "little") + 8 == len(data)


def test_a_prompt_too_long_for_a_jpeg_is_cut_at_the_limit() -> None:
    long = {**FACTS, "prompt": "<水&" * 30_000}
    data = embed(KINDS["jpeg"], long)
    found = read(data)
    assert found["prompt"].endswith("…")
    assert long["prompt"].startswith(found["prompt"].removesuffix("…"))
    assert {**found, "prompt": ""} == {**FACTS, "prompt": ""}
    at = data.index(b"http://ns.adobe.com/xap/") - 2
    assert 0xFFFF - 16 < int.from_bytes(data[at : at + 2]) <= 0xFFFF


@pytest.mark.parametrize("kind", ["png rgb", "webp lossy"])
def test_a_long_prompt_stays_whole_where_there_is_room(kind: str) -> None:
    long = {"prompt": "水" * 50_000}
    assert read(embed(KINDS[kind], long)) == long


def test_a_jpeg_without_room_even_for_the_rest_is_left_alone() -> None:
    data = KINDS["jpeg"]
    assert embed(data, {"prompt": "p", "tool": "t" * 70_000}) == data


def test_control_characters_are_dropped_and_line_ends_stay() -> None:
    facts = {"prompt": "a\x00b\x1b[31mc\r\nd\te\x9f\ud800f", "tool": "\x07"}
    assert read(embed(KINDS["jpeg"], facts)) == {"prompt": "ab[31mc\nd\tef"}


def test_nothing_to_say_changes_nothing() -> None:
    assert all(embed(data, {"prompt": "\x00"}) == data for data in KINDS.values())


def test_a_name_that_is_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="not a name"):
        embed(KINDS["jpeg"], {"a b><x": "1"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"GIF89a....",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\x04\x00\x00\x00WEBP",
    ],
)
def test_what_is_no_picture_comes_back_unchanged(data: bytes) -> None:
    assert embed(data, FACTS) == data
    assert read(data) == {}


@given(st.sampled_from(sorted(KINDS)), st.data())
@settings(max_examples=150, deadline=None)
def test_a_file_cut_in_its_head_is_never_made_worse(kind: str, draw: st.DataObject) -> None:
    """A cut file is left alone; a JPEG cut inside its picture loses nothing more."""
    whole = KINDS[kind]
    cut = whole[: draw.draw(st.integers(0, min(len(whole) - 1, 2000)))]
    data = embed(cut, FACTS)
    if kind.startswith("jpeg") and data != cut:
        start = data.index(b"http://ns.adobe.com/xap/") - 4
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        data = data[:start] + data[end:]
    assert data == cut


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\x00\x00\x00WEBP"]),
)
@settings(max_examples=200, deadline=None)
def test_rubbish_behind_a_true_beginning_raises_nothing(rubbish: bytes, start: bytes) -> None:
    data = start + rubbish
    assert len(embed(data, FACTS)) >= len(data)
    assert isinstance(read(data), dict)


@given(
    st.dictionaries(
        st.sampled_from(sorted(FACTS)),
        st.text(
            st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"),
            min_size=1,
        ),
        min_size=1,
    ),
    st.sampled_from(["png rgb", "jpeg", "webp lossy"]),
)
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back(facts: dict[str, str], kind: str) -> None:
    assert read(embed(KINDS[kind], facts)) == facts


@given(
    st.sampled_from(["RGB", "RGBA", "L"]),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from(
        [
            ("PNG", {}),
            ("JPEG", {}),
            ("JPEG", {"progressive": True}),
            ("WEBP", {}),
            ("WEBP", {"lossless": True, "exact": True}),
        ]
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_mode_and_size_stays(
    mode: str, size: tuple[int, int], how: tuple[str, dict[str, bool]]
) -> None:
    form, options = how
    data = saved(
        picture("RGB" if form == "JPEG" and mode == "RGBA" else mode, size), form, **options
    )
    assert frames(embed(data, FACTS)) == frames(data)


def test_an_entity_bomb_in_a_packet_is_not_read() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa">]>' + FOREIGN
    assert read(saved(picture(), "JPEG", xmp=bomb)) == {}


def test_the_sidecar_holds_the_same_facts_in_order() -> None:
    data = sidecar({**FACTS, "tool": "b\x00b"})
    assert list(json.loads(data)) == list(FACTS)
    assert json.loads(data) == {**FACTS, "tool": "bb"}
    assert "水墨画".encode() in data
