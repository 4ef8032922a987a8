"""What every error that a user may see keeps to."""

from __future__ import annotations

import traceback


def assert_plain(error: BaseException, words: tuple[str, ...]) -> None:
    """The error says these words, in one line, and shows nothing of what is below Python."""
    text = str(error)
    for word in words:
        assert word in text
    for word in ("Py4J", "Traceback", "org.apache", "\n"):
        assert word not in text
    printed = "".join(traceback.format_exception(error))
    for word in ("Py4J", "org.apache", "AnalysisException"):
        assert word not in printed
