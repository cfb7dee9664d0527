"""What is a key is found and starred out; what only looks a little like one is left alone."""

from __future__ import annotations

import pytest

from pipeline import secret

KEYS = [
    "sk-live0123456789abcdefghij",
    "sk-proj-Ab3_" + "x" * 30,
    "Bearer abcdefghijklmnop0123456789",
    "bearer eyJhbGciOiJIUzI1NiJ9.e30.abc-_123",
    "AIza" + "Sy0" + "a" * 32,
    "ghp_0123456789abcdefghijABCDEFGHIJ",
]
HARMLESS = [
    "a risk-taking-adventurer-in-the-mountains-of-1890",
    "refs/sk-0123456789abcdef0123.png",
    "refs/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b.png",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "https://example.com/a.jpg?token=abc&X-Amz-Signature=0123456789abcdef0123456789abcdef",
    "the standard bearer internationalization",
    "sk-ii bottle on a marble table",
    "task_01K8SGYNNNVBQTXNR4MM964S7K",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_found_by_its_look(key: str) -> None:
    assert len(secret.find(f"x: '{key}'")) == 1


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_key_is_left_alone(text: str) -> None:
    assert secret.find(text) == []


@pytest.mark.parametrize("key", KEYS)
def test_a_masked_text_keeps_its_length_and_loses_the_key(key: str) -> None:
    text = f"before {key} after"
    masked = secret.mask(text)
    assert len(masked) == len(text)
    assert key not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


@pytest.mark.parametrize("name", ["api_key", "API-KEY", "my_token", "Authorization", "password"])
def test_a_name_makes_a_key_of_its_value(name: str) -> None:
    assert secret.named(name, "Zx81kQp02mNv73LtRw55")
    assert not secret.named(name, "${{ env.KEY }}")
    assert not secret.named(name, "a-golden-coin-on-a-wooden-table")
    assert not secret.named(name, "short1")
    assert "Zx81kQp02mNv73LtRw55" not in secret.mask(f'{name}: "Zx81kQp02mNv73LtRw55"')


@pytest.mark.parametrize("name", ["prompt", "id", "file", "keyboard", "tokens_of_love"])
def test_other_names_do_not(name: str) -> None:
    assert not secret.named(name, "Zx81kQp02mNv73LtRw55")
