"""Families of the label's distribution: derivatives, agreement for two classes, and names."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

import sparklr
from sparklr.arrays import Array
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import (
    BINOMIAL,
    FAMILIES,
    MULTINOMIAL,
    Family,
    family_for,
    family_named,
    family_of_flag,
)
from sparklr.objective.hessians import cross_products
from sparklr.objective.sums import Probe
from sparklr.params.declared import FAMILY_NAMES as NAMES
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block

PACKAGE = Path(next(iter(sparklr.__path__)))
both = pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
STEP = 1e-5


def drawn(family: Family, probes: int = 3, rows: int = 6) -> tuple[Array, Array]:
    """Margins (n, q C) and labels (n,)."""
    rng = np.random.default_rng(7)
    classes = 3 if family.per_class else 2
    margins = 2 * rng.normal(size=(rows, probes * family.margins(classes)))
    return margins, rng.integers(0, classes, rows).astype(np.float64)


def bend(margins: Array, place: int) -> tuple[Array, Array]:
    """Margins with one column moved up and down by a step."""
    step = np.zeros(margins.shape[1])
    step[place] = STEP
    return margins + step, margins - step


@both
def test_slopes_are_the_losses_differences(family: Family) -> None:
    margins, labels = drawn(family)
    slopes = family.terms(margins, labels, 3).slopes
    each = margins.shape[1] // 3
    assert slopes.shape == margins.shape
    for place in range(margins.shape[1]):
        up, down = (family.terms(at, labels, 3).loss for at in bend(margins, place))
        assert up.shape == (6, 3)
        change = (up - down) / (2 * STEP)
        assert_allclose(slopes[:, place], change[:, place // each], atol=1e-9)
        others = [probe for probe in range(3) if probe != place // each]
        assert_array_equal(change[:, others], 0.0)


@both
def test_curvatures_and_hessians_are_the_slopes_differences(family: Family) -> None:
    """Without features the Hessian (C, C) is sum_i w_i h_ikl, and h_ikk are its curvatures."""
    margins, labels = drawn(family, rows=1)
    terms, each = family.terms(margins, labels, 3), margins.shape[1] // 3
    before = terms.slopes.copy()
    for probe in range(3):
        own = slice(probe * each, (probe + 1) * each)
        wanted = np.empty((each, each))
        for k in range(each):
            up, down = (
                family.terms(at, labels, 3).slopes
                for at in bend(margins, probe * each + k)
            )  # fmt: skip
            wanted[k] = ((up - down) / (2 * STEP))[0, own]
        hessian = np.ones((each, each))
        terms.add_hessian(hessian, cross_products(np.zeros((1, 0))), probe, np.array([2.5]))
        assert_allclose(hessian, 1.0 + 2.5 * wanted, atol=1e-9)
        assert_allclose(terms.curvatures(probe), np.diagonal(wanted)[None], atol=1e-9)
    assert_array_equal(terms.slopes, before)  # asking for one thing spoils no other


def test_two_classes_are_the_same_in_both_families() -> None:
    """A margin m and the margins [0, m] are one model: equal losses, chances and predictions."""
    margins, labels = drawn(BINOMIAL, probes=1, rows=40)
    pair = np.column_stack((np.zeros(40), margins))
    one, two = BINOMIAL.terms(margins, labels, 1), MULTINOMIAL.terms(pair, labels, 1)
    assert_allclose(one.loss, two.loss, rtol=1e-14)
    assert_allclose(one.slopes[:, 0], two.slopes[:, 1], rtol=1e-13)
    assert_allclose(one.curvatures(0)[:, 0], two.curvatures(0)[:, 1], rtol=1e-12)
    raw = BINOMIAL.raw(margins)
    assert_array_equal(MULTINOMIAL.raw(pair), pair)
    chances = BINOMIAL.probability(raw)
    assert_allclose(chances, MULTINOMIAL.probability(pair), rtol=1e-12)
    assert_array_equal(BINOMIAL.prediction(raw, None), MULTINOMIAL.prediction(pair, None))
    cut = MULTINOMIAL.prediction(pair, (0.3, 0.7))
    assert_array_equal(BINOMIAL.prediction(raw, (0.7,)), cut)
    assert_array_equal(MULTINOMIAL.prediction(pair, (0.3, 0.7), chances), cut)
    assert 0 < cut.sum() < BINOMIAL.prediction(raw, None).sum()
    assert_allclose(BINOMIAL.log_chances(margins[0]), MULTINOMIAL.log_chances(pair[0]), rtol=1e-14)


def test_predictions_look_at_probabilities_only_where_thresholds_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(BINOMIAL), "probability", None)
    monkeypatch.setattr(type(MULTINOMIAL), "probability", None)
    BINOMIAL.prediction(np.array([[-1.0, 1.0]]), (0.7,))
    MULTINOMIAL.prediction(np.array([[-1.0, 1.0]]), None)
    with pytest.raises(TypeError):
        MULTINOMIAL.prediction(np.array([[-1.0, 1.0]]), (0.3, 0.7))


@both
def test_null_intercepts_give_the_classes_their_shares(family: Family) -> None:
    shares = np.array([0.2, 0.5, 0.3] if family.per_class else [0.2, 0.8])
    intercepts = family.null_intercepts(shares)
    assert intercepts.shape == (family.margins(len(shares)),)
    assert_allclose(np.exp(family.log_chances(intercepts)), shares, rtol=1e-14)
    start = family.start_intercepts(1e9 * shares)  # log1p is log there
    assert_allclose(start, intercepts, atol=1e-8)
    assert np.isfinite(family.null_intercepts(np.eye(len(shares))[0])).all()


@both
def test_curvatures_where_all_rows_are_alike(family: Family) -> None:
    shares = np.array([0.2, 0.5, 0.3] if family.per_class else [0.2, 0.8])
    intercepts = family.null_intercepts(shares)
    found = family.terms(intercepts[None], np.zeros(1), 1).curvatures(0)[0]
    assert_allclose(family.shared_curvatures(shares), found, rtol=1e-13)


@both
@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_has_every_chance(family: Family, label: int) -> None:
    intercepts = family.certain_intercepts(label, 2)
    assert intercepts.shape == (family.margins(2),)
    raw = family.raw(intercepts[None])
    assert_array_equal(family.probability(raw), np.eye(2)[[label]])
    assert family.prediction(raw, None) == label


def test_centring_changes_no_probability() -> None:
    rng = np.random.default_rng(3)
    coefficients, intercepts = rng.normal(size=(3, 4)), rng.normal(size=3)
    rows = rng.normal(size=(5, 4))
    for penalised in (True, False):
        for intercept in (True, False):
            moved, moved_intercepts = MULTINOMIAL.centre(
                coefficients, intercepts, penalised=penalised, intercept=intercept
            )
            assert (abs(moved.sum(axis=0)).max() < 1e-12) == (not penalised)
            assert (abs(moved_intercepts.sum()) < 1e-12) == intercept
            assert_allclose(
                softmax(rows @ moved.T + moved_intercepts, axis=1),
                softmax(rows @ coefficients.T + intercepts, axis=1),
                rtol=1e-12,
            )
    one = BINOMIAL.centre(coefficients[:1], intercepts[:1], penalised=False, intercept=True)
    assert_array_equal(one[0], coefficients[:1])
    assert_array_equal(one[1], intercepts[:1])


@pytest.mark.parametrize("classes", [1, 2, 3, 7])
def test_margins_and_classes(classes: int) -> None:
    assert BINOMIAL.margins(classes) == 1
    assert BINOMIAL.classes(1) == 2
    assert MULTINOMIAL.margins(classes) == MULTINOMIAL.classes(classes) == classes
    assert BINOMIAL.allows(classes) == (classes <= 2)
    assert MULTINOMIAL.allows(classes)
    assert family_for(classes) is (BINOMIAL if classes <= 2 else MULTINOMIAL)


def test_one_class_and_a_bounded_intercept_are_fitted() -> None:
    """The one case in which a softmax of a single class has something to look for."""
    rows = Block(np.arange(6.0).reshape(3, 2), np.zeros(3), None)
    bounds = Bounds(np.full((1, 3), -np.inf), np.array([[np.inf, np.inf, 2.0]]))
    passes = LocalPasses.of([rows], 2)
    fit = fit_all({0: Spec(MULTINOMIAL, bounds=bounds)}, passes, 1)[0][0]
    assert (fit.loss, fit.intercepts.tolist()) == (0.0, [0.0])


@both
def test_a_family_pickles_as_its_name(family: Family) -> None:
    """A worker's family is the worker's own object: `is` holds there, and nothing travels."""
    text = pickle.dumps(family)
    assert pickle.loads(text) is family
    assert len(text) < 120
    probe = Probe(family, np.zeros((1, 2)), np.zeros(1), 1)
    assert pickle.loads(pickle.dumps(probe)).family is family
    assert not hasattr(family, "__dict__")  # so it has no state that could be lost


def test_the_table_of_names() -> None:
    assert ("auto", *FAMILIES) == NAMES
    for name, family in FAMILIES.items():
        assert family_named(name) is family
        assert (str(family), family.name) == (name, name)
        assert family_of_flag(family.per_class) is family
    with pytest.raises(ValueError, match="family='poisson' is not known"):
        family_named("poisson")


def names_in(path: Path) -> set[str]:
    """Strings in a module that are the name of a family and nothing else."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {value for value in found if isinstance(value, str)} & FAMILIES.keys()


def test_families_are_named_in_one_file_alone() -> None:
    """No branch elsewhere: a new family is a class there, and a value of the Param."""
    named = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if names_in(path)}
    assert named == {"objective/families.py", "params/declared.py"}
