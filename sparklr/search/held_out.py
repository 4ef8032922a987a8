"""Metrics on held-out rows: each fit is evaluated in memory, on the fold that it leaves out.

One pass collects the margins of many fits on the driver; no model needs a frame or a job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.shared import Place, SharedFits
from sparklr.objective.sums import Probe
from sparklr.passes.readings import HeldOutMargins, batches
from sparklr.passes.threads import useful_threads
from sparklr.rows.blocks import Block
from sparklr.scoring.evaluators import ArrayEvaluator, HeldOut
from sparklr.scoring.frame import scorer_of
from sparklr.scoring.scorer import Scorer


def held_out_metrics(
    shared: SharedFits,
    evaluator: ArrayEvaluator,
    fits: Mapping[Place, Fit],
    stage: Callable[[str], None],
) -> dict[Place, float]:
    """Return the evaluator's metric of each fit, on the fold that the fit leaves out."""
    stage("scoring held-out rows")
    passes, rows = shared.passes, dict.fromkeys(shared.folds, 0)
    for each in (passes.folds, passes.held):
        for fold, moments in each.items():
            rows[fold] += moments.rows

    def score_bytes(place: Place) -> int:
        return 8 * len(fits[place].intercepts) * rows[place[1]]

    metrics: dict[Place, float] = {}
    scorers = {place: _scorer(shared, place, fit) for place, fit in fits.items()}
    for places in batches(list(fits), shared.budget, score_bytes):
        probes = [_probe(shared, scorers[place], place[1]) for place in places]
        scored = passes.read(HeldOutMargins(tuple(probes), rows))
        metrics |= _metrics(evaluator, scorers, places, probes, scored)
    return metrics


def _scorer(shared: SharedFits, place: Place, fit: Fit) -> Scorer:
    at, fold = place
    facts = shared.facts(at, fold)
    return scorer_of(
        shared.requests[at].params,
        fit.coefficients,
        fit.intercepts,
        classes=facts.classes,
        family=facts.family,
    )


def _probe(shared: SharedFits, scorer: Scorer, fold: int) -> Probe:
    """Return a probe with the scorer's margins; its offsets are relative to the rows' origin."""
    coefficients, intercepts = np.asarray(scorer.coefficients), scorer.intercepts
    origin = shared.passes.moments.origin
    offsets = intercepts if origin is None else intercepts + coefficients @ origin
    return Probe(scorer.family, coefficients, offsets, 0, without=fold)


def _metrics(
    evaluator: ArrayEvaluator,
    scorers: Mapping[Place, Scorer],
    places: Sequence[Place],
    probes: Sequence[Probe],
    scored: Sequence[Block],
) -> dict[Place, float]:
    """Return the metric of each fit, from the blocks of margins that a pass returned."""
    tasks: list[tuple[Scorer, Array, HeldOut]] = []
    order: list[Place] = []
    for fold in sorted({fold for _, fold in places}):
        blocks = [block for block in scored if block.fold == fold]
        rows = HeldOut(np.concatenate([block.labels for block in blocks]), _weights(blocks))
        margins: Array = np.concatenate([block.matrix for block in blocks])
        begin = 0
        for place, probe in zip(places, probes, strict=True):
            if place[1] == fold:
                tasks.append((scorers[place], margins[:, begin : begin + probe.margins], rows))
                order.append(place)
                begin += probe.margins
    with ThreadPoolExecutor(useful_threads(None)) as pool:  # most of the time goes into sorting
        found = pool.map(lambda task: evaluator.metric(*task), tasks)
        return dict(zip(order, found, strict=True))


def _weights(blocks: Sequence[Block]) -> Array | None:
    if all(block.weights is None for block in blocks):
        return None
    return np.concatenate(
        [np.ones(block.rows) if block.weights is None else block.weights for block in blocks]
    )
