"""Fixtures of the tests of expansion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from entries_desk import Desk, picture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def png() -> bytes:
    return picture()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return picture("JPEG", (64, 64))


@pytest.fixture(scope="session")
def webp() -> bytes:
    return picture("WEBP")
