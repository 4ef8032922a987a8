"""The benchmarks' own arithmetic, and the cheapest of them from end to end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import sparse

from benchmarks import (
    contest,
    data,
    judge,
    memory,
    page,
    picture,
    speed,
    suite,
    workloads,
    yardstick,
)
from benchmarks.judge import Coefficients, Penalty
from benchmarks.memory import Peak
from benchmarks.record import Outcome, Record, Side
from tests.parity.objective import Setting, minimum, objective


@pytest.fixture(scope="module")
def three_classes(spark: Any) -> Iterator[Any]:
    """A cached dense frame of three classes."""
    frame = data.dense_frame(spark, 2_000, data.correlated(4, 10.0), columns=3).persist()
    yield frame
    frame.unpersist()


def collected(frame: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rows = frame.collect()
    return np.array([row.features.toArray() for row in rows]), np.array([r.label for r in rows])


def outcome(name: str, ours: float | None, spark: float | None) -> Outcome:
    """An outcome with these objectives."""
    peak = Peak(1024.0, 2048.0, 512.0)
    return Outcome(
        name, "says", 2_000, 10, 0.35, Side([1.0, 2.0, 9.0], 4, 5, ours, peak),
        Side([4.0, 4.0, 6.0], 8, None, spark, peak), Side(note="> 300"), "v1",
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_objective_is_that_of_the_formulas(three_classes: Any, share: float) -> None:
    X, y = collected(three_classes)
    generator = np.random.default_rng(0)
    found = {
        "one": Coefficients(generator.normal(size=(3, 4)), generator.normal(size=3)),
        "two": Coefficients(generator.normal(size=(3, 4)), generator.normal(size=3)),
    }
    deviations = judge.standard_deviations(three_classes)
    values = judge.objectives(three_classes, found, Penalty(0.3, share), deviations)
    setting = Setting("multinomial", 0.3, share)
    for name, its in found.items():
        expected = objective(its.matrix, its.intercepts, X, y, np.ones(len(y)), setting)
        assert values[name] == pytest.approx(expected, rel=1e-12)


def test_a_sparse_frame_is_judged_as_a_dense_one(spark: Any) -> None:
    frame = data.sparse_frame(spark, 2_000, 30)
    X, y = collected(frame)
    assert 0.3 < y.mean() < 0.6
    assert (X.sum(axis=1) == data.TOKENS).all()
    its = Coefficients(np.random.default_rng(0).normal(size=(1, 30)) / 10, np.array([0.2]))
    value = judge.mean_losses(frame, [its])[0]
    expected = objective(its.matrix, its.intercepts, X, y, np.ones(len(y)), Setting())
    assert value == pytest.approx(expected, rel=1e-12)


def test_rows_depend_on_the_seed_only(spark: Any) -> None:
    draw = data.Normal(3)
    frame = data.dense_frame(spark, 3_000, draw)
    X, y = collected(frame)
    again = np.random.default_rng([data.SEED, 2])
    truth = data.true_model(draw, 1, 1.0)
    last = draw(again, data.CHUNK)
    np.testing.assert_array_equal(X[2_000:], last)
    np.testing.assert_array_equal(y[2_000:], truth.labels(again, last))


def test_features_have_the_condition_number_they_are_said_to_have() -> None:
    drawn = data.correlated(20, 1e3)(np.random.default_rng(0), 20_000)
    assert np.linalg.cond(drawn) == pytest.approx(1e3, rel=0.1)


@pytest.mark.parametrize(
    ("gap", "worse"), [(-1.0, False), (0.0, False), (9e-7, False), (2e-6, True), (np.nan, True)]
)
def test_only_a_worse_objective_fails(gap: float, worse: bool) -> None:
    assert judge.is_worse(judge.relative_gap(0.5 * (1 + gap), 0.5)) is worse


def test_the_run_fails_by_objective_and_never_by_time() -> None:
    good, bad = outcome("tiny", 0.5, 0.5), outcome("well", 0.5001, 0.5)
    slow = Outcome(**{**vars(outcome("corr", 0.5, 0.5)), "ours": Side([99.0] * 3, objective=0.5)})
    scoring = outcome("transform", None, None)
    assert [line.split(":")[0] for line in page.failures([good, bad, slow, scoring])] == ["well"]


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    assert outcome("tiny", 0.5, 0.5).ratio == 0.5  # of 0.25, 0.5 and 1.5


def test_the_table_has_a_cell_for_each_heading() -> None:
    line = dict(zip(page.HEADINGS, page.cells(outcome("tiny", 0.5, 0.5)), strict=True))
    assert line["rows × features"] == "2,000 × 10"
    assert (line["sparklr s"], line["Spark s"], line["scikit-learn s"]) == ("2", "4", "> 300")
    assert (line["ratio"], line["target"], line["met"]) == ("0.50", "0.35", "no")
    assert (line["passes"], line["iterations"]) == ("5", "4 / 8 / -")
    assert (line["gap"], line["scikit-learn gap"]) == ("+0.0e+00", "-")
    assert (line["driver GB"], line["workers GB"]) == ("3.0 / 3.0", "0.5 / 0.5")
    scoring = dict(zip(page.HEADINGS, page.cells(outcome("tiny", None, None)), strict=True))
    assert (scoring["objective"], scoring["gap"]) == ("-", "-")
    lines = page.text_table([outcome("tiny", 0.5, 0.5)]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_a_record_survives_and_a_page_is_written(tmp_path: Path) -> None:
    record = Record(tmp_path / "bench.json", 0.5, {"memory": "1 GB"})
    assert not Record.load(record.file, 0.5).outcomes
    record.outcomes = {"rows-100k": outcome("rows-100k", 0.5, 0.5)}
    record.outcomes["rows-100k"].target = None
    record.outcomes["tiny"] = outcome("tiny", 0.5, 0.5)
    record.save()
    assert Record.load(record.file, 0.5) == record
    assert not Record.load(record.file, 1.0).outcomes
    text = page.markdown_page(record, "benchmarks.png")
    assert text.index("| tiny |") < text.index("| rows-100k |")
    assert "- memory: 1 GB" in text
    picture.draw(page.in_order(record), tmp_path / "benchmarks.png")
    assert (tmp_path / "benchmarks.png").stat().st_size > 0


def bars_of(drawn: Sequence[Outcome]) -> tuple[list[str], list[float], list[str]]:
    """The words, lengths and figures of the bars in the README's picture."""
    axes = Figure().add_subplot()
    speed._draw_bars(axes, drawn)
    words = [label.get_text() for label in axes.get_yticklabels()]
    lengths = [bar.get_width() for bar in axes.patches]
    return words, lengths, [text.get_text() for text in axes.texts]


def test_the_readme_shows_every_workload_beside_spark_also_those_that_are_slower() -> None:
    slow = Outcome(**{**vars(outcome("rows-300k", 0.5, 0.5)), "ours": Side([5.0, 5.0, 9.0])})
    slow.target, slow.rows = None, 300_000
    unknown = Outcome(**{**vars(outcome("new-one", 0.5, 0.5)), "ours": Side([1.0, 1.0, 1.0])})
    other_rival = Outcome(**{**vars(outcome("grid-many", None, None)), "target": 12.0})
    drawn = speed.beside_spark([slow, outcome("tiny", 0.5, 0.5), other_rival, unknown])
    words, lengths, figures = bars_of(drawn)
    assert [one.split("  ·  ") for one in words] == [
        ["new-one", "2k × 10"],
        ["small data", "2k × 10"],
        ["independent features", "300k × 10"],
    ]
    assert lengths == [0.25, 0.5, 1.25]
    assert figures == ["0.25", "0.50", "1.25"]


def test_the_readme_has_words_for_every_workload_beside_spark() -> None:
    named = {one.name for one in workloads.WORKLOADS if (one.target or 0) <= picture.BARS_END}
    assert named == speed.WORDS.keys()


@pytest.mark.parametrize(
    ("count", "said"), [(10, "10"), (2_000, "2k"), (12_500, "12.5k"), (3_000_000, "3M")]
)
def test_amounts_are_short(count: int, said: str) -> None:
    assert speed._amount(count) == said


def test_the_pictures_are_written_with_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    record = Record(tmp_path / "bench.json", 1.0)
    for measured in (0, 1):
        assert suite._write_page(record) == Path("docs/benchmarks.md")
        files = {file.name: file.stat().st_size for file in (tmp_path / "docs").iterdir()}
        assert files.keys() == {"benchmarks.md", "benchmarks.png", "speed.png"}
        assert min(files.values()) > 0, measured
        record.outcomes["tiny"] = outcome("tiny", 0.5, 0.5)


def test_workloads_are_chosen_by_patterns() -> None:
    names = [one.name for one in workloads.chosen(["multi", "corr-*"])]
    assert names == ["corr-l1", "corr-en", "multi"]
    with pytest.raises(ValueError, match="No workload is called 'crr'"):
        workloads.chosen(["crr"])


def test_what_is_known_is_not_measured_again(tmp_path: Path) -> None:
    record = Record(tmp_path / "bench.json", 1.0)
    record.outcomes["tiny"] = outcome("tiny", 0.5, 0.5)
    record.outcomes["tiny"].version = suite.source_version()
    record.outcomes["well"] = outcome("well", 0.5, 0.5)

    def todo(*arguments: str) -> list[str]:
        return [one.name for one in suite._todo(suite._options(arguments), record)]

    assert todo() == [one.name for one in workloads.WORKLOADS if one.name != "tiny"]
    assert todo("--only", "tiny,well") == ["tiny", "well"]
    assert todo("--quick") == list(workloads.QUICK)


@pytest.mark.parametrize("penalty", [Penalty(0.1), Penalty()], ids=["L2", "none"])
def test_scikit_learn_minimises_the_same(penalty: Penalty) -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(400, 3)) * [0.1, 1.0, 10.0] + [0.0, 5.0, 0.0]
    y = (generator.logistic(size=400) < X @ [8.0, 1.0, 0.1] - 5).astype(float)
    setting, ones = Setting(regParam=penalty.regParam), np.ones(400)
    least = objective(*minimum(X, y, ones, setting), X, y, ones, setting)
    found, iterations = yardstick.fit(X, y, penalty)
    value = objective(found.matrix, found.intercepts, X, y, ones, setting)
    assert value == pytest.approx(least, rel=1e-6)
    assert iterations > 0


def test_scikit_learn_under_l1_on_sparse_rows() -> None:
    generator = np.random.default_rng(0)
    X = generator.poisson(0.3, size=(500, 4)).astype(float)
    y = (generator.logistic(size=500) < X @ [2.0, -2.0, 0.0, 0.0]).astype(float)
    dense, _ = yardstick.fit(X, y, Penalty(0.05, 1.0))
    other, _ = yardstick.fit(sparse.csr_matrix(X), y, Penalty(0.05, 1.0))
    setting = Setting(regParam=0.05, elasticNetParam=1.0)
    values = [
        objective(its.matrix, its.intercepts, X, y, np.ones(500), setting) for its in (dense, other)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_memory_is_seen() -> None:
    if not memory.PROC.exists():
        pytest.skip("there is no /proc")
    with memory.MemoryWatch() as watch:
        pass
    assert watch.peak.driver > 10
    assert memory.look(os.getpid()).driver > 10


def test_a_workload_from_end_to_end(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fit and transform of the smallest rows, scikit-learn included."""
    monkeypatch.setattr(yardstick, "TIME_LIMIT", 600.0)
    (tiny,) = workloads.chosen(["tiny"])
    frame = tiny.dataset.make(spark, 2_000)
    scoring = workloads.Workload("scores", "", tiny.dataset, tiny.penalty, 1.05, scores=True)
    with contest.open_arena(tiny.dataset, frame, tmp_path / "rows") as arena:
        fitted = contest.measure(tiny, arena, 1, in_memory=True)
        scored = contest.measure(scoring, arena, 1, in_memory=False)
    assert not (tmp_path / "rows").exists()
    assert not page.failures([fitted, scored])
    assert fitted.sklearn.note == ""
    gap = fitted.gap(fitted.sklearn)
    assert gap is not None
    assert abs(gap) < 1e-5
    assert fitted.ours.passes is not None
    assert scored.ratio > 0
    assert len(page.cells(scored)) == len(page.HEADINGS)
