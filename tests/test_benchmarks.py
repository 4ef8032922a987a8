"""The benchmarks' own arithmetic, and the cheapest of them from end to end."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    beside,
    data,
    judge,
    packaged,
    page,
    rivals,
    rivals_apart,
    run,
    session,
    workloads,
)
from benchmarks.judge import OURS, SPARK, Coefficients, Outcome, Penalty, Side
from tests.parity.objective import Setting, objective

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def three_classes(spark: Any) -> Iterator[Any]:
    """A cached dense frame of three classes."""
    frame = data.dense_frame(spark, 2_000, data.correlated(4, 10.0), columns=3).persist()
    yield frame
    frame.unpersist()


def collected(frame: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rows = frame.collect()
    return np.array([row.features.toArray() for row in rows]), np.array([r.label for r in rows])


def outcome(name: str, ours: float | None, spark: float | None, scale: float = 1.0) -> Outcome:
    """An outcome with these objectives."""
    sides = {
        OURS: Side([1.0, 2.0, 9.0], 3.5, None, 4, 5, ours),
        SPARK: Side([4.0, 4.0, 6.0], 2.5, None, 8, None, spark),
    }
    return Outcome(name, scale, 2_000, 10, sides, {"memory": "1 GB"})


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
    value = judge.objectives(frame, {"its": its}, Penalty(), np.ones(30))["its"]
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


def test_one_hot_rows_are_sparse_with_few_positives(spark: Any) -> None:
    rows = data.onehot_frame(spark, 10_000).collect()
    vectors = [row.features for row in rows]
    assert {type(vector).__name__ for vector in vectors} == {"SparseVector"}
    assert {vector.size for vector in vectors} == {workloads.ONEHOT.features} == {365}
    assert max(len(vector.values) for vector in vectors) == 12
    assert 0.005 < np.mean([row.label for row in rows]) < 0.02
    X = np.array([vector.toArray() for vector in vectors])
    starts = np.cumsum([0, *(size - 1 for size in data.LEVELS)])
    for size, start, end in zip(data.LEVELS, starts, starts[1:], strict=False):
        coded = X[:, start:end]
        assert set(coded.sum(axis=1)) == {0.0, 1.0}, "none of them is the level that is dropped"
        chances = np.arange(1.0, size + 1) ** -data.ZIPF
        expected = chances[:-1] / chances.sum()
        np.testing.assert_allclose(coded.mean(axis=0), expected, atol=0.015)
    assert (X[:, starts[-1] :] > 0).all()


def test_features_have_the_condition_number_they_are_said_to_have() -> None:
    drawn = data.correlated(20, 1e3)(np.random.default_rng(0), 20_000)
    assert np.linalg.cond(drawn) == pytest.approx(1e3, rel=0.1)


@pytest.mark.parametrize(
    ("gap", "worse"), [(-1.0, False), (0.0, False), (9e-9, False), (2e-8, True), (np.nan, True)]
)
def test_only_a_worse_objective_fails(gap: float, worse: bool) -> None:
    told = outcome("tiny", 0.5 * (1 + gap), 0.5).trouble()
    assert told.startswith("the objective is worse than Spark's") is worse
    assert bool(told) is worse


def test_time_never_fails_and_searches_fail_by_their_metrics() -> None:
    slow, search = outcome("corr", 0.5, 0.5), outcome("grid", None, None)
    slow.sides[OURS].seconds = [99.0] * 3
    assert slow.trouble() == search.trouble() == ""
    search.sides[OURS].metrics, search.sides[SPARK].metrics = [0.8, 0.9], [0.8, 0.90001]
    assert search.trouble() == ""
    search.sides[SPARK].metrics = [0.8, 0.91]
    assert "1.0e-02 apart" in search.trouble()


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    assert outcome("tiny", 0.5, 0.5).ratio() == 0.5  # of 0.25, 0.5 and 1.5


def test_the_table_has_a_cell_for_each_heading() -> None:
    line = dict(zip(page.HEADINGS, page.cells(outcome("tiny", 0.5, 0.5)), strict=True))
    assert (line["what"], line["rows × features"]) == ("few rows, L2 0.01", "2,000 × 10")
    assert (line["sparklr s"], line["Spark s"]) == ("2", "4")
    assert (line["ratio"], line["target"], line["passes"]) == ("0.50", "0.20", "5")
    assert (line["iterations"], line["gap"], line["GB"]) == ("4 / 8", "+0.0e+00", "3.5 / 2.5")
    scoring = dict(zip(page.HEADINGS, page.cells(outcome("tiny", None, None)), strict=True))
    assert (scoring["objective"], scoring["gap"]) == ("-", "-")
    lines = page.tables([outcome("tiny", 0.5, 0.5)]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_rivals_without_spark_have_a_table_of_their_own() -> None:
    measured, slow, search = (outcome(name, 0.5, 0.4) for name in ("tiny", "well", "grid"))
    measured.sides["scikit-learn"] = Side([3.0], objective=0.55)
    measured.sides["H2O"] = Side([4.0], objective=0.5, imported=0.25)
    slow.sides["scikit-learn"], slow.sides["H2O"] = Side(note="> 30"), Side(note="import > 120")
    main, title, small = page.tables([measured, search, slow]).split("\n\n")
    assert title == page.APART
    assert "H2O" not in main
    read = [[cell.strip() for cell in line.strip("|").split("|")] for line in small.splitlines()]
    assert read[0][:5] == ["workload", "rows × features", "sparklr s", *read[0][3:5]]
    lines = [dict(zip(read[0], cells, strict=True)) for cells in read[2:]]
    assert [line["workload"] for line in lines] == ["tiny", "well"], "the search has no such rival"
    expected = {"scikit-learn gap": "+1.0e-01", "H2O import s": "0.25", "H2O s": "4"}
    assert expected.items() <= lines[0].items()
    assert (lines[1]["scikit-learn s"], lines[1]["H2O s"]) == ("> 30", "import > 120")
    assert lines[1]["H2O gap"] == "-"
    assert "glum s" not in lines[0], "nobody measured it"


def test_outcomes_are_kept_as_lines(tmp_path: Path) -> None:
    file = tmp_path / "bench.jsonl"
    measured = [outcome("tiny", 0.5, 0.5), outcome("tiny", None, None, 0.1), outcome("well", 1, 1)]
    other = outcome("tiny", 0.5, 0.5)
    other.sides["beside"] = Side([1.0] * 3)
    for one in (*measured, other):
        run.keep(one, file)
    assert len(file.read_text().splitlines()) == 4
    assert run.known(file, 1.0) == [measured[0], measured[2]]
    assert run.known(file, 0.1) == [measured[1]]


def test_the_page_is_that_of_docs_once_all_is_measured(tmp_path: Path) -> None:
    for folder in ("docs", "build"):
        (tmp_path / folder).mkdir()
    docs, build = (tmp_path / folder / "benchmarks.md" for folder in ("docs", "build"))
    shutil.copy(ROOT / "docs" / "benchmarks.md", docs)
    old = docs.read_text()
    every = [outcome(name, 0.5, 0.5) for name in page.ASKED]
    assert page.write_page([every[1], every[0]], tmp_path) == build
    text = build.read_text()
    assert f"2 of {len(page.ASKED)} workloads measured" in text
    assert "## Results" in text[: text.index("| tiny ")]
    assert "## Method" in text[text.index("| well ") :]
    assert docs.read_text() == old
    small = [outcome(name, 0.5, 0.5, 0.1) for name in page.ASKED]
    assert page.write_page(small, tmp_path) == build
    assert page.write_page(every, tmp_path) == docs
    assert f"{len(page.ASKED)} of {len(page.ASKED)} workloads measured" in docs.read_text()
    assert (tmp_path / "docs" / "speed.png").stat().st_size > 0


def test_the_picture_shows_every_workload_beside_spark_also_those_that_are_slower() -> None:
    slow = outcome("rows-300k", 0.5, 0.5)
    slow.sides[OURS].seconds, slow.rows = [5.0, 5.0, 9.0], 300_000
    drawn = page.bars_of([slow, outcome("tiny", 0.5, 0.5), outcome("grid-many", None, None)])
    assert drawn == [
        (0.5, "few rows, L2 0.01  ·  2k × 10"),
        (1.25, "independent features, L2 0.01  ·  300k × 10"),
    ]


def test_workloads_are_chosen_by_patterns() -> None:
    names = [one.name for one in workloads.chosen(["multi", "corr-*"])]
    assert names == ["corr-l1", "corr-en", "multi"]
    with pytest.raises(ValueError, match="No workload is called 'crr'"):
        workloads.chosen(["crr"])


def test_options_choose_workloads_and_their_rows() -> None:
    def asked(*arguments: str) -> tuple[list[str], float]:
        options = run._options(arguments)
        return [one.name for one in options.workloads], options.scale

    assert asked() == ([one.name for one in workloads.WORKLOADS], 1.0)
    assert asked("--only", "tiny,well", "--scale", "0.1") == (["tiny", "well"], 0.1)
    names, scale = asked("--quick")
    assert {"onehot", "onehot-l1", "onehot-plain"} < set(names)
    assert workloads.ONEHOT.rows_at(scale) == 60_000
    assert workloads.WELL.rows_at(scale) == 20_000
    with pytest.raises(SystemExit):
        asked("--only", "crr")


@pytest.mark.deep
def test_real_rows_are_the_same_at_every_scale(spark: Any) -> None:
    for dataset in (workloads.DIGITS, workloads.CANCER):
        rows = dataset.rows_at(0.01)
        assert rows == dataset.rows_at(1.0) == dataset.rows_at(3.0) == dataset.rows
        X, y = collected(dataset.make(spark, rows))
        assert X.shape == (rows, dataset.features)
        assert set(y) == set(range(dataset.classes))
    assert workloads.TEXT.rows_at(0.01) == len(packaged.docstrings()) == workloads.TEXT.rows


@pytest.mark.deep
def test_datasets_say_what_their_rows_are(spark: Any) -> None:
    """`takes` believes them."""
    for dataset in (workloads.TEXT, workloads.ONEHOT, workloads.SPARSE, workloads.MULTI):
        rows = dataset.make(spark, 1_000).collect()
        kinds = {type(row.features).__name__ for row in rows}
        assert kinds == {"SparseVector" if dataset.sparse else "DenseVector"}
        assert {row.label for row in rows} == set(range(dataset.classes))
    assert workloads.CLASSES.classes == 1_000


def test_memory_is_seen_below_this_process_too() -> None:
    if not Path("/proc").exists():
        pytest.skip("there is no /proc")
    hold = "b = bytes([1]) * 2**28; print(); input()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", hold]
    before = session.peak_gigabytes()
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        held = session.peak_gigabytes()
        child.communicate(b"\n")
    assert held is not None
    assert before is not None
    assert held > before + 0.2


def test_what_a_jvm_says_before_it_fails_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with session._launching(tmp_path / "spark.log"):
        os.write(2, b"all is well\n")
    with suppress(RuntimeError), session._launching(tmp_path / "spark.log"):
        os.write(2, b"no Java here\n")
        raise RuntimeError
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "no Java here\nlater\n"


def test_another_checkouts_sparklr_is_the_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "BUILD", tmp_path)
    (tmp_path / "before" / "sparklr").mkdir(parents=True)
    init = tmp_path / "before" / "sparklr" / "__init__.py"
    init.write_text("print('of before', flush=True)\nraise SystemExit\n")
    rival = beside.Beside(tmp_path / "before", "tiny", 1.0)
    assert rival.process.communicate()[0] == "of before\n"


@pytest.mark.bench
def test_workloads_from_end_to_end(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fit and transform of the smallest rows, rivals apart and a checkout beside it included."""
    for module in (beside, rivals, rivals_apart):
        monkeypatch.setattr(module, "BUILD", tmp_path)
    monkeypatch.setitem(rivals_apart.TIME_LIMITS, "fit", 600.0)
    monkeypatch.setattr(run, "PAIRS", 1)
    (tiny,) = workloads.chosen(["tiny"])
    scoring = workloads.Workload("transform", "", tiny.dataset, tiny.penalty, kind="transform")
    rows = rivals.Rows(tiny.dataset, spark, 1.0)
    alone = argparse.Namespace(quick=False, beside=None, apart=True, scale=1.0)
    fitted = Outcome("tiny", 1.0, 2_000, 10, run.measure(tiny, rows, alone), {})
    scored = Outcome("transform", 1.0, 2_000, 10, run.measure(scoring, rows, alone), {})
    for kind in ("posterior", "interval"):
        beside_ours = workloads.Workload(kind, "", tiny.dataset, tiny.penalty, kind=kind)
        assert Outcome(kind, 1.0, 2_000, 10, run.measure(beside_ours, rows, alone), {}).ratio() > 0
    twice = argparse.Namespace(quick=True, beside=ROOT, apart=False, scale=1.0)
    both = Outcome("tiny", 1.0, 2_000, 10, run.measure(tiny, rows, twice), {})
    rows.close()
    assert not (tmp_path / "rows").exists()
    assert fitted.trouble() == scored.trouble() == both.trouble() == ""
    assert not (tmp_path / "apart").exists()
    for rival in rivals_apart.RIVALS:
        if rival.installed:
            gap = fitted.gap(rival.name, OURS)
            assert gap is not None, (tmp_path / f"{rival.name}.log").read_text()
            assert abs(gap) < 1e-4
    assert fitted.sides[OURS].passes is not None
    assert scored.ratio() > 0
    assert both.ratio("beside") > 0
    assert both.sides["beside"].passes == fitted.sides[OURS].passes
    assert len(page.cells(scored)) == len(page.HEADINGS)


@pytest.mark.bench
def test_the_demo_begins_with_what_it_shows() -> None:
    command = [sys.executable, "-m", "benchmarks.demo"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Logistic regression by sparklr and by Spark itself: ")
    assert ended.stderr == ""
    assert (ROOT / "build" / "roc.png").stat().st_size > 0
