"""Result files: real images of the right shape, and everything that can be wrong with them."""

from __future__ import annotations

import base64
from io import BytesIO

import aiohttp
import pytest
from PIL import Image, ImageChops

from pipeline import schema
from pipeline.sandbox import Faults, fonts, pictures

MODEL = "gemini-3.1-flash-lite-image"
SIZES = schema.models()[MODEL].request["properties"]["size"]["enum"]


def opened(contents: bytes) -> Image.Image:
    image = Image.open(BytesIO(contents))
    image.load()
    return image


@pytest.mark.parametrize("size", [one for one in SIZES if one != "auto"])
def test_every_size_has_exactly_its_ratio_at_about_a_megapixel(size):
    width, height = pictures.measure(size, 1024, "any")
    across, down = map(int, size.split(":"))
    assert width * down == height * across
    assert width * height == pytest.approx(1024 * 1024, rel=0.03)


def test_auto_is_square_or_wide():
    assert {pictures.measure("auto", 1024, str(seed)) for seed in range(20)} == {
        pictures.measure("1:1", 1024, ""),
        pictures.measure("16:9", 1024, ""),
    }


def test_a_result_is_an_image_of_the_ratio_that_was_asked_for(play):
    async def scenario(bench):
        [url] = await bench.urls(size="16:9", prompt="赛博朋克 city")
        answer = await bench.fetch(url)
        image = opened(answer.body)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert (image.format, image.width * 9) == ("JPEG", image.height * 16)

    play(scenario)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_a_result_can_be_of_every_format(play, form):
    async def scenario(bench):
        [url] = await bench.urls()
        assert opened((await bench.fetch(url)).body).format == form.upper()

    play(scenario, f"format={form}", "plain=true")


def test_the_same_file_is_drawn_the_same_and_the_next_image_differently(play):
    async def scenario(bench):
        first, second = await bench.urls(n=2)
        one = (await bench.fetch(first)).body
        assert one == (await bench.fetch(first)).body
        assert one != (await bench.fetch(second)).body

    play(scenario)


def test_references_are_shown(play, picture):
    async def scenario(bench):
        upload = (await bench.upload(picture)).json["url"]
        inline = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        remote = "https://example.com/oak.jpg"
        [url] = await bench.urls(image_urls=[upload, inline, remote])
        image = opened((await bench.fetch(url)).body).convert("RGB")
        # Both copies of the reference are of one flat colour.
        red = Image.new("RGB", image.size, (200, 30, 30))
        off = ImageChops.difference(image, red).convert("L").point(lambda p: 255 * (p < 12))
        assert off.histogram()[255] > 2 * 100 * 100

    play(scenario)


def test_a_reference_that_cannot_be_read_is_named():
    broken = pictures.Picture("p", "1:1", 512, 512, (b"\xff\xd8\xff broken",), "s", "png")
    assert opened(pictures.draw(broken, None)).size == (512, 512)


@pytest.mark.parametrize(
    "prompt", ["", "x" * 5000, "word " * 2000, "赛博朋克" * 400, "\x1b[31m\ud800 emoji 🍌"]
)
@pytest.mark.parametrize("font", [None, fonts.system()])
def test_any_prompt_can_be_drawn(prompt, font):
    asked = pictures.Picture(prompt, "21:9", 777, 333, ("a" * 300,) * 14, "s", "jpeg")
    assert opened(pictures.draw(asked, font)).size == (777, 333)


def test_no_line_is_wider_than_its_room():
    font = fonts.font(None, 20)
    text = "some words and averyveryveryverylongoneindeedwithoutanyspace 城市夜景城市夜景城市夜景"
    lines = pictures.wrap(text, font, 150)
    assert all(font.getlength(line) <= 150 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_font_with_chinese_letters_is_found_wherever_it_lies(tmp_path):
    deep = tmp_path / "truetype" / "wqy"
    deep.mkdir(parents=True)
    (deep / "wqy-zenhei.ttc").touch()
    (deep / "DejaVuSans.ttf").touch()
    assert fonts.find([tmp_path / "absent", tmp_path]) == deep / "wqy-zenhei.ttc"


def test_without_such_a_font_accents_are_taken_off():
    assert fonts.writable("Crème\tbrûlée\x00", None) == "Creme brulee"


def test_a_damaged_font_is_not_used(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert fonts.font(tmp_path / "broken.ttf", 20).getname() == fonts.font(None, 20).getname()


def test_plain_files_are_tiny_and_keep_the_ratio(play):
    async def scenario(bench):
        [url] = await bench.urls(size="9:16")
        contents = (await bench.fetch(url)).body
        image = opened(contents)
        assert len(contents) < 2000
        assert image.width / image.height == pytest.approx(9 / 16, abs=0.02)

    play(scenario, "plain=true")


def test_a_request_for_a_file_with_a_key_is_refused_and_recorded(play, picture):
    async def scenario(bench):
        [url] = await bench.urls()
        upload = (await bench.upload(picture)).json["url"]
        for leaked in (url, upload):
            answer = await bench.fetch(leaked, headers={"Authorization": "Bearer sk-test"})
            assert answer.status == 400
        assert bench.requests["leaked_keys"] == 2
        assert len(bench.sandbox.ledger.leaks) == 2

    play(scenario)


def test_what_never_was_is_a_404(play):
    async def scenario(bench):
        [url] = await bench.urls()
        for absent in (url.replace("-1.jpg", "-2.jpg"), f"{url}x", url.replace("task_", "task_0")):
            assert (await bench.fetch(absent)).status == 404
        assert (await bench.fetch(f"{bench.sandbox.url}/uploads/nope.png")).status == 404

    play(scenario)


def test_a_task_that_still_runs_has_no_file(play, clock):
    async def scenario(bench):
        task_id = (await bench.submit()).task_id
        url = f"{bench.sandbox.url}/files/9999999999999/{task_id}-1.jpg"
        assert (await bench.fetch(url)).status == 404
        clock.time += 10
        assert (await bench.fetch(url)).status == 200

    play(scenario, "task_seconds=10", "plain=true")


@pytest.mark.parametrize("fresh", ["true", "false"])
def test_an_expired_url_is_gone_and_asking_again_may_give_a_fresh_one(play, clock, fresh):
    async def scenario(bench):
        task_id = (await bench.submit()).task_id
        old = (await bench.look(task_id))["result"]["images"][0]
        assert old["expires_at"] == clock.time + 60
        clock.time += 61
        new = (await bench.look(task_id))["result"]["images"][0]
        assert (await bench.fetch(old["url"][0])).status == 403
        assert (await bench.fetch(new["url"][0])).status == (200 if fresh == "true" else 403)

    play(scenario, "url_ttl=60", f"fresh_urls={fresh}", "plain=true")


def test_a_truncated_file_is_cut_off_or_short(play):
    async def scenario(bench):
        [url] = await bench.urls()
        seen = set()
        for _ in range(12):
            try:
                answer = await bench.fetch(url)
            except aiohttp.ClientPayloadError:
                seen.add("cut off")
            else:
                assert len(answer.body) == int(answer.headers["Content-Length"])
                with pytest.raises(OSError, match=r"(?i)truncated|cannot identify"):
                    opened(answer.body)
                seen.add("short")
        assert seen == {"cut off", "short"}

    play(scenario, "truncate=1", "plain=true")


def test_a_file_can_be_a_web_page(play):
    async def scenario(bench):
        [url] = await bench.urls()
        answer = await bench.fetch(url)
        assert answer.status == 200
        assert answer.body.startswith(b"<!doctype html>")

    play(scenario, "not_image=1")


def test_a_file_can_have_no_end_and_stopping_does_not_wait_for_it(play):
    async def scenario(bench):
        [url] = await bench.urls()
        async with bench.http.get(url) as answer:
            taken = 0
            async for chunk in answer.content.iter_chunked(65536):
                taken += len(chunk)
                if taken > 2_000_000:
                    break
            assert "Content-Length" not in answer.headers
            await bench.sandbox.stop()

    play(scenario, "huge=1", "plain=true")


def test_a_file_can_be_elsewhere(play):
    async def scenario(bench):
        [url] = await bench.urls()
        moved = await bench.fetch(url, allow_redirects=False)
        assert moved.status == 302
        assert opened((await bench.fetch(url)).body).format == "JPEG"
        bench.sandbox.faults = Faults(redirect=1, redirect_scheme="file:///")
        moved = await bench.fetch(url, allow_redirects=False)
        assert moved.headers["Location"] == "file:///etc/passwd"

    play(scenario, "redirect=1", "plain=true")
