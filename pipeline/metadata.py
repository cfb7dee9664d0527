"""A picture's provenance inside its own file: written without touching a single pixel.

PNG carries one `iTXt` chunk for each fact (`banana-batch:prompt`, …). JPEG and WebP carry an XMP
packet (ISO 16684-1) with one property for each fact in the namespace below; a packet that is
there already is kept and added to. Nothing is decoded or compressed again: bytes are put between
the parts of the file, so the picture is bit for bit the one that was delivered.

Whatever is not understood in full is given back as it came: the picture was paid for.
"""

from __future__ import annotations

import html
import json
import re
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMESPACE = "urn:banana-batch:ns:1:"
_PREFIX = "banana-batch:"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")

_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters, and what XML 1.0 cannot hold; line ends and tabs stay."""

_PNG = b"\x89PNG\r\n\x1a\n"
_APP1 = 0xE1
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\x00"
_MOST_IN_SEGMENT = 0xFFFF - 2 - len(_XMP_IN_JPEG)
"""A JPEG segment counts its own two length bytes and this header in its 64 KB."""

_OURS = re.compile(
    rb'<rdf:Description[^<>]*xmlns:bb="'
    + re.escape(NAMESPACE).encode()
    + rb'".*?</rdf:Description>',
    re.DOTALL,
)


class _Malformed(Exception):
    """The file is not built as its format says; it is left alone."""


def embed(data: bytes, facts: Mapping[str, str]) -> bytes:
    """Return the PNG, JPEG or WebP file `data` with `facts` inside.

    The picture's compressed data stays as it is, byte for byte. Facts of ours that are there
    already are replaced, everything else in the file is kept. Control characters and empty facts
    are left out; in a JPEG, which has room for 64 KB, a long `prompt` is cut and ends in `…`.
    Data of another kind, malformed data, and a JPEG whose packet has no room are returned
    unchanged. Raises `ValueError` for a fact whose name is not lower-case words joined by `_`.
    """
    clean = _clean(facts)
    if not clean:
        return data
    try:
        if data.startswith(_PNG):
            return _embed_png(data, clean)
        if data.startswith(b"\xff\xd8\xff"):
            return _embed_jpeg(data, clean)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _embed_webp(data, clean)
    except _Malformed:
        pass
    return data


def read(data: bytes) -> dict[str, str]:
    """Return the facts that `embed` put into a file; empty when there are none."""
    try:
        if data.startswith(_PNG):
            return dict(fact for _, _, body, name in _chunks(data) if (fact := _fact(name, body)))
        if data.startswith(b"\xff\xd8\xff"):
            for marker, start, end in _segments(data):
                if marker == _APP1 and data.startswith(_XMP_IN_JPEG, start + 4):
                    return _facts_of(data[start + 4 + len(_XMP_IN_JPEG) : end])
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            for name, body in _parts(data)[0]:
                if name == b"XMP ":
                    return _facts_of(body)
    except _Malformed:
        pass
    return {}


def sidecar(facts: Mapping[str, str]) -> bytes:
    """Return the same facts as a JSON file, in the order given."""
    return (json.dumps(_clean(facts), ensure_ascii=False, indent=2) + "\n").encode()


def _clean(facts: Mapping[str, str]) -> dict[str, str]:
    for name in facts:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name for a fact: {name!r}")
    clean = {name: _FORBIDDEN.sub("", value) for name, value in facts.items()}
    return {name: value for name, value in clean.items() if value}


# ── PNG: https://www.w3.org/TR/png-3/#11iTXt ────────────────────────────────────────────────


def _chunks(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield start, end, body and name of every chunk up to `IEND`."""
    at = len(_PNG)
    while True:
        if at + 12 > len(data):
            raise _Malformed
        size = int.from_bytes(data[at : at + 4])
        end = at + 12 + size
        if end > len(data):
            raise _Malformed
        name = data[at + 4 : at + 8]
        yield at, end, data[at + 8 : end - 4], name
        if name == b"IEND":
            return
        at = end


def _embed_png(data: bytes, facts: Mapping[str, str]) -> bytes:
    chunks = list(_chunks(data))
    names = [name for _, _, _, name in chunks]
    if names[0] != b"IHDR" or b"IDAT" not in names:
        raise _Malformed
    out = [_PNG]
    for start, end, body, name in chunks:
        if name == b"IDAT" and facts:
            out += [_text_chunk(key, value) for key, value in facts.items()]
            facts = {}
        if not _fact(name, body):
            out.append(data[start:end])
    out.append(data[chunks[-1][1] :])
    return b"".join(out)


def _text_chunk(name: str, value: str) -> bytes:
    """Build an uncompressed `iTXt` chunk: keyword, two flags, no language, no translation."""
    body = b"iTXt" + f"{_PREFIX}{name}".encode("ascii") + b"\x00\x00\x00\x00\x00" + value.encode()
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _fact(name: bytes, body: bytes) -> tuple[str, str] | None:
    """Return the fact that a chunk holds, None when it is not one of ours."""
    if name != b"iTXt" or not body.startswith(_PREFIX.encode()):
        return None
    key, flags, value = body.partition(b"\x00\x00\x00\x00\x00")
    return (
        (key.decode("latin-1").removeprefix(_PREFIX), value.decode(errors="replace"))
        if flags
        else None
    )


# ── JPEG: ITU T.81, and XMP part 3 ──────────────────────────────────────────────────────────


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Return marker, start and end of every segment before the picture itself."""
    found: list[tuple[int, int, int]] = []
    at = 2
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise _Malformed
        marker = data[at + 1]
        if marker == 0xDA:
            return found
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            raise _Malformed
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end < at + 4 or end > len(data):
            raise _Malformed
        found.append((marker, at, end))
        at = end


def _embed_jpeg(data: bytes, facts: Mapping[str, str]) -> bytes:
    segments = _segments(data)
    old = [
        (start, end)
        for marker, start, end in segments
        if marker == _APP1 and data.startswith(_XMP_IN_JPEG, start + 4)
    ]
    start, end = old[0] if old else (2, 2)
    if not old:
        # JFIF and Exif must stay where their readers look for them: first.
        for marker, _, after in segments:
            if marker != 0xE0 and not (marker == _APP1 and data.startswith(b"Exif\x00", start + 4)):
                break
            start = end = after
    packet = data[start + 4 + len(_XMP_IN_JPEG) : end] if old else b""
    packet = _fitting(packet, facts, _MOST_IN_SEGMENT)
    segment = struct.pack(">BBH", 0xFF, _APP1, len(_XMP_IN_JPEG) + len(packet) + 2)
    return data[:start] + segment + _XMP_IN_JPEG + packet + data[end:]


# ── WebP: RFC 9649 ──────────────────────────────────────────────────────────────────────────


def _parts(data: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    """Return name and body of every chunk, and where the file ends by its own word."""
    whole = 8 + int.from_bytes(data[4:8], "little")
    if whole > len(data) or whole % 2:
        raise _Malformed
    found: list[tuple[bytes, bytes]] = []
    at = 12
    while at < whole:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if at + 8 > whole or end > whole:
            raise _Malformed
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at = end
    if not found:
        raise _Malformed
    return found, whole


def _embed_webp(data: bytes, facts: Mapping[str, str]) -> bytes:
    parts, whole = _parts(data)
    head, *rest = parts if parts[0][0] == b"VP8X" else [_extended(*parts[0]), *parts]
    if len(head[1]) != 10:
        raise _Malformed
    xmp_flag = 0x04
    old = next((body for name, body in rest if name == b"XMP "), b"")
    out = [
        (b"VP8X", bytes([head[1][0] | xmp_flag]) + head[1][1:]),
        *(part for part in rest if part[0] != b"XMP "),
        (b"XMP ", _fitting(old, facts, 2**31)),
    ]
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(part)) + part + b"\x00" * (len(part) % 2) for name, part in out
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body + data[whole:]


def _extended(name: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Return the `VP8X` chunk that a simple file needs first: what it holds, and its size."""
    flags = 0
    if name == b"VP8 " and len(body) >= 10 and not body[0] & 1 and body[3:6] == b"\x9d\x01\x2a":
        width, height = (size & 0x3FFF for size in struct.unpack("<HH", body[6:10]))
    elif name == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags = 0x10 if bits >> 28 & 1 else 0
    else:
        raise _Malformed
    if not (width and height):
        raise _Malformed
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sizes


# ── the XMP packet ──────────────────────────────────────────────────────────────────────────


def _fitting(old: bytes, facts: Mapping[str, str], most: int) -> bytes:
    """Return a packet of at most `most` bytes with `facts`; the prompt is cut when it must be."""
    packet = _packet(old, facts)
    if len(packet) <= most:
        return packet
    prompt = facts.get("prompt", "")
    low, high = 0, len(prompt)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_packet(old, {**facts, "prompt": f"{prompt[:middle]}…"})) <= most:
            low = middle
        else:
            high = middle - 1
    if not low:
        raise _Malformed
    return _packet(old, {**facts, "prompt": f"{prompt[:low]}…"})


def _packet(old: bytes, facts: Mapping[str, str]) -> bytes:
    """Return an XMP packet with our description, inside the old packet when there was one."""
    inner = "".join(
        f"<bb:{name}>{html.escape(value, quote=False)}</bb:{name}>" for name, value in facts.items()
    )
    ours = (
        f'<rdf:Description rdf:about="" xmlns:bb="{NAMESPACE}">{inner}</rdf:Description>'.encode()
    )
    if old:
        kept = _OURS.sub(b"", old)
        if kept.count(b"</rdf:RDF>") != 1:
            raise _Malformed
        return kept.replace(b"</rdf:RDF>", ours + b"</rdf:RDF>")
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + ours
        + b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _facts_of(packet: bytes) -> dict[str, str]:
    from xml.etree import ElementTree  # only for reading back, which a run never does

    text = packet.decode(errors="replace")
    if "<!" in text:
        return {}
    try:
        # No entity can be declared in it: anything that starts a declaration was refused above.
        tree = ElementTree.fromstring(text.strip("\ufeff\x00 \n\r\t"))  # noqa: S314
    except ElementTree.ParseError:
        return {}
    mark = f"{{{NAMESPACE}}}"
    return {
        one.tag.removeprefix(mark): one.text or ""
        for one in tree.iter()
        if one.tag.startswith(mark)
    }
