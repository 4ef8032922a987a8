"""A descent that goes on from batch to batch, against fits and the optimum."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import is_sparse
from sparklr.batches.descent import DescentState
from sparklr.batches.facts import Learned
from sparklr.fitting.spec import Spec, Steps
from sparklr.fitting.walked_batch import walk_batch
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from tests.fitting.fits import fit_one
from tests.fitting.test_sgd_text import loss, loss_of, made
from tests.problems import make_rows

BUDGET = 1 << 30


def spec_of(classes: int = 2, **given: object) -> Spec:
    steps = {name: given.pop(name) for name in list(given) if name in Steps.__dataclass_fields__}
    family = BINOMIAL if classes == 2 else MULTINOMIAL
    known = {"regParam": 1e-3, "solver": "sgd", **given}
    return Spec(family, steps=Steps(**{"epochs": 1, **steps}), **known)  # type: ignore[arg-type]


def learn_all(
    batches: Iterable[Block],
    spec: Spec,
    classes: int = 2,
    *,
    blocks: int = 1,
    discount: float = 1.0,
    adagrad: bool | None = None,
    state: DescentState | None = None,
) -> Learned:
    """What is known after all these batches, which follow those of a state."""
    found = None
    for rows in batches:
        ends = np.linspace(0, rows.rows, blocks + 1).astype(int)
        parts = [rows.part(*ends[at : at + 2]) for at in range(blocks)]
        passes = LocalPasses.of(parts, rows.features)
        sparse = is_sparse(rows.matrix)
        if state is None:
            state = DescentState.before(
                passes.moments, spec.family, classes, None, spec.fitIntercept,
                spec.standardization, sparse=sparse, adagrad=sparse if adagrad is None else adagrad,
            )  # fmt: skip
        found = walk_batch(state, passes, spec, discount=discount, budget=BUDGET)
        state = state_of(found)
    assert found is not None
    return found


def state_of(found: Learned) -> DescentState:
    assert isinstance(found.state, DescentState)
    return found.state


def cut(rows: Block, count: int) -> list[Block]:
    size = rows.rows // count
    return [rows.part(at * size, (at + 1) * size) for at in range(count)]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("changed", [{}, {"standardization": False}, {"fitIntercept": False}])
def test_a_first_batch_is_one_epoch_of_a_fit(
    classes: int, sparse: bool, changed: dict[str, object]
) -> None:
    rows = make_rows(1, 400, 5, classes, weighted=True, sparse=sparse)
    spec = spec_of(classes, learningRate=0.3, regParam=0.05, adaptive="none", **changed)
    fit = fit_one(spec, LocalPasses.of([rows], rows.features), classes)
    found = learn_all([rows], spec, classes, adagrad=False)
    coefficients, intercepts = found.state.coefficients()
    assert_allclose(coefficients, fit.coefficients, rtol=1e-9, atol=1e-12)
    assert_allclose(intercepts, fit.intercepts, rtol=1e-9, atol=1e-12)
    assert (found.readings, found.state.batches, found.state.rows) == (3, 1, 400)


def test_rates_are_compared_until_enough_rows_were_scored() -> None:
    batches, spec = cut(made(3_000), 10), spec_of()
    counts, state = [], None
    for rows in batches:
        found = learn_all([rows], spec, state=state)
        counts.append((len(state_of(found).rates), found.readings))
        state = state_of(found)
    # Of 300 rows each; the first ones have no score before they are learned, and some rates of the
    # 16 have made their objective worse.
    rates, readings = zip(*counts, strict=True)
    assert readings == (6, *[3] * 9)
    assert rates == (10, 10, 5, 5, 3, 3, 2, 2, 1, 1)
    alone = learn_all(batches, spec_of(learningRate=float(state_of(found).rates[0])))
    assert_allclose(state_of(found).points, state_of(alone).points, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("blocks", [1, 4])
@pytest.mark.parametrize("count", [3, 50])
def test_a_stream_of_text_predicts_better_than_the_optimum(count: int, blocks: int) -> None:
    """As few steps do, where the penalty is small."""
    rows = made(14_000)
    learned, held = rows.part(0, 12_000), rows.part(12_000, 14_000)
    best = fit_one(Spec(BINOMIAL, regParam=1e-3), LocalPasses.of([learned], rows.features))
    found = learn_all(cut(learned, count), spec_of(), blocks=blocks)
    assert loss_of(found.state.coefficients(), held) < loss(best, held) - 0.2
    assert abs(found.state.loss - loss_of(found.state.coefficients(), held)) < 0.1


def test_batches_sorted_by_label_do_no_harm() -> None:
    """The blocks of a batch then have one label each."""
    rows = made(14_000)
    held = rows.part(12_000, 14_000)
    batches = cut(rows.part(0, 12_000), 20)
    ordered = [its.take(np.argsort(its.labels, kind="stable")) for its in batches]
    one, other = (
        loss_of(learn_all(its, spec_of(), blocks=4).state.coefficients(), held)
        for its in (batches, ordered)
    )
    assert abs(one - other) < 0.02


@pytest.mark.parametrize("sparse", [True, False])
def test_a_feature_that_comes_later_is_learned(sparse: bool) -> None:
    rows = make_rows(9, 2000, 3)
    matrix = np.array(rows.matrix)
    matrix[:1000, 1] = 0.0
    late = Block(sp.csr_matrix(matrix) if sparse else matrix, rows.labels, None)
    spec = spec_of(learningRate=0.1)
    first = state_of(learn_all(cut(late, 4)[:2], spec))
    assert first.coefficients()[0][0, 1] == 0
    assert first.reach[1] == first.deviation[1] == 0
    fit = fit_one(Spec(BINOMIAL, regParam=1e-3), LocalPasses.of([late], 3))
    found, _ = learn_all(cut(late, 4) * 5, spec_of()).state.coefficients()
    assert_allclose(found, fit.coefficients, atol=0.15)


def test_a_decay_follows_a_truth_that_turns() -> None:
    rows = made(8_000)
    turned = Block(rows.matrix, 1 - rows.labels, None)
    batches = [*cut(rows, 20), *cut(turned, 20)]
    steady, quick = (
        learn_all(batches, spec_of(learningRate=0.1), discount=d).state for d in (1.0, 0.5)
    )
    losses = [loss_of(its.coefficients(), turned) for its in (steady, quick)]
    assert losses[1] < losses[0] - 0.1


def test_labels_of_one_kind_are_no_end() -> None:
    rows = make_rows(2, 2000, 2)
    first = Block(np.asarray(rows.matrix)[:50], np.zeros(50), None)
    coefficients, intercepts = learn_all([first, *cut(rows, 5)], spec_of()).state.coefficients()
    assert np.isfinite(coefficients).all()
    assert abs(intercepts[0]) < 3


def test_a_batch_that_raises_its_objective_is_not_kept() -> None:
    first, second = cut(make_rows(3, 400, 4), 2)
    before = learn_all([first], spec_of())
    after = learn_all([second], spec_of(learningRate=1e5), state=state_of(before))
    assert not after.converged
    assert "set a smaller learningRate" in after.reason
    for its, expected in zip(after.state.coefficients(), before.state.coefficients(), strict=True):
        assert_array_equal(its, expected)
    assert after.state.batches == 2
