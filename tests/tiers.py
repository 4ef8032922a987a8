"""The cases of a test that `make test` runs, and those that it leaves to `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_and_deep(cases: Iterable[Any], first: int = 1) -> list[Any]:
    """Cases to parametrise a test by: the first, the most telling, and the others marked `deep`.

    A tuple has a value for each of several arguments.
    """
    return [case if at < first else _deep(case) for at, case in enumerate(cases)]


def _deep(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.deep)
