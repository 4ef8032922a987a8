"""Tests of Spark Connect alone: collected only where `client.py` has started a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REMOTE

collect_ignore_glob = [] if REMOTE else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is in this folder: it is run in either tier."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("connect")
            item.add_marker("connect_slice")
