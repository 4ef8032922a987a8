"""One batch of a stream, learned by one epoch of stochastic gradient descent.

The first reading is where the last batch ended: it scores rows before they are learned. The second
has the walks, the third shows that they led to a lower objective of the batch. All learning rates
that are left share these. The first batch is read three times more: before its rows are learned,
walks leave a tenth of them out, so that the rates have a first score.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparklr.batches.descent import DescentState
from sparklr.batches.facts import Learned
from sparklr.fitting.course import Answers, Course, rates_within
from sparklr.fitting.spec import Spec
from sparklr.objective.ground import HELD_OUT
from sparklr.passes.protocol import Passes
from sparklr.passes.threads import one_blas_thread
from sparklr.solvers.sgd import Ended, Epoch, Look, Seen

LEARNED = "one epoch through its rows"
ROSE = (
    "an epoch at learningRate={rate:.3g} would have raised its objective, so the model is as it "
    "was before these rows: set a smaller learningRate"
)


@one_blas_thread()
def walk_batch(
    state: DescentState, passes: Passes, spec: Spec, *, discount: float, budget: int
) -> Learned:
    """Return what is known after the rows of a batch.

    discount : the factor of Adagrad's squares, which makes its steps longer again
    budget : of the bytes of all points whose rates are compared
    """
    moments, rate = passes.moments, spec.steps.learningRate
    state = state.met(moments)
    answers = Answers(_course(state, spec, moments.weight), passes)
    state = replace(state, squares=state.squares * discount)
    if rate != "auto":
        state = state.walking(np.array([rate]))
    elif np.isnan(state.rates).any():
        rates = rates_within(budget, state.points.size, state.adagrad)
        state = _first_scores(state.walking(rates), answers, moments.weight)
    before = answers.look(Look(state.points, held_out=False))
    if state.batches > 0:
        state = state.scored_by(float(before.held[state.best[0]]) * moments.weight, moments.weight)
        state = state.judged(before.held * moments.weight, moments.rows)
    ended = _walk(state, answers, before, held_out=False)
    after = answers.look(Look(ended.points, held_out=False))
    fell = np.flatnonzero(after.values <= before.values)
    state = state.counted(moments)
    if not len(fell):
        text = ROSE.format(rate=state.rates.min())
        return Learned(state, answers.readings, converged=False, reason=text)
    state = replace(state, points=ended.points, squares=ended.squares).of_rates(fell).chosen()
    return Learned(state, answers.readings, converged=True, reason=LEARNED)


def _first_scores(state: DescentState, answers: Answers, weight: float) -> DescentState:
    """Return the state whose rates were scored by walks that leave a tenth of the rows out."""
    before = answers.look(Look(state.points, held_out=True))
    ended = _walk(state, answers, before, held_out=True)
    after = answers.look(Look(ended.points, held_out=True))
    losses = np.where(after.values <= before.values, after.held, np.inf)
    return replace(state, scores=losses * weight / HELD_OUT)


def _walk(state: DescentState, answers: Answers, seen: Seen, *, held_out: bool) -> Ended:
    # Corrected in the first batch too: a stream's batches are often sorted, and come again and
    # again, so Adagrad need not learn from the first how large gradients are.
    return answers.walk(
        Epoch(
            number=state.batches,
            rates=state.rates,
            points=state.points,
            gradient=seen.gradient,
            squares=state.squares,
            held_out=held_out,
            corrected=True,
        )
    )


def _course(state: DescentState, spec: Spec, weight: float) -> Course:
    scales = state.reach * state.deviation
    inverse = np.divide(1.0, scales, out=np.zeros_like(scales), where=scales > 0)
    return Course(
        ground=state.ground(spec.steps.seed),
        steps=spec.steps,
        weight=weight,
        l2=state.l2(spec.regParam),
        per_scaled=np.append(inverse, [1.0] * state.intercept),
        adagrad=state.adagrad,
        rate_unit=state.unit,
        epochs=1,
    )
