"""A fit of few rows is a job and messages to the JVM, whose number is counted."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator

# Each takes a tenth of a millisecond or more. The memory that Python's garbage frees in the JVM
# takes messages too, at times that nobody knows.
MOST, FREES = 250, "m\nd\n"


def test_a_fit_sends_no_more_messages_to_the_jvm_than_recorded(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from py4j.clientserver import ClientServerConnection

    label = (F.randn(1) + F.col("id") / 40 > 1.0).cast("double")
    features = array_to_vector(F.array(F.col("id") / 80, F.randn(2)))
    frame = spark.range(0, 80, 1, 2).select(features.alias("features"), label.alias("label"))
    estimator = LogisticRegressionEstimator(regParam=0.01)
    estimator.fit(frame)  # which makes what all fits share
    sent: list[str] = []
    send = ClientServerConnection.send_command

    def noted(self: Any, command: str, *others: Any, **more: Any) -> Any:
        sent.append(command)
        return send(self, command, *others, **more)

    monkeypatch.setattr(ClientServerConnection, "send_command", noted)
    estimator.fit(frame)
    asked = [command for command in sent if not command.startswith(FREES)]
    assert 0 < len(asked) <= MOST
