"""What is said of a platform's refusal."""

from __future__ import annotations

import pytest

from sparklr.spark.refusals import first_line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no\nat java.lang.Thread", "no"),
        ("o12 failed.\n: org.apache.spark.SparkException: no", "o12 failed."),
        ("(driver): org.apache.spark.SparkException: none in a.b.C: \n", "(driver): none in"),
        ("java.io.IOException", "java.io.IOException"),
        ("spark.sparklr.localMB is static", "spark.sparklr.localMB is static"),
    ],
)
def test_a_refusal_is_one_line_without_javas_names(text: str, said: str) -> None:
    assert first_line(RuntimeError(text)) == said
