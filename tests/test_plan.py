"""Entries and the record compared: every action, its reason, and what is never paid for twice."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import outline as outlines
from pipeline.errors import InputError
from pipeline.lifecycle import Status, Step
from pipeline.model import PAYING, Action, Entry, Image, Job, Reference, ReferenceKind
from pipeline.money import Money
from pipeline.outline import Outline
from pipeline.planning import Choice, Comparison, Tally, difference, pays, select, works
from pipeline.problem import Place
from pipeline.state import Book, Store, change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.model import Item, Record

NOW = 1_800_000_000.0
PRICE = Money(33_600_000)
LIVES: dict[Status, tuple[Step, ...]] = {
    Status.PENDING: (),
    Status.SUBMITTING: (Step.INTEND,),
    Status.SUBMITTED: (Step.INTEND, Step.ACCEPT),
    Status.COMPLETED: (Step.INTEND, Step.ACCEPT, Step.COMPLETE),
    Status.DOWNLOADED: (Step.INTEND, Step.ACCEPT, Step.COMPLETE, Step.DOWNLOAD),
    Status.FAILED: (Step.INTEND, Step.ACCEPT, Step.FAIL),
    Status.HELD: (Step.INTEND, Step.DOUBT),
    Status.EXPIRED: (Step.INTEND, Step.ACCEPT, Step.COMPLETE, Step.EXPIRE),
}
PAID = (Status.SUBMITTING, Status.SUBMITTED, Status.COMPLETED, Status.DOWNLOADED, Status.HELD)


def entry(
    name: str,
    prompt: str = "a cup",
    *,
    n: int = 1,
    split: bool = True,
    tags: tuple[str, ...] = (),
    references: tuple[Reference, ...] = (),
    size: str = "1:1",
) -> Entry:
    """An entry as `entries` would make it, its place in the spec left to `spec`."""
    shares = [(index, 1) for index in range(1, n + 1)] if split else [(1, n)]
    jobs = tuple(
        _job(name, prompt, index, images, tags, references, size) for index, images in shares
    )
    return Entry(name, 0, Place("spec.yaml"), tags, jobs)


def _job(
    name: str,
    prompt: str,
    index: int,
    images: int,
    tags: tuple[str, ...],
    references: tuple[Reference, ...],
    size: str,
) -> Job:
    request = {"model": "m", "n": images, "prompt": prompt, "size": size}
    seal = f"{prompt}|{size}|{index}|{images}|{[one.identity for one in references]}"
    stems = tuple(name if at == 1 else f"{name}-{at}" for at in range(index, index + images))
    return Job(
        name, index, images, 0, "m", prompt, size, json.dumps(request), references,
        "upload", "", seal.encode().hex(), stems, tags, Money(PRICE * images),
    )  # fmt: skip


def spec(*listed: Entry) -> list[Entry]:
    """Entries in this order."""
    return [
        replace(one, position=at, jobs=tuple(replace(job, position=at) for job in one.jobs))
        for at, one in enumerate(listed)
    ]


class World:
    """A state file that lives through plans and runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost: Callable[[Record], str] = lambda _: ""

    def plan(self, entries: list[Entry], choice: Choice | None = None) -> list[Item]:
        """What a run would do; nothing is changed."""
        return [item for item, _ in self.chosen(entries, choice)]

    def chosen(self, entries: list[Entry], choice: Choice | None = None) -> list[tuple[Item, bool]]:
        """The same, each with whether the choice takes it."""
        choice = choice or Choice()
        book = Book(self.path)
        try:
            return list(select(Comparison(book, choice, self.lost).items(entries), choice))
        finally:
            book.close()

    def stage(self, entries: list[Entry], choice: Choice | None = None) -> list[Item]:
        """Make the plan the record, as a run does."""
        chosen = self.chosen(entries, choice)
        store = Store(self.path)
        with store.transaction():
            store.stage(chosen, NOW)
        store.close()
        return [item for item, _ in chosen]

    def run(self, entries: list[Entry], status: Status = Status.DOWNLOADED) -> list[Item]:
        """Stage, and bring every job that waits to a status."""
        items = self.stage(entries)
        for record in self.active():
            if record.status is Status.PENDING:
                self.bring(record, status)
        return items

    def bring(self, record: Record, status: Status) -> None:
        """Bring a pending job to a status."""
        store = Store(self.path)
        for step in LIVES[status]:
            done = step in (Step.COMPLETE, Step.DOWNLOAD)
            results = tuple(
                Image(at, "http://x", 0.0, f"images/{stem}.png", 1, "ab")
                for at, stem in enumerate(record.stems, 1)
            )
            one = change(record, step, NOW, **({"results": results} if done else {}))
            store.write([one])
            record = one.after
        store.close()

    def active(self) -> list[Record]:
        """The jobs in force."""
        book = Book(self.path)
        try:
            return list(book.active())
        finally:
            book.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "state.sqlite")


def told(items: list[Item]) -> list[tuple[str, str, str]]:
    """Name, action and reason of each item."""
    return [(outlines.name_of(one), one.action.value, one.reason) for one in items]


# ── every action and its reason ─────────────────────────────────────────────────────────────


def test_what_nobody_asked_for_yet_is_new(world: World) -> None:
    items = world.plan(spec(entry("a", n=2)))
    assert told(items) == [("a", "new", "new"), ("a #2", "new", "new")]


def test_what_is_there_is_unchanged(world: World) -> None:
    world.run(spec(entry("a")))
    (item,) = world.plan(spec(entry("a")))
    assert told([item]) == [("a", "unchanged", "unchanged")]
    assert not works(item)


def test_another_prompt_makes_it_again_and_says_what_changed(world: World) -> None:
    world.run(spec(entry("a", "a cup")))
    (item,) = world.plan(spec(entry("a", "a bowl", size="16:9")))
    assert told([item]) == [("a", "changed", "changed: prompt, size")]
    assert item.record is not None
    assert pays(item)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.PENDING, "not sent yet"),
        (Status.SUBMITTING, "sent, outcome unknown: asked again with the same key"),
        (Status.SUBMITTED, "under way"),
        (Status.COMPLETED, "finished, to be fetched"),
    ],
)
def test_what_is_under_way_is_resumed(world: World, status: Status, reason: str) -> None:
    world.run(spec(entry("a")), status)
    (item,) = world.plan(spec(entry("a")), Choice(force=("*",), retry=frozenset(Status)))
    assert told([item]) == [("a", "resume", reason)]
    assert pays(item) is (status is Status.PENDING)
    assert works(item)


@pytest.mark.parametrize("status", [Status.FAILED, Status.HELD, Status.EXPIRED])
def test_what_stopped_is_left_until_a_retry_asks_for_it(world: World, status: Status) -> None:
    world.run(spec(entry("a")), status)
    (left,) = world.plan(spec(entry("a")))
    assert told([left]) == [("a", "left", f"{status}: no reason is known")]
    assert not works(left)
    (again,) = world.plan(spec(entry("a")), Choice(retry=frozenset({status})))
    assert told([again]) == [("a", "retry", f"was {status}: tried again")]
    assert pays(again)
    others = frozenset({Status.FAILED, Status.HELD, Status.EXPIRED} - {status})
    (other,) = world.plan(spec(entry("a")), Choice(retry=others))
    assert other.action is Action.LEFT


def test_a_lost_file_is_fetched_and_not_paid_for(world: World) -> None:
    world.run(spec(entry("a")))
    world.lost = lambda _: "file truncated"
    (item,) = world.plan(spec(entry("a")))
    assert told([item]) == [("a", "fetch", "file truncated, will be fetched")]
    assert works(item)
    assert not pays(item)


def test_force_makes_again_what_is_there_and_only_that(world: World) -> None:
    world.run(spec(entry("a"), entry("b", "b")))
    items = world.plan(spec(entry("a"), entry("b", "b")), Choice(force=("a*",)))
    assert told(items) == [("a", "forced", "made again on demand"), ("b", "unchanged", "unchanged")]


def test_force_outside_of_the_selection_makes_nothing(world: World) -> None:
    world.run(spec(entry("a")))
    (item,) = world.plan(spec(entry("a")), Choice(force=("*",), only=("b",)))
    assert item.action is Action.UNCHANGED


def test_force_tries_again_what_stopped(world: World) -> None:
    world.run(spec(entry("a")), Status.HELD)
    (item,) = world.plan(spec(entry("a")), Choice(force=("a",)))
    assert item.action is Action.RETRY


def test_what_left_the_spec_is_removed_and_keeps_its_files(world: World) -> None:
    world.run(spec(entry("a"), entry("b", "b")))
    items = world.stage(spec(entry("b", "b")))
    assert ("a", "removed", "removed from the spec, files kept") in told(items)
    assert [one.entry_id for one in world.active()] == ["b"]


# ── names and pictures ──────────────────────────────────────────────────────────────────────


def test_a_renamed_entry_keeps_its_picture(world: World) -> None:
    world.run(spec(entry("a")))
    items = world.stage(spec(entry("b")))
    assert told(items) == [("b", "renamed", "renamed from a")]
    (record,) = world.active()
    assert (record.entry_id, record.number, record.stems) == ("b", 1, ("b",))


def test_two_entries_that_swap_names_keep_their_pictures(world: World) -> None:
    world.run(spec(entry("a", "one"), entry("b", "two")))
    items = world.stage(spec(entry("b", "one"), entry("a", "two")))
    assert told(items) == [("b", "renamed", "renamed from a"), ("a", "renamed", "renamed from b")]
    assert {one.entry_id: one.number for one in world.active()} == {"b": 1, "a": 2}


def test_a_chain_of_renames_keeps_every_picture(world: World) -> None:
    world.run(spec(entry("a", "1"), entry("b", "2"), entry("c", "3")))
    items = world.stage(spec(entry("b", "1"), entry("c", "2"), entry("d", "3")))
    assert [one.action for one in items] == [Action.RENAMED] * 3
    assert {one.entry_id: one.number for one in world.active()} == {"b": 1, "c": 2, "d": 3}


def test_a_new_prompt_under_an_old_name_and_the_old_one_under_a_new_name(world: World) -> None:
    world.run(spec(entry("a", "old")))
    items = world.stage(spec(entry("a", "new"), entry("b", "old")))
    assert told(items) == [("a", "changed", "changed: prompt"), ("b", "renamed", "renamed from a")]
    assert {one.entry_id: one.number for one in world.active()} == {"a": 2, "b": 1}


def test_a_picture_that_moved_on_is_not_retired_with_the_name_it_had(world: World) -> None:
    """`z` takes over the picture of `a`; `a` now wants what only `b` has, and must pay."""
    world.run(spec(entry("a", "old"), entry("b", "taken")))
    wanted = spec(entry("z", "old"), entry("a", "taken"), entry("b", "taken"))
    items = world.stage(wanted)
    assert [(one.action, pays(one)) for one in items if one.job and one.job.entry_id == "a"] == [
        (Action.NEW, True)
    ]
    assert {one.entry_id: one.number for one in world.active()} == {"z": 1, "a": 3, "b": 2}


def test_a_prompt_that_comes_back_finds_its_old_picture(world: World) -> None:
    world.run(spec(entry("a", "old")))
    world.run(spec(entry("a", "new")))
    items = world.stage(spec(entry("a", "old")))
    assert told(items) == [
        ("a", "restored", "asked for again, its picture is kept"),
        ("a", "removed", "an earlier picture takes its place"),
    ]
    assert [one.number for one in world.active()] == [1]


@pytest.mark.parametrize("status", [Status.SUBMITTING, Status.SUBMITTED, Status.HELD])
def test_an_entry_that_comes_back_goes_on_with_what_was_sent(world: World, status: Status) -> None:
    world.run(spec(entry("a", "old")), status)
    world.stage(spec())
    (item,) = world.stage(spec(entry("b", "old")))
    assert item.action is Action.RESTORED
    assert not pays(item)
    assert works(item) is (status is not Status.HELD)
    assert [(one.number, one.status) for one in world.active()] == [(1, status)]


@pytest.mark.parametrize("status", [Status.FAILED, Status.EXPIRED])
def test_an_entry_that_comes_back_does_not_bring_an_old_failure(
    world: World, status: Status
) -> None:
    world.run(spec(entry("a", "old")), status)
    world.stage(spec())
    (item,) = world.stage(spec(entry("a", "old")))
    assert item.action is Action.NEW


def test_each_of_two_entries_with_one_prompt_gets_a_picture_of_its_own(world: World) -> None:
    items = world.run(spec(entry("a"), entry("b")))
    assert [one.action for one in items] == [Action.NEW, Action.NEW]
    (again, twin) = world.plan(spec(entry("b"), entry("c")))
    assert told([again, twin]) == [
        ("b", "unchanged", "unchanged"),
        ("c", "renamed", "renamed from a"),
    ]
    third = world.plan(spec(entry("a"), entry("b"), entry("c")))[2]
    assert third.action is Action.NEW


def test_a_file_under_the_wrong_name_is_renamed(world: World) -> None:
    world.run(spec(entry("a")))
    store = Store(world.path)
    (record,) = world.active()
    moved = tuple(replace(one, file="images/elsewhere.png") for one in record.results)
    with store.transaction():
        store.note(record, NOW, "move", results=moved)
    store.close()
    (item,) = world.plan(spec(entry("a")))
    assert told([item]) == [("a", "renamed", "its file gets another name")]


# ── how many images ─────────────────────────────────────────────────────────────────────────


def test_more_images_cost_only_the_further_ones(world: World) -> None:
    world.run(spec(entry("a", n=2)))
    items = world.plan(spec(entry("a", n=4)))
    assert [one.action for one in items] == [Action.UNCHANGED] * 2 + [Action.NEW] * 2


def test_fewer_images_keep_the_first_and_remove_the_rest(world: World) -> None:
    world.run(spec(entry("a", n=3)))
    items = world.plan(spec(entry("a", n=1)))
    assert [one.action for one in items] == [Action.UNCHANGED, Action.REMOVED, Action.REMOVED]
    world.stage(spec(entry("a", n=1)))
    back = world.plan(spec(entry("a", n=3)))
    assert [one.action for one in back] == [Action.UNCHANGED, Action.RESTORED, Action.RESTORED]


def test_one_request_for_all_images_is_another_job_than_one_for_each(world: World) -> None:
    world.run(spec(entry("a", n=3)))
    items = world.stage(spec(entry("a", n=3, split=False)))
    assert [one.action for one in items] == [Action.CHANGED, Action.REMOVED, Action.REMOVED]
    assert items[0].reason == "changed: n"
    assert len(world.active()) == 1
    back = world.plan(spec(entry("a", n=3)))
    assert [one.action for one in back if one.job] == [Action.RESTORED] * 3


# ── what changed, in words ──────────────────────────────────────────────────────────────────


def reference(source: str, identity: str = "") -> Reference:
    return Reference(ReferenceKind.REMOTE, source, identity or source)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ((), ("x",), "reference x added"),
        (("x",), (), "reference x removed"),
        (("x", "y"), ("y", "x"), "order of references changed"),
    ],
)
def test_a_change_of_references_is_named(
    world: World, before: tuple[str, ...], after: tuple[str, ...], words: str
) -> None:
    world.run(spec(entry("a", references=tuple(map(reference, before)))))
    (item,) = world.plan(spec(entry("a", references=tuple(map(reference, after)))))
    assert (item.action, item.reason) == (Action.CHANGED, words)


def test_an_edited_reference_is_named(world: World) -> None:
    world.run(spec(entry("a", references=(reference("mug.png", "sha256:1"),))))
    (item,) = world.plan(spec(entry("a", references=(reference("mug.png", "sha256:2"),))))
    assert item.reason == "reference mug.png changed"


def test_a_change_without_a_visible_cause_is_still_called_one(world: World) -> None:
    world.run(spec(entry("a")))
    (record,) = world.active()
    assert difference(entry("a").jobs[0], record) == "changed"


# ── the choice ──────────────────────────────────────────────────────────────────────────────


def taken(chosen: list[tuple[Item, bool]]) -> list[str]:
    return [outlines.name_of(item) for item, is_chosen in chosen if is_chosen]


MIXED = spec(
    entry("mug-1", "1", tags=("mugs",)), entry("mug-2", "2"), entry("cup", "3", tags=("x",))
)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(), ["mug-1", "mug-2", "cup"]),
        (Choice(only=("mug-*",)), ["mug-1", "mug-2"]),
        (Choice(only=("cup", "mug-2")), ["mug-2", "cup"]),
        (Choice(tags=("mugs", "x")), ["mug-1", "cup"]),
        (Choice(only=("mug-*",), tags=("x",)), []),
        (Choice(limit=2), ["mug-1", "mug-2"]),
        (Choice(limit=0), []),
        (Choice(only_retried=True), []),
    ],
)
def test_a_choice_takes_what_it_names(world: World, choice: Choice, names: list[str]) -> None:
    assert taken(world.chosen(MIXED, choice)) == names


def test_a_limit_counts_only_jobs_with_something_to_do(world: World) -> None:
    world.run(MIXED[:2])
    chosen = world.chosen(MIXED, Choice(limit=1))
    assert taken(chosen) == ["mug-1", "mug-2", "cup"]


def test_only_what_is_retried_leaves_new_entries_alone(world: World) -> None:
    world.run(spec(entry("a")), Status.FAILED)
    choice = Choice(retry=frozenset({Status.FAILED}), only_retried=True)
    chosen = world.chosen(spec(entry("a"), entry("b", "b")), choice)
    assert [(outlines.name_of(item), is_chosen) for item, is_chosen in chosen] == [
        ("a", True),
        ("b", False),
    ]


def test_what_is_not_chosen_is_not_worked_on_and_not_forgotten(world: World) -> None:
    world.stage(MIXED, Choice(only=("cup",)))
    book = Book(world.path)
    assert [one.entry_id for one in book.work()] == ["cup"]
    book.close()
    assert [one.entry_id for one in world.active()] == ["mug-1", "mug-2", "cup"]


def test_a_forced_job_that_was_not_sent_is_not_paid_for_by_a_run_without_force(
    world: World,
) -> None:
    world.run(spec(entry("a")))
    world.stage(spec(entry("a")), Choice(force=("a",)))
    again = world.chosen(spec(entry("a")), Choice(force=("a",)))
    assert [pays(item) for item, _ in again] == [True]
    items = world.stage(spec(entry("a")))
    assert [
        (action, pays(item)) for (_, action, _), item in zip(told(items), items, strict=True)
    ] == [
        ("restored", False),
        ("removed", False),
    ]
    assert [one.number for one in world.active()] == [1]


def counted(items: list[tuple[Item, bool]]) -> Tally:
    tally = Tally()
    for item, chosen in items:
        tally.count(item, chosen)
    return tally


def test_a_tally_counts_and_prices_what_is_taken(world: World) -> None:
    world.run(MIXED[:1])
    tally = counted(world.chosen(MIXED, Choice(only=("mug-*",))))
    assert tally.actions == {Action.UNCHANGED: 1, Action.NEW: 1}
    assert (tally.chosen, tally.left_out) == (2, 1)
    assert (tally.to_pay, tally.todo, tally.to_fetch) == (1, 1, 0)
    assert tally.estimate == PRICE


def test_a_tally_tells_fetching_from_paying(world: World) -> None:
    world.run(MIXED[:1])
    world.lost = lambda _: "file missing"
    tally = counted(world.chosen(MIXED[:1]))
    assert (tally.to_pay, tally.to_fetch, tally.todo, tally.estimate) == (0, 1, 1, 0)


# ── for all edits ───────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
PROMPTS = st.sampled_from(["one", "two", "three"])
SPECS = st.lists(
    st.builds(
        lambda name, prompt, n, split: entry(name, prompt, n=n, split=split),
        NAMES, PROMPTS, st.integers(1, 3), st.booleans(),
    ),
    max_size=5,
    unique_by=lambda one: one.id,
).map(lambda listed: spec(*listed))  # fmt: skip


@contextmanager
def fresh() -> Iterator[World]:
    with TemporaryDirectory() as folder:
        yield World(Path(folder) / "state.sqlite")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SPECS, st.sampled_from(list(Status))), min_size=1, max_size=4), SPECS)
def test_no_edit_ever_pays_for_a_picture_that_is_there(
    past: list[tuple[list[Entry], Status]], wanted: list[Entry]
) -> None:
    with fresh() as world:
        for entries, status in past:
            world.run(entries, status)
        book = Book(world.path)
        jobs = [job for one in wanted for job in one.jobs]
        known = {job.fingerprint: list(book.with_fingerprint(job.fingerprint)) for job in jobs}
        book.close()
        items = world.plan(wanted)
        asked = [item.job for item in items if item.job is not None]
        assert sorted(asked, key=repr) == sorted(jobs, key=repr)
        kept = [
            item.record.number
            for item in items
            if item.record and item.job and item.action not in (Action.CHANGED, Action.FORCED)
        ]
        assert len(kept) == len(set(kept))
        for item in items:
            if item.job is None or item.action not in PAYING:
                continue
            free = [
                one
                for one in known[item.job.fingerprint]
                if one.status in PAID and one.number not in kept
            ]
            assert free == []
        world.stage(wanted)
        active = {(one.entry_id, one.image_index): one for one in world.active()}
        assert len(active) == len(world.active()) == len(jobs)
        for job in jobs:
            record = active[job.entry_id, job.image_index]
            assert (record.fingerprint, record.stems) == (job.fingerprint, job.stems)
        book = Book(world.path)
        assert book.check() == []
        book.close()
        again = [one.action for one in world.plan(wanted)]
        assert not {Action.NEW, Action.CHANGED, Action.REMOVED, Action.RESTORED} & set(again)


# ── the plan, told ──────────────────────────────────────────────────────────────────────────


def outline(chosen: list[tuple[Item, bool]]) -> Outline:
    watched = Outline()
    list(watched.watch(iter(chosen)))
    return watched


def test_a_digest_is_the_same_for_the_same_plan(world: World) -> None:
    assert outline(world.chosen(MIXED)).digest == outline(world.chosen(MIXED)).digest


@pytest.mark.parametrize(
    "other",
    [
        spec(*MIXED[:2]),
        spec(MIXED[1], MIXED[0], MIXED[2]),
        spec(entry("mug-1", "another"), *MIXED[1:]),
        spec(entry("mug-9", "1"), *MIXED[1:]),
        spec(entry("mug-1", "1", n=2), *MIXED[1:]),
    ],
)
def test_a_digest_tells_plans_apart(world: World, other: list[Entry]) -> None:
    assert outline(world.chosen(MIXED)).digest != outline(world.chosen(other)).digest


def test_a_digest_does_not_see_what_is_not_chosen_or_has_no_part_in_the_picture(
    world: World,
) -> None:
    choice = Choice(only=("mug-*",))
    one = outline(world.chosen(MIXED, choice)).digest
    assert one == outline(world.chosen(spec(*MIXED[:2], entry("cup", "x")), choice)).digest
    tagged = spec(entry("mug-1", "1", tags=("other",)), *MIXED[1:])
    assert one == outline(world.chosen(tagged, choice)).digest


def test_a_digest_sees_that_the_work_was_done_meanwhile(world: World) -> None:
    before = outline(world.chosen(MIXED)).digest
    world.run(MIXED)
    assert outline(world.chosen(MIXED)).digest != before


def test_an_approved_plan_gives_its_choice_and_its_digest_back(
    world: World, tmp_path: Path
) -> None:
    choice = Choice(("a*",), ("t",), ("f",), frozenset({Status.HELD}), 7)
    seen = Outline()
    text = "".join(outlines.document(world.chosen(MIXED, choice), seen, {"spec": "s"}, choice))
    (tmp_path / "plan.json").write_text(text)
    assert outlines.approved(tmp_path / "plan.json") == (choice, seen.digest)
    items = json.loads(text)["items"]
    assert [one["entry_id"] for one in items] == ["mug-1", "mug-2", "cup"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"choice": {"only": 1}}', "\x00"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError, match="is not a plan"):
        outlines.approved(tmp_path / "plan.json")


def test_a_plan_for_people_folds_long_lists_and_names_the_price(world: World) -> None:
    many = spec(*(entry(f"e{n:02}", str(n)) for n in range(14)))
    said = outlines.text(
        outline(world.chosen(many)),
        name="x",
        spec="s.yaml",
        pace=(2, 10.0),
        columns=80,
        color=False,
    )
    assert "new             14" in said
    assert "and 4 more" in said
    assert "To pay for: 14 jobs, about $0.4704 (an estimate)" in said
    assert "at the pace of earlier runs" in said


def test_a_finished_spec_has_nothing_to_do(world: World) -> None:
    world.run(MIXED)
    said = outlines.text(
        outline(world.chosen(MIXED)), name="x", spec="s", pace=(0, 0.0), columns=80, color=False
    )
    assert "Nothing to do" in said


def test_an_explanation_shows_then_and_now(world: World) -> None:
    world.run(spec(entry("a", "a cup")))
    said = outlines.explain(world.plan(spec(entry("a", "a bowl"))), columns=100)
    assert "a: changed (changed: prompt)" in said
    assert "≠ prompt" in said
    assert "then  a cup" in said
    assert "now   a bowl" in said
    assert "≠ size" not in said


def test_hostile_names_and_prompts_cannot_write_on_the_terminal(world: World) -> None:
    hostile = spec(entry("a\x1b[2J", "p\x07\x1b]0;x\x07"))
    said = outlines.text(
        outline(world.chosen(hostile)), name="n\x1b", spec="s\x1b", pace=(0, 0.0), columns=80,
        color=False,
    ) + outlines.explain(world.plan(hostile), columns=80)  # fmt: skip
    assert "\x1b" not in said
    assert "\x07" not in said
