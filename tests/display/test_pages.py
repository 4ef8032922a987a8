"""What summaries print and draw."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, Vectors
from pyspark.sql import functions as F

from sparklr import LogisticRegressionModel
from sparklr.display import plots
from sparklr.scoring.metrics import ScoreCurve
from sparklr.summary import BinaryLogisticRegressionSummary, LogisticRegressionSummary
from tests.made_models import made_model, training


def words(text: str) -> list[str]:
    return text.split()


def cells(text: str, name: str) -> list[str]:
    """The words after a row's name, on the first line that starts with it."""
    line = next(line for line in text.splitlines() if line.startswith(name))
    return words(line.removeprefix(name))


def test_a_fit_is_printed_with_its_facts_and_coefficients() -> None:
    model = made_model(regParam=0.1, elasticNetParam=0.5, labelCol="churn", standardization=False)
    text = str(training(model, rows=5, label_weights=np.array([2.0, 6.0]), loss=0.25))
    assert text.startswith("Logistic regression, binomial, of 'churn'\n====")
    assert cells(text, "rows") == words("5, with weights that sum to 8")
    assert cells(text, "classes") == ["0:", "25.0%,", "1:", "75.0%"]
    penalty = "elastic net (regParam=0.1, elasticNetParam=0.5) on coefficients of unscaled features"
    assert penalty in " ".join(words(text))
    assert cells(text, "solver") == words("newton, 1 iteration, 3 passes over the rows")
    assert cells(text, "outcome") == ["converged:", "enough"]
    null = -2 * (2 * np.log(0.25) + 6 * np.log(0.75))
    assert cells(text, "deviance") == ["4.0000"]
    assert cells(text, "null deviance") == [f"{null:.4f}"]
    assert cells(text, "pseudo R2") == [f"{1 - 4 / null:.4f}", "(McFadden)"]
    assert cells(text, "(intercept)") == ["0.1000"]
    assert cells(text, "features[1]") == ["-0.5000", "-1.0000", f"{np.exp(-0.5):.4f}"]


def test_a_fit_that_did_not_converge_says_so_aloud() -> None:
    text = str(training(made_model(), converged=False, reason="stopped: early"))
    assert "NOT CONVERGED: stopped: early" in text


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "none (regParam=0)"),
        ({"regParam": 2.0}, "L2 (regParam=2, elasticNetParam=0) on coefficients of standardized"),
        ({"regParam": 2.0, "elasticNetParam": 1.0}, "L1 (regParam=2, elasticNetParam=1)"),
        ({"lowerBoundsOnCoefficients": DenseMatrix(1, 3, [0.0] * 3),
          "upperBoundsOnIntercepts": Vectors.dense(1.0)}, "bounds on coefficients and intercepts"),
    ],
)  # fmt: skip
def test_the_penalty_is_printed(params: dict[str, Any], words: str) -> None:
    assert words in str(training(made_model(**params)))


def test_without_an_intercept_there_is_no_row_of_it() -> None:
    text = str(training(made_model(fitIntercept=False, intercepts=(0.0,))))
    assert "(intercept)" not in text
    assert cells(text, "intercept") == ["none"]


def test_a_multinomial_fit_has_a_table_a_class_and_odds_against_their_mean() -> None:
    model = made_model(((1.0, 0.0), (2.0, 3.0), (6.0, 0.0)), (0.1, 0.2, -0.3), family="multinomial")
    text = str(training(model))
    assert "multinomial" in text
    parts = text.split("Coefficients of class ")[1:]
    assert [part[0] for part in parts] == ["0", "1", "2"]
    assert cells(parts[1], "(intercept)") == ["0.2000"]
    assert cells(parts[1], "features[1]") == ["3.0000", "6.0000", f"{np.exp(2):.4f}"]
    assert cells(parts[2], "features[0]") == ["6.0000", "12.0000", f"{np.exp(3):.4f}"]


def test_of_many_features_the_largest_are_shown_and_of_many_classes_those_at_the_ends() -> None:
    model = made_model((np.append(np.arange(100.0) / 10, -20.0),))
    text = str(training(model, deviation=np.full(101, 2.0)))
    assert "... 80 more features, with smaller effects ..." in text
    assert "... 1 feature with a coefficient of 0 ..." in text
    assert "model.coefficientMatrix" in text
    lines = text.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("(intercept)")) + 1
    assert [words(line)[0] for line in lines[first : first + 3]] == [
        "features[100]", "features[99]", "features[98]",
    ]  # fmt: skip
    assert cells(text, "features[81]") == ["8.1000", "16.2000", f"{np.exp(8.1):,.4f}"]
    assert "features[80]" not in text
    many = str(training(made_model(np.ones((30, 40)), np.zeros(30))))
    assert many.count("Coefficients of class") == 10
    assert "4: 1.1%, ... 20 more ..., 25: 5.6%" in many
    assert len(many.splitlines()) < 180
    assert "more features" not in str(training(made_model(np.ones((1, 20)))))


def test_each_class_is_without_its_zeros() -> None:
    model = made_model(((1.0, 0.0), (0.0, 3.0)), (0.1, 0.2), family="multinomial")
    first, second = str(training(model)).split("Coefficients of class ")[1:]
    assert cells(first, "features[0]") == ["1.0000", "2.0000", f"{np.exp(0.5):.4f}"]
    assert cells(second, "features[1]") == ["3.0000", "6.0000", f"{np.exp(1.5):.4f}"]
    assert "features[1]" not in first
    assert "features[0]" not in second


def test_odd_models_print_without_a_warning() -> None:
    constant = LogisticRegressionModel(
        DenseMatrix(1, 2, [0.0, 0.0]), DenseVector([-np.inf]), 1, False
    )
    text = str(training(constant, label_weights=np.array([4.0]), loss=0.0))
    assert cells(text, "(intercept)") == ["-inf"]
    assert cells(text, "pseudo R2") == ["-", "(McFadden)"]
    single = LogisticRegressionModel(
        DenseMatrix(1, 2, [0.0, 0.0]), Vectors.sparse(1, {0: np.inf}), 1, True
    )
    assert cells(str(training(single)), "(intercept)") == ["inf"]
    sparse = SparseMatrix(1, 5000, [0, 2], [1, 4999], [3.0, 1e4], True)
    model = LogisticRegressionModel(sparse, DenseVector([0.0]), 2, False)
    text = str(training(model, deviation=np.zeros(5000)))
    assert "5,000, of them 2 with a coefficient other than 0" in text
    assert cells(text, "features[1]") == ["3.0000", "0", f"{np.exp(3):.4f}"]
    assert cells(text, "features[4999]") == ["10,000.0000", "0", "inf"]


def test_an_evaluation_is_printed_with_its_tables(two: Any, three: Any) -> None:
    mine = BinaryLogisticRegressionSummary(made_model(weightCol="weight"), two)
    text = str(mine)
    assert cells(text, "rows") == words("200, with weights ('weight') that sum to 396")
    assert cells(text, "accuracy") == [f"{mine.accuracy:.4f}"]
    assert cells(text, "area under ROC") == [f"{mine.areaUnderROC:.4f}"]
    assert cells(text, "area under PR") == [f"{mine.areaUnderPR:.4f}"]
    by_label, confusion = text.split("Weight by label")
    assert cells(by_label, "1 ") == [
        "200", f"{mine.precisionByLabel[1]:.4f}", f"{mine.recallByLabel[1]:.4f}",
        f"{mine.fMeasureByLabel()[1]:.4f}", f"{mine.falsePositiveRateByLabel[1]:.4f}",
    ]  # fmt: skip
    assert cells(by_label, "weighted mean")[1] == f"{mine.weightedPrecision:.4f}"
    (zero,) = two.where("label = 0").groupBy().sum("weight").first()
    counts = [int(word) for word in cells(confusion, "0 ")]
    assert sum(counts) == zero
    assert counts[0] / zero == pytest.approx(mine.recallByLabel[0])
    model = made_model(np.eye(3), np.zeros(3))
    lacking = str(LogisticRegressionSummary(model.copy({model.weightCol: "w"}), three))
    assert cells(lacking, "rows") == words("200, each counting one: there is no column 'w'")
    plain = str(LogisticRegressionSummary(model, three))
    assert cells(plain, "rows") == ["200"]
    assert "ROC" not in plain


def test_a_confusion_matrix_of_many_classes_is_left_out_in_the_middle(two: Any) -> None:
    frame = two.withColumn("label", F.floor(F.rand(1) * 40))
    text = str(LogisticRegressionSummary(made_model(np.eye(3), np.zeros(3)), frame))
    assert "... 20 more labels ..." in text
    assert "... 30 more labels ..." in text


def test_html_is_well_formed_and_names_are_escaped(two: Any) -> None:
    model = made_model(weightCol="weight", labelCol="<b>", predictionCol="p")
    model._numbers = replace(model.numbers, names=("<script>", "a&b", "c"))
    pages = (
        training(model)._repr_html_(),
        BinaryLogisticRegressionSummary(model, two.withColumnRenamed("label", "<b>"))._repr_html_(),
    )  # type: ignore[attr-defined]
    for page in pages:
        root = ElementTree.fromstring(page)
        assert "'<b>'" in "".join(root.itertext())
    names = [cell.text for cell in ElementTree.fromstring(pages[0]).iter("th")]
    assert {"<script>", "a&b", "c", "(intercept)"} <= set(names)


def test_a_long_representation_is_only_printed_when_asked_for(two: Any) -> None:
    """A debugger or an error message that shows a summary must not start Spark jobs."""
    assert "\n" not in repr(BinaryLogisticRegressionSummary(made_model(), two))


def test_the_curves_are_drawn(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    mine = BinaryLogisticRegressionSummary(made_model(weightCol="weight"), two)
    for draw, (x, y), area, base in (
        (mine.plot_roc, mine._curve.roc, mine.areaUnderROC, "chance"),
        (mine.plot_pr, mine._curve.pr, mine.areaUnderPR, f"share of positives = {200 / 396:.4f}"),
    ):
        given = Figure().subplots()
        ax = draw(given)
        assert ax is given
        assert_array_equal(ax.lines[0].get_xydata(), np.column_stack((x, y)))
        words = [text.get_text() for text in ax.get_legend().get_texts()]
        assert words == [f"AUC = {area:.4f}", base]
    assert "matplotlib.pyplot" not in sys.modules, "axes that are given need no global state"


def test_without_axes_a_figure_is_made(two: Any) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    mine = BinaryLogisticRegressionSummary(made_model(), two)
    before = pyplot.get_fignums()
    ax = mine.plot_roc()
    assert len(pyplot.get_fignums()) == len(before) + 1
    pyplot.close(ax.figure)


def test_a_plot_without_matplotlib_says_what_to_install(
    two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    mine = BinaryLogisticRegressionSummary(made_model(), two)
    for draw in (mine.plot_roc, mine.plot_pr):
        with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
            draw()


def test_a_long_curve_is_drawn_with_few_points() -> None:
    from matplotlib.figure import Figure

    count = 100_000
    curve = ScoreCurve.of(np.arange(count) / count, np.ones(count), np.ones(count))
    line = plots.plot_roc(Figure().subplots(), curve).lines[0].get_xydata()
    assert len(line) == plots.MOST_POINTS
    assert_array_equal(line[[0, -1]], [[0, 0], [1, 1]])
