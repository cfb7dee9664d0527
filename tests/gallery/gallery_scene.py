"""What the gallery's tests look at: a folder with pictures in it and the records of a run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from PIL import ImageDraw

from pipeline.gallery import publish
from pipeline.lifecycle import Status
from pipeline.model import About, Failure, Image, Record, Reference, ReferenceKind, Totals
from pipeline.money import NOTHING, Money, parse

START = 1_790_000_000.0


def drawing(width: int, height: int, hue: int, form: str = "PNG") -> bytes:
    """Draw something with a horizon, so that a wrong crop or ratio is seen."""
    image = Picture.new("RGB", (width, height), f"hsl({hue}, 45%, 78%)")
    pen = ImageDraw.Draw(image)
    short = min(width, height)
    pen.rectangle((0, height * 0.62, width, height), fill=f"hsl({hue}, 38%, 42%)")
    centre = (width * 0.64, height * 0.4)
    box = (
        centre[0] - short / 5,
        centre[1] - short / 5,
        centre[0] + short / 5,
        centre[1] + short / 5,
    )
    pen.ellipse(box, fill=f"hsl({(hue + 40) % 360}, 80%, 66%)")
    pen.polygon(
        ((width * 0.1, height * 0.62), (width * 0.3, height * 0.3), (width * 0.5, height * 0.62)),
        fill=f"hsl({(hue + 180) % 360}, 25%, 48%)",
    )
    out = BytesIO()
    image.save(out, form)
    return out.getvalue()


@dataclass(slots=True)
class Scene:
    """A spec's folder with an output folder beside it, filled one record at a time."""

    root: Path
    records: list[Record] = field(default_factory=list)
    sandbox: bool = False
    spec: str = "specs/spring.yaml"

    @property
    def folder(self) -> Path:
        return self.root / "out"

    def original(self, name: str, hue: int = 30, size: tuple[int, int] = (700, 700)) -> Reference:
        """Put a reference image beside the spec."""
        path = self.root / "specs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = drawing(*size, hue)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return Reference(
            ReferenceKind.LOCAL,
            name,
            f"sha256:{digest}",
            path=path,
            media_type="image/png",
            size=len(data),
        )

    def picture(
        self, name: str, size: tuple[int, int] = (1024, 1024), hue: int = 200, data: bytes = b""
    ) -> Image:
        """Put a result into the output folder."""
        form = {".jpg": "JPEG", ".webp": "WEBP"}.get(Path(name).suffix, "PNG")
        data = data or drawing(*size, hue, form)
        path = self.folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return Image(
            index=1,
            url="https://images.example/x.png",
            file=f"images/{name}",
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            width=size[0],
            height=size[1],
            format=form.lower(),
        )

    def add(self, entry_id: str, prompt: str = "A quiet harbour", **facts: Any) -> Record:
        """Add a job; whatever the test does not say is usual."""
        number = len(self.records)
        status = facts.pop("status", Status.DOWNLOADED)
        began = START + number * 7.0
        paid = status in (Status.DOWNLOADED, Status.COMPLETED, Status.EXPIRED)
        sent = paid or status is Status.SUBMITTED
        usual = Record(
            number=number,
            entry_id=entry_id,
            image_index=1,
            images=1,
            position=number,
            active=True,
            status=status,
            model="gemini-3.1-flash-lite-image",
            prompt=prompt,
            size="1:1",
            request="{}",
            references=(),
            references_as="upload",
            webhook="",
            fingerprint=hashlib.sha256(f"{entry_id}{number}".encode()).hexdigest(),
            stems=(entry_id,),
            tags=(),
            estimate=parse("0.0336"),
            attempt=1,
            task_id=f"task_01K{number:05d}XQ7ZD4" if sent else "",
            cost=parse("0.0336") if paid else None,
            submitted_at=began if sent else 0.0,
            completed_at=began + 6.5 + (number * 5) % 11 if paid else 0.0,
        )
        record = replace(usual, **facts)
        self.records.append(record)
        return record

    def about(self) -> About:
        counts: dict[Status, int] = {}
        for one in self.records:
            counts[one.status] = counts.get(one.status, 0) + 1
        spent = sum(one.cost or 0 for one in self.records)
        waiting = sum(one.estimate for one in self.records if one.status is Status.PENDING)
        totals = Totals(
            counts,
            sum(len(one.results) for one in self.records),
            Money(spent),
            NOTHING,
            Money(waiting),
        )
        return About(
            name="spring-catalog",
            spec=self.spec,
            git_commit="8c1f0e2ab93d4f5566778899aabbccddeeff0011",
            host="https://api.apimart.ai",
            sandbox=self.sandbox,
            generated_at=START + 600,
            version="0.1.0",
            totals=totals,
        )

    def failures(self) -> list[Failure]:
        return [
            Failure(
                one.status, one.error_type, one.error_message, 1, ((one.entry_id, one.task_id),)
            )
            for one in self.records
            if one.status in (Status.FAILED, Status.HELD)
        ]

    def publish(self, *, live: bool = False, thumbs: bool = True) -> Path:
        self.folder.mkdir(exist_ok=True)
        return publish(
            self.folder,
            self.about(),
            lambda: iter(self.records),
            failures=self.failures(),
            spec_folder=self.root / "specs",
            live=live,
            thumbs=thumbs,
        )


def fill(scene: Scene) -> Scene:
    """Make the entries of `catalog`."""
    mug = scene.original("refs/mug.png", 18)
    oak = Reference(
        ReferenceKind.REMOTE, "https://example.com/oak.jpg", "https://example.com/oak.jpg"
    )
    ann = scene.original("refs/ann portrait #1.png", 320, (600, 800))

    def done(entry_id: str, prompt: str, size: str, pixels: tuple[int, int], hue: int, **more: Any):
        name = more.pop("name", f"{entry_id}.png")
        index = more.get("image_index", 1)
        image = replace(scene.picture(name, pixels, hue), index=index)
        scene.add(entry_id, prompt, size=size, results=(image,), **more)

    done(
        "night-city",
        "A cyberpunk city at night, neon lights in wet asphalt, wide shot, soft watercolor",
        "16:9",
        (1376, 768),
        265,
        tags=("cities", "night"),
    )
    for index, hue in enumerate((8, 26, 44), 1):
        suffix = "" if index == 1 else f"-{index}"
        done(
            "mug-red-oak",
            "A red ceramic mug on an oak table, morning light from the left",
            "1:1",
            (1024, 1024),
            hue,
            image_index=index,
            name=f"mug-red-oak{suffix}.jpg",
            references=(mug, oak),
            tags=("mugs", "spring"),
        )
    done(
        "hanging-scroll",
        "水墨画风格的山间小屋，薄雾缭绕，远处有瀑布，宣纸质感",
        "9:16",
        (768, 1376),
        150,
        tags=("mountains",),
    )
    done(
        "portrait-ann",
        "Portrait of Ann in a linen shirt, window light, 85 mm",
        "3:4",
        (896, 1200),
        330,
        references=(ann,),
        tags=("people",),
    )
    scene.add(
        "courtyard",
        "A courtyard with lemon trees at noon",
        size="4:3",
        status=Status.FAILED,
        task_id="task_01K0CRTYRD",
        error_type="invalid_request_error",
        error_message="The prompt was refused by the safety system: request 7f3a.",
        tags=("cities",),
    )
    done(
        "panorama",
        "Rolling dunes under a pale sky, one walker far away",
        "21:9",
        (1584, 672),
        35,
        tags=("landscape",),
    )
    for index, hue in enumerate((95, 120), 1):
        suffix = "" if index == 1 else f"-{index}"
        done(
            "herbs",
            "Botanical plate: rosemary, thyme and sage, ink and wash on cream paper",
            "4:5",
            (928, 1152),
            hue,
            image_index=index,
            name=f"herbs{suffix}.png",
            tags=("plants", "spring"),
        )
    scene.add(
        "mug-blue-marble",
        "A blue ceramic mug on marble",
        status=Status.HELD,
        error_type="idempotency_result_indeterminate",
        error_message="Nobody knows whether this was paid.",
        references=(mug,),
        tags=("mugs",),
    )
    done(
        "reading-room",
        "A reading room with green lamps, seen from the gallery",
        "3:2",
        (1264, 848),
        95,
        tags=("interiors",),
    )
    done(
        "wrong-shape",
        "A lighthouse in a storm, asked for wide and delivered square",
        "16:9",
        (1024, 1024),
        210,
        tags=("landscape",),
    )
    scene.add(
        "orchard",
        "An orchard in bloom, drone view",
        size="16:9",
        status=Status.PENDING,
        tags=("spring",),
    )
    scene.add(
        "harbour",
        "A quiet harbour at dawn",
        size="3:2",
        status=Status.SUBMITTED,
        tags=("landscape",),
    )
    done(
        "tea-set",
        "Studio photo of a celadon tea set on linen, three quarter view",
        "5:4",
        (1152, 928),
        165,
        name="tea/tea set 100% #1?.webp",
        tags=("mugs",),
    )
    scene.add(
        "old-map",
        "An old sea map with a compass rose",
        size="3:2",
        status=Status.EXPIRED,
        tags=("maps",),
    )
    done(
        "long", "A very long brief. " * 40, "2:3", (848, 1264), 285, tags=("a", "b", "c", "d", "e")
    )
    return scene
