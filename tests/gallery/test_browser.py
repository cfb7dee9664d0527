"""The gallery in a real browser: Debian's Chromium, headless, opened from disk."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from gallery_scene import Scene

from pipeline.lifecycle import Status
from pipeline.model import Reference, ReferenceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM and "CI" not in os.environ:
    pytest.skip("no chromium on PATH: apt-get install chromium", allow_module_level=True)


FLAGS = ["--no-sandbox", "--disable-gpu", "--in-process-gpu", "--renderer-process-limit=1"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each test gets a profile of its own."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "CI must run these tests: apt-get install chromium"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@contextmanager
def quiet(browser: Browser, **settings: Any) -> Iterator[Page]:
    """Open a window; at its end no error was logged and no request had left the disk."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
    context.set_default_timeout(10_000)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else said.append(request.url)
        ),
    )
    try:
        yield page
        assert said == []
    finally:
        context.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[[Path], Page]]:
    """Open a gallery at a desk."""
    with quiet(browser) as page:

        def opened(path: Path) -> Page:
            page.goto(path.as_uri())
            page.wait_for_selector("[data-ready]")
            return page

        yield opened


@pytest.fixture
def page(window: Callable[[Path], Page], catalog: Scene) -> Page:
    """The catalog, opened."""
    return window(catalog.publish())


def until(page: Page, expression: str, arg: Any = None) -> None:
    """Wait for something to become true in the page.

    Not by the driver's own `wait_for_function`: it polls with `eval`, which the policy forbids.
    """
    for _ in range(500):
        if page.evaluate(expression, arg):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never came true: {expression}")


def ids(page: Page) -> list[str]:
    """Return the entries that the page shows, in order."""
    return page.locator(".entry h2").all_text_contents()


# ── looking ─────────────────────────────────────────────────────────────────────────────────


def test_every_picture_is_shown(page: Page) -> None:
    images = page.locator(".tile img")
    assert images.count() == 13
    for number in range(images.count()):
        images.nth(number).scroll_into_view_if_needed()
        until(page, "n => document.querySelectorAll('.tile img')[n].naturalWidth > 0", arg=number)


def test_every_picture_keeps_its_ratio_and_its_place_is_known_before_it_loads(page: Page) -> None:
    for box, natural in page.evaluate(
        """() => [...document.querySelectorAll('.tile img')].map((one) => [
        one.clientWidth / one.clientHeight, one.getAttribute('width') / one.getAttribute('height'),
        ])"""
    ):
        assert box == pytest.approx(natural, rel=0.02)


def test_nothing_overlaps_and_nothing_sticks_out(page: Page) -> None:
    for width in (360, 768, 1280, 1900):
        page.set_viewport_size({"width": width, "height": 900})
        until(page, "w => innerWidth === w", arg=width)
        page.evaluate(
            "() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))"
        )
        boxes = page.evaluate(
            """() => [...document.querySelectorAll('.entry')]
            .map((one) => one.getBoundingClientRect())
            .map((box) => [box.left, box.top, box.right, box.bottom])"""
        )
        assert len(boxes) == 15
        assert all(left >= 0 and right <= width + 1 for left, _, right, _ in boxes)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for number, (left, top, right, bottom) in enumerate(boxes):
            for other in boxes[number + 1 :]:
                apart = (
                    right <= other[0] + 1
                    or other[2] <= left + 1
                    or bottom <= other[1] + 1
                    or other[3] <= top + 1
                )
                assert apart


def test_a_wrong_ratio_wears_a_badge(page: Page) -> None:
    badge = page.locator(".entry", has_text="wrong-shape").locator(".warn")
    assert "16:9" in (badge.get_attribute("title") or "")
    assert page.locator(".warn").count() == 1


def test_a_failed_entry_shows_its_reason_and_its_command(page: Page) -> None:
    card = page.locator(".entry", has_text="courtyard")
    assert "refused by the safety system" in card.inner_text()
    assert card.locator(".command code").inner_text() == (
        "banana-batch retry specs/spring.yaml --only=courtyard"
    )


# ── finding ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("CYBERPUNK", ["night-city"]),
        ("瀑布", ["hanging-scroll"]),
        ("mug oak", ["mug-red-oak"]),
        ("spring", ["mug-red-oak", "herbs", "orchard"]),
        ("tea-s", ["tea-set"]),
        ("task_01K00011", ["reading-room"]),
        ("no such thing", []),
    ],
)
def test_search_finds_by_prompt_id_tag_and_task(page: Page, words: str, found: list[str]) -> None:
    page.fill("#search", words)
    assert ids(page) == found
    assert page.locator("#empty").is_visible() == (not found)


def test_the_number_of_results_is_said(page: Page) -> None:
    said = page.locator("#found")
    assert said.inner_text() == "18 results"
    page.fill("#search", "mug")
    assert said.inner_text() == "5 of 18 results"
    assert said.get_attribute("aria-live") == "polite"


def test_status_filters_add_up(page: Page) -> None:
    page.click("[data-status=failed]")
    assert ids(page) == ["courtyard"]
    page.click("[data-status=held]")
    assert ids(page) == ["courtyard", "mug-blue-marble"]
    assert page.locator("[data-status=held]").get_attribute("aria-pressed") == "true"


def test_filters_narrow_each_other_and_clear_together(page: Page) -> None:
    page.select_option("#tag", "spring")
    page.select_option("#size", "4:5")
    assert ids(page) == ["herbs"]
    page.click("#clear")
    assert len(ids(page)) == 15


def test_a_tag_on_a_card_filters(page: Page) -> None:
    page.locator(".entry", has_text="panorama").locator(".tag").click()
    assert ids(page) == ["panorama", "wrong-shape", "harbour"]
    assert page.input_value("#tag") == "landscape"


# ── the large view ──────────────────────────────────────────────────────────────────────────


def tile(page: Page, number: int) -> Any:
    return page.locator(f"[data-at='{number}']")


def test_the_large_view_shows_the_picture_itself(page: Page) -> None:
    tile(page, 0).click()
    until(page, "document.getElementById('after').naturalWidth === 1376")
    assert page.locator("#view-title").inner_text() == "night-city"
    panel = page.locator("#panel").inner_text()
    assert "task_01K00000XQ7ZD4" in panel
    assert "$0.0336" in panel
    assert "1376 × 768" in panel


def test_a_name_full_of_signs_still_opens(page: Page) -> None:
    page.fill("#search", "tea-set")
    tile(page, 0).click()
    until(page, "document.getElementById('after').naturalWidth === 1152")


def test_arrows_turn_the_pages_and_escape_goes_back_to_the_picture(page: Page) -> None:
    tile(page, 0).focus()
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator("#view-title").inner_text() == "hanging-scroll"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#place").inner_text() == "4 of 18 · image 3 of 3"
    page.keyboard.press("Escape")
    assert not page.locator("#view").is_visible()
    until(page, "document.activeElement.dataset.at === '3'")


def test_home_and_end_go_to_the_first_and_the_last(page: Page) -> None:
    tile(page, 5).click()
    page.keyboard.press("End")
    assert page.locator("#place").inner_text().startswith("18 of 18")
    assert page.locator("#next").is_disabled()
    page.keyboard.press("Home")
    assert page.locator("#place").inner_text().startswith("1 of 18")


def test_focus_stays_inside_the_large_view(page: Page) -> None:
    tile(page, 1).click()
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )


def test_a_failed_picture_opens_with_its_reason(page: Page) -> None:
    page.click("[data-status=failed]")
    tile(page, 0).click()
    assert "refused by the safety system" in page.locator("#gap").inner_text()
    assert "--only=courtyard" in page.locator("#details").inner_text()


def test_the_reference_slides_over_the_result(page: Page) -> None:
    page.locator(".entry", has_text="mug-red-oak").locator(".original").click()
    until(page, "document.getElementById('before').naturalWidth === 700")
    page.locator("#cut").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    cut = "getComputedStyle(document.getElementById('frame')).getPropertyValue('--cut')"
    assert page.evaluate(cut) == "60%"
    assert page.locator("#view-title").inner_text() == "mug-red-oak"
    page.keyboard.press("c")
    assert not page.locator("#before").is_visible()


def test_a_reference_with_signs_in_its_name_is_shown(page: Page) -> None:
    page.locator(".entry", has_text="portrait-ann").locator(".original").click()
    until(page, "document.getElementById('before').naturalWidth === 600")


def test_a_file_that_went_away_after_the_page_was_written_is_said(
    browser: Browser, scene: Scene
) -> None:
    image = scene.picture("a.png")
    scene.add("a", results=(image,))
    path = scene.publish()
    (scene.folder / image.file).unlink()
    with browser.new_page() as page:
        page.goto(path.as_uri())
        tile(page, 0).click()
        page.wait_for_selector("#gap:not([hidden])")
        assert "missing or damaged" in page.locator("#gap").inner_text()


# ── the keyboard and the clipboard ──────────────────────────────────────────────────────────


def test_slash_goes_to_the_search(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("panorama")
    assert ids(page) == ["panorama"]


def test_arrows_walk_along_the_pictures(page: Page) -> None:
    tile(page, 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.at") == "1"


def test_the_first_stop_of_the_tab_key_skips_to_the_pictures(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "pictures"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Copy id night-city", "night-city"),
        ("Copy task id of night-city", "task_01K00000XQ7ZD4"),
        ("Copy references of mug-red-oak", "refs/mug.png\nhttps://example.com/oak.jpg"),
    ],
)
def test_facts_are_copied(page: Page, label: str, text: str) -> None:
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator(f"[aria-label='{label}']").click()
    assert page.evaluate("window.copied") == text
    assert page.locator("#said").inner_text() == "Copied"


def test_copying_works_without_the_clipboard_interface(page: Page) -> None:
    page.evaluate(
        """() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no'));
        document.execCommand = () => { window.copied = document.activeElement.value; }; }"""
    )
    page.locator("[aria-label='Copy id night-city']").click()
    until(page, "window.copied === 'night-city'")


def test_the_colours_can_be_chosen_and_are_remembered(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    dark = page.evaluate(paper)
    assert light != dark
    page.reload()
    page.wait_for_selector("[data-ready]")
    assert page.evaluate(paper) == dark
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"


# ── nothing gets in, nothing gets out ───────────────────────────────────────────────────────

HOSTILE = (
    "</script><img src=x onerror=alert(1)><svg onload=alert(2)><!-- \u2028 javascript:alert(3)"
)


def test_hostile_text_stays_text(window: Callable[[Path], Page], scene: Scene) -> None:
    remote = Reference(ReferenceKind.REMOTE, HOSTILE, HOSTILE)
    facts = {"tags": (HOSTILE,), "references": (remote,), "model": HOSTILE, "size": HOSTILE}
    scene.add(HOSTILE, HOSTILE, results=(scene.picture("a.png"),), task_id=HOSTILE, **facts)
    scene.add(
        "two", HOSTILE, status=Status.FAILED, error_message=HOSTILE, error_type=HOSTILE, **facts
    )
    page = window(scene.publish())
    until(page, "document.querySelector('.tile img').naturalWidth > 0")
    assert page.locator(".prompt").first.text_content() == HOSTILE
    tile(page, 0).click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.fill("#search", "</script>")
    assert page.locator(".entry").count() == 2
    assert page.locator("[onerror], [onload], img[src=x], a[href^='javascript:']").count() == 0


def test_the_policy_stops_what_a_page_should_never_do(browser: Browser, catalog: Scene) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(catalog.publish().as_uri())
    page.wait_for_selector("[data-ready]")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        ran = page.evaluate(
            """async (url) => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            const image = new Image();
            image.src = url;
            await new Promise((done) => { image.onerror = done; });
            const fetched = await fetch(url, { mode: 'no-cors' }).then(() => true, () => false);
            return [window.ran === true, fetched];
            }""",
            f"http://127.0.0.1:{listener.getsockname()[1]}/x.png",
        )
        assert ran == [False, False]
        with pytest.raises(BlockingIOError):
            listener.accept()
    context.close()


# ── many, live, small, and without scripting ────────────────────────────────────────────────


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five thousand entries that share a few pictures."""
    scene = Scene(tmp_path_factory.mktemp("crowd"))
    shapes = ((640, 360), (512, 512), (360, 640), (600, 450))
    images = [scene.picture(f"p{n}.jpg", size, n * 80) for n, size in enumerate(shapes)]
    for number in range(5_000):
        scene.add(f"entry-{number:04d}", f"Picture {number} of many", results=(images[number % 4],))
    return scene.publish()


def test_five_thousand_entries_are_all_within_reach(
    window: Callable[[Path], Page], crowd: Path
) -> None:
    page = window(crowd)
    assert page.locator("#found").inner_text() == "5,000 results"
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_selector("text=entry-4999")
    last = page.locator(".tile img").last
    last.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('.tile img')].at(-1).naturalWidth > 0")
    assert page.evaluate("document.documentElement.scrollHeight") == tall
    assert page.locator(".entry").count() < 200


def test_search_among_five_thousand(window: Callable[[Path], Page], crowd: Path) -> None:
    page = window(crowd)
    page.fill("#search", "entry-4321")
    assert ids(page) == ["entry-4321"]


def test_the_keyboard_reaches_pictures_that_were_not_drawn_yet(
    window: Callable[[Path], Page], crowd: Path
) -> None:
    page = window(crowd)
    tile(page, 0).click()
    page.keyboard.press("End")
    assert page.locator("#view-title").inner_text() == "entry-4999"
    page.keyboard.press("Escape")
    until(page, "document.activeElement.dataset.at === '4999'")
    top = page.evaluate("document.activeElement.getBoundingClientRect().top")
    assert 0 <= top < page.evaluate("innerHeight")


def test_a_live_page_comes_back_as_it_was_left(browser: Browser, scene: Scene) -> None:
    for number in range(400):
        scene.add(f"e{number}", f"Picture {number}", status=Status.PENDING)
    with quiet(browser) as page:
        page.clock.install(time=0)
        page.goto(scene.publish(live=True).as_uri())
        page.wait_for_selector("[data-ready]")
        page.clock.pause_at(4)
        page.fill("#search", "picture 1")
        page.evaluate("document.activeElement.blur()")
        page.evaluate("scrollTo(0, 2000)")
        seen = page.evaluate("window.left = scrollY")
        assert seen == 2000
        with page.expect_event("load"):
            page.clock.run_for(10_000)
        page.wait_for_selector("[data-ready]")
        assert page.evaluate("window.left === undefined")
        assert page.input_value("#search") == "picture 1"
        assert page.evaluate("scrollY") == pytest.approx(seen, abs=2)


def test_a_live_page_leaves_whoever_looks_closely_alone(browser: Browser, scene: Scene) -> None:
    scene.add("a", results=(scene.picture("a.png"),))
    with quiet(browser) as page:
        page.clock.install()
        page.goto(scene.publish(live=True).as_uri())
        page.wait_for_selector("[data-ready]")
        page.evaluate("window.same = true")
        tile(page, 0).click()
        page.clock.run_for(20_000)
        page.keyboard.press("Escape")
        page.click("#live")
        page.clock.run_for(20_000)
        assert page.evaluate("window.same")
        assert page.locator("#live").inner_text() == "Paused"


def test_a_phone_shows_it_all(browser: Browser, catalog: Scene) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with quiet(browser, **phone) as page:
        page.goto(catalog.publish().as_uri())
        page.wait_for_selector("[data-ready]")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        tile(page, 0).tap()
        until(page, "document.getElementById('after').naturalWidth > 0")
        assert page.locator("#frame").bounding_box()["width"] > 340  # type: ignore[index]
        page.locator("#close").tap()
        assert not page.locator("#view").is_visible()


def test_without_scripting_there_is_still_a_list(browser: Browser, catalog: Scene) -> None:
    with quiet(browser, java_script_enabled=False) as page:
        page.goto(catalog.publish().as_uri())
        assert page.locator(".plain .entry").count() == 15
        assert page.locator(".plain img").count() == 13
        told = page.locator(".plain").inner_text()
        assert "refused by the safety system" in told
        assert "None" not in told
        assert not page.locator("#tools").is_visible()


# ── for everybody ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_serious_barrier_is_found(
    browser: Browser, catalog: Scene, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # The checker is injected as a script, which the page's own policy would refuse.
    with quiet(
        browser,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        bypass_csp=True,
        reduced_motion="reduce",
    ) as page:
        page.goto(catalog.publish(live=True).as_uri())
        page.wait_for_selector("[data-ready]")
        page.evaluate("document.querySelector('.causes').open = true")
        barriers = serious(Axe().run(page))
        tile(page, 1).click()
        page.locator("[data-compare='0']").click()
        barriers += serious(Axe().run(page))
    assert barriers == []


def serious(results: Any) -> list[str]:
    """Return what the checker found, in words."""
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in results.response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
