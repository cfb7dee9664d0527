"""The scenes that the gallery's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gallery_scene import Scene, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """An empty one."""
    return Scene(tmp_path)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run as a user would have it: many ratios, groups, references, trouble. Read only."""
    return fill(Scene(tmp_path_factory.mktemp("catalog")))
