"""What saved files hold that cannot be read, as an error of one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def damage(what: str, remedy: str = ". Save it again.") -> Iterator[None]:
    """Turn errors from reading damaged content into a ValueError of one sentence."""
    try:
        yield
    except (
        ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError,
        ValueError,
    ) as reason:  # fmt: skip
        text = " ".join(f"{type(reason).__name__}: {reason}".split())
        raise ValueError(what + text.rstrip(".") + remedy) from None
