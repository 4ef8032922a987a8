"""Pictures of posteriors: what is drawn is what the posterior and the rows say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import norm

from sparklr import LogisticRegressionModel
from sparklr.display.plots import short
from sparklr.display.posterior_plots import BASE
from sparklr.objective.normal_margins import chance_moments
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.scoring.calibration import PairedTallies, wilson
from tests.errors import assert_plain
from tests.made_models import fitted_model, training
from tests.posterior.sets import plain, posterior_of

NAMES = ["age", "dose", "a long name of a feature"]
DEVIATION = np.array([2.0, 1.0, 0.5])


def axes() -> Any:
    return Figure().subplots()


def model_with(numbers: PosteriorNumbers, **params: Any) -> LogisticRegressionModel:
    model = fitted_model([[0.7, -1.2, 0.4]], [-0.3], names=NAMES, featuresCols=NAMES, **params)
    model._posterior = numbers
    model._summary = training(model, deviation=DEVIATION)
    return model


@pytest.fixture(scope="module")
def numbers() -> PosteriorNumbers:
    return posterior_of(plain(), "gaussian")


@pytest.fixture(scope="module")
def model(numbers: PosteriorNumbers) -> LogisticRegressionModel:
    return model_with(numbers)


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    """Rows with a weight, of which two do not count."""
    rows = plain()
    table = pd.DataFrame(rows.matrix, columns=NAMES).assign(label=rows.labels)
    table["weight"] = np.arange(200) % 3 + 1.0
    table.loc[3, "weight"], table.loc[4, "age"] = 0.0, np.nan
    return spark.createDataFrame(table.replace({np.nan: None})).coalesce(1)


def lines(ax: Any, marker: str) -> list[float]:
    """The places of all marks of a kind."""
    return [float(its.get_xdata()[0]) for its in ax.lines if its.get_marker() == marker]


def test_a_row_per_feature_has_mean_mode_interval_and_prior(
    model: LogisticRegressionModel,
) -> None:
    posterior = model.posterior
    ax = posterior.plot_posterior(axes(), level=0.8)
    assert [its.get_text() for its in ax.get_yticklabels()] == NAMES
    assert_allclose(lines(ax, "o"), DEVIATION * posterior.mean[:3])
    assert_allclose(lines(ax, "|"), DEVIATION * [0.7, -1.2, 0.4])
    bars = [its for its in ax.lines if its.get_linewidth() == 2.5]
    ends = np.array([its.get_xdata() for its in bars])
    assert_allclose(ends, DEVIATION[:, None] * posterior.interval(0.8)[:3])
    assert "per standard deviation of the feature, with 80% intervals" in ax.get_xlabel()
    legend = [its.get_text() for its in ax.get_legend().get_texts()]
    assert legend == ["mean, with its interval", "mode: the fit's coefficient", "prior"]
    # Both curves of a row have the same scale.
    curve, prior = (
        next(
            its for its in ax.lines if its.get_linestyle() == style and len(its.get_xdata()) == 200
        )
        for style in ("-", "--")
    )
    heights = [BASE - its.get_ydata().min() for its in (curve, prior)]
    deviations = DEVIATION[0] * np.array(
        [posterior.stddev[0], model._posterior.prior_deviations[0]]
    )
    assert_allclose(heights[0] / heights[1], deviations[1] / deviations[0], rtol=0.02)


def test_coefficients_may_be_per_unit_and_must_be_where_deviations_are_unknown(
    model: LogisticRegressionModel,
) -> None:
    ax = model.posterior.plot_posterior(axes(), per="unit")
    assert_allclose(lines(ax, "o"), model.posterior.mean[:3])
    with pytest.raises(ValueError, match="per must be one of unit, deviation, but got 'row'"):
        model.posterior.plot_posterior(axes(), per="row")
    unknown = model.copy()
    unknown._summary = None
    assert "per unit" in unknown.posterior.plot_posterior(axes()).get_xlabel()
    with pytest.raises(ValueError, match="deviations of the features are not known") as refused:
        unknown.posterior.plot_forest(axes(), per="deviation")
    assert_plain(refused.value, ("per='unit'",))


def test_a_forest_may_be_per_deviation(model: LogisticRegressionModel) -> None:
    ax = model.posterior.plot_forest(axes(), per="deviation")
    mean, (low, high) = (its[0] * 2.0 for its in (model.posterior.mean, model.posterior.interval()))
    ratio = [f"{np.exp(its):#.3g}" for its in (mean, low, high)]
    assert ax.texts[0].get_text() == f"{ratio[0]} [{ratio[1]}, {ratio[2]}]"


def test_a_long_name_loses_its_middle() -> None:
    assert short("n" * 28) == "n" * 28
    assert short("a name of a feature that is long (mm)") == "a name of a fe… is long (mm)"


def test_a_flat_prior_is_not_drawn(numbers: PosteriorNumbers) -> None:
    flat = replace(numbers, prior_deviations=np.full(3, np.inf))
    ax = model_with(flat).posterior.plot_posterior(axes())
    assert not [its for its in ax.lines if its.get_linestyle() == "--"]
    assert "prior" not in [its.get_text() for its in ax.get_legend().get_texts()]


def test_draws_have_their_own_shape(numbers: PosteriorNumbers) -> None:
    """Skewed draws: the top of the curve is beside their mean."""
    random = np.random.default_rng(0)
    gamma = (random.gamma(2.0, size=(4000, 4)) - 2.0) / np.sqrt(2)
    skewed = replace(numbers, draws=numbers.mean + numbers.deviations * gamma)
    ax = model_with(skewed).posterior.plot_posterior(axes(), per="unit")
    curve = next(
        its for its in ax.lines if len(its.get_xdata()) == 200 and its.get_linestyle() == "-"
    )
    top = curve.get_xdata()[np.argmin(curve.get_ydata())]
    moved = (top - numbers.mean[0]) / numbers.deviations[0]
    assert moved == pytest.approx(-1 / np.sqrt(2), abs=0.2)  # a gamma's mode beside its mean


def test_many_features_have_intervals_and_the_rest_is_counted(numbers: PosteriorNumbers) -> None:
    size = 40
    many = replace(
        numbers, mean=np.append(np.arange(size) / 10, 0.0), factor=np.eye(size + 1),
        prior_deviations=np.ones(size),
    )  # fmt: skip
    model = fitted_model([np.arange(size) / 10], [0.0], names=[f"x{j}" for j in range(size)])
    model._posterior = many
    ax = model.posterior.plot_posterior(axes(), per="unit")
    assert [its.get_text() for its in ax.get_yticklabels()] == [f"x{j}" for j in range(10, 40)]
    assert "(10 features nearer to zero are left out)" in ax.get_xlabel()
    assert not ax.collections, "rows are too low for densities"
    legend = [its.get_text() for its in ax.get_legend().get_texts()]
    assert legend[-1] == "prior, 2 sd"


def test_classes_have_a_colour_each_up_to_ten() -> None:
    def of(classes: int) -> LogisticRegressionModel:
        random = np.random.default_rng(2)
        model = fitted_model(random.normal(size=(classes, 2)), np.zeros(classes), names=["a", "b"])
        model._posterior = PosteriorNumbers(
            kind="laplace", mean=random.normal(size=3 * classes), factor=np.eye(3 * classes),
            draws=None, prior_deviations=np.ones(2), readings=0, converged=True, reason="",
            tolerance=0.01, shift_from_mode=None,
        )  # fmt: skip
        return model

    three = of(3)
    ax = three.posterior.plot_posterior(axes(), per="unit")
    means = three.posterior.mean.reshape(3, 3)[:, :2]  # without intercepts
    assert_allclose(lines(ax, "o"), means.T.ravel())
    assert [its.get_text() for its in ax.get_legend().get_texts()][-1] == "class 2"
    with pytest.raises(ValueError, match="colours for 10 classes, but the model has 11"):
        of(11).posterior.plot_posterior(axes(), per="unit")
    for draw in (
        lambda: three.posterior.plot_reliability(None),
        lambda: three.posterior.plot_probability_interval(None, "a"),
        lambda: three.posterior.plot_forest(axes()),
    ):
        with pytest.raises(ValueError, match="for binomial models") as refused:
            draw()
        assert_plain(refused.value, ())


def test_groups_of_paired_tallies_keep_each_sum() -> None:
    random = np.random.default_rng(4)
    columns = [np.ones(50), *random.uniform(0.1, 1, size=(4, 50))]
    grouped = PairedTallies(*columns).grouped(7)
    assert [len(its) for its in grouped] == [7] * 5
    assert_allclose([its.sum() for its in grouped], [its.sum() for its in columns])
    assert_allclose(grouped[1], columns[1].sum() / 7, atol=1)


@pytest.mark.connect
def test_reliability_has_both_predictions_of_each_group(
    frame: Any, numbers: PosteriorNumbers
) -> None:
    model = model_with(numbers, weightCol="weight", probabilityIntervalCol="interval")
    ax = model.posterior.plot_reliability(frame, axes(), groups=5)
    table = frame.toPandas().dropna().query("weight > 0")
    matrix = np.column_stack((table[NAMES], np.ones(len(table))))
    plug_in = expit(matrix @ [0.7, -1.2, 0.4, -0.3])
    means, spread = matrix @ numbers.mean, matrix @ numbers.factor
    averaged = chance_moments(means, np.linalg.norm(spread, axis=1))[0]
    order = np.argsort(plug_in)
    weights, labels = (table[its].to_numpy()[order] for its in ("weight", "label"))
    group = np.ceil(5 * weights.cumsum() / weights.sum() * (1 - 1e-12)).astype(int) - 1
    total = np.bincount(group, weights)
    shares = [np.bincount(group, weights * its) / total
              for its in (plug_in[order], averaged[order], labels)]  # fmt: skip
    (ring,) = (its for its in ax.lines if its.get_label() == "plug-in: at the optimum")
    assert_allclose(ring.get_xydata(), np.column_stack((shares[0], shares[2])), rtol=1e-6)
    (bars,) = ax.containers
    assert_allclose(bars[0].get_xydata(), np.column_stack((shares[1], shares[2])), rtol=1e-6)
    limits = np.array([its[:, 1] for its in bars[2][0].get_segments()])
    assert_allclose(limits.T, wilson(shares[2] * total, total, 0.95), atol=1e-6)
    rows = np.bincount(group)
    assert f"5 groups of {rows.min()} to {rows.max()} rows" in ax.get_title()
    with pytest.raises(ValueError, match="groups must be 2 or more, but got 1"):
        model.posterior.plot_reliability(frame, axes(), groups=1)


@pytest.mark.connect
def test_the_interval_widens_away_from_the_rows(
    frame: Any, model: LogisticRegressionModel, numbers: PosteriorNumbers
) -> None:
    posterior = model.posterior
    ax = posterior.plot_probability_interval(frame, "dose", axes(), level=0.8, at={"age": 1.5})
    table = frame.toPandas().dropna()
    plug_in = next(its for its in ax.lines if its.get_linestyle() == "--")
    dose = np.asarray(plug_in.get_xdata())
    low, high = table["dose"].min(), table["dose"].max()
    assert_allclose(dose[[0, -1]], [low - (high - low) / 2, high + (high - low) / 2])
    rest = table[NAMES[2]].mean()
    matrix = np.column_stack((np.full(200, 1.5), dose, np.full(200, rest), np.ones(200)))
    assert_allclose(plug_in.get_ydata(), expit(matrix @ [0.7, -1.2, 0.4, -0.3]))
    means, spread = matrix @ numbers.mean, np.linalg.norm(matrix @ numbers.factor, axis=1)
    (band,) = ax.collections
    edge = band.get_paths()[0].vertices
    half = norm.ppf(0.9) * spread
    for ends in (means - half, means + half):
        assert np.abs(edge[:, None] - np.column_stack((dose, expit(ends)))).max(axis=2).min(
            axis=0
        ).max() < 1e-9  # fmt: skip
    ticks = [its for its in ax.lines if its.get_marker() == "|"]
    assert_array_equal(np.sort(ticks[0].get_xdata()), np.sort(table.query("label == 1")["dose"]))
    assert ax.get_title() == "age = 1.5, the other features at their means"
    with pytest.raises(ValueError, match="features must name features of the model, but got 'x'"):
        posterior.plot_probability_interval(frame, "x", axes())
    nothing = frame.where("age > 1e9")
    with pytest.raises(ValueError, match="no row with features") as refused:
        posterior.plot_probability_interval(nothing, "dose", axes())
    assert_plain(refused.value, ())
