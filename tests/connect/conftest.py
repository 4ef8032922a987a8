"""Tests of Spark Connect alone: collected only where `test_connect.py` has started a server."""

from __future__ import annotations

from tests.conftest import REMOTE

collect_ignore_glob = [] if REMOTE else ["test_*.py"]
