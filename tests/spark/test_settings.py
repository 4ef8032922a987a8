"""Our settings of the session: their values, and errors that name them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sparklr.spark.settings import local_bytes, may_map_files


def session(**settings: str) -> Any:
    """A session that has these settings, named without `spark.sparklr.`."""
    known = {f"spark.sparklr.{name}": text for name, text in settings.items()}
    return SimpleNamespace(conf=SimpleNamespace(get=known.get))


def test_values() -> None:
    assert local_bytes(session(localMB="0.5"), 7) == 2**19
    assert local_bytes(session(), 7) == 7
    assert [may_map_files(session(mapFiles=text)) for text in ("true", "False")] == [True, False]
    assert may_map_files(session())


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "much"])
def test_megabytes_are_finite_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=f"spark.sparklr.localMB={text} is not allowed: it must"):
        local_bytes(session(localMB=text), 7)


def test_a_switch_is_true_or_false() -> None:
    with pytest.raises(ValueError, match="mapFiles=yes is not allowed: it must be true or false"):
        may_map_files(session(mapFiles="yes"))
