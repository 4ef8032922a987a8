"""Sequences of steps that set a stage's thresholds, and what the stage tells after each."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

SHARES = st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0])
LISTS = st.sampled_from([[0.5, 0.5], [0.7, 0.3], [0.75, 0.25], [0.0, 1.0], [0.2, 0.3, 0.5]])
VALUES = st.one_of(st.tuples(st.just("threshold"), SHARES), st.tuples(st.just("thresholds"), LISTS))
STEPS = st.lists(
    st.tuples(st.sampled_from(["setter", "set", "map", "clear", "setParams"]), VALUES), max_size=6
)


def taken(stage: Any, how: str, name: str, value: Any) -> Any:
    """The stage after a step, a copy of it after a param map."""
    param = stage.getParam(name)
    if how == "setter":
        getattr(stage, f"set{name.capitalize()}")(value)
        # Spark documents that each setter clears the other's Param, but its own does not here.
        stage.clear(stage.getParam("threshold" if name == "thresholds" else "thresholds"))
    elif how == "set":
        stage.set(param, value)
    elif how == "map":
        return stage.copy({param: value})
    elif how == "clear":
        stage.clear(param)
    elif hasattr(stage, "setParams"):  # a model has none
        stage.setParams(**{name: value})
    return stage


def told(stage: Any) -> list[Any]:
    """What a stage says of its thresholds: values, or the names of errors."""
    said = []
    for ask in (stage.getThreshold, stage.getThresholds):
        try:
            said.append(ask())
        except Exception as error:
            said.append(type(error).__name__)
    return [*said, stage.isSet("threshold"), stage.isSet("thresholds")]


def walked(stage: Any, steps: Any) -> list[Any]:
    """What a copy of the stage tells at first and after each step, None for one that fails."""
    stage = stage.copy()
    said: list[Any] = [told(stage)]
    for how, (name, value) in steps:
        try:
            stage = taken(stage, how, name, value)
        except Exception:
            return [*said, None]
        said.append(told(stage))
    return said


def assert_told_alike(ours: list[Any], theirs: list[Any], steps: Any) -> None:
    """As `walked` tells of our stage and of Spark's."""
    refused = theirs[-1] is None
    kept = len(theirs) - refused
    assert ours[:kept] == theirs[:kept], steps
    if not refused:
        assert len(ours) == kept, steps
    elif steps[kept - 1][0] == "map" and ours[kept] is not None:
        # Spark's models are copied in the JVM, which asks for the threshold at once.
        assert ours[kept][0] == "ValueError", steps
    else:
        assert ours[kept:] == [None], steps
