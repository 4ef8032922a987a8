"""The two losses of logistic regression per row, as functions of margins.

binomial     label y in {0, 1}, one margin m:
             loss = log(1 + e^m) - y m,   d = sigmoid(m) - y,   d' = sigmoid(m)(1 - sigmoid(m))
multinomial  label y in {0..K-1}, K margins m_k:
             loss = log sum_k e^{m_k} - m_y,   d_k = softmax(m)_k - [y = k]

All formulas are written so that no exponential overflows and no difference cancels: they hold for
margins of any size. Features, coefficients and weights do not occur here.
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array, IntArray


def binomial_terms(margins: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return loss, multipliers d and curvatures d' (n, q), for margins (n, q) and labels (n,).

    With the margin of the wrong label, u = -m for label 1 and u = m for label 0,
    loss = max(u, 0) + log1p(e^-|u|) and |d| = sigmoid(u) keep full relative precision where
    a row is fitted well, and one exponential serves all three.
    """
    side = np.where(labels > 0.5, -1.0, 1.0)[:, None]
    wrong = side * margins
    small = np.exp(-np.abs(wrong))
    loss = np.maximum(wrong, 0.0) + np.log1p(small)
    share = 1.0 / (1.0 + small)
    multipliers = side * (np.where(wrong >= 0, 1.0, small) * share)
    return loss, multipliers, small * share * share


def multinomial_terms(margins: Array, labels: IntArray) -> tuple[Array, Array]:
    """Return loss (n, q) and multipliers (n, q, K) for margins (n, q, K) and labels (n,)."""
    rows = np.arange(len(labels))
    # Relative to the label's own margin: loss = log sum_k e^{m_k - m_y}, exact near zero loss.
    # In place from here: with many classes, memory takes longer than the exponentials.
    exponentials = margins - margins[rows, :, labels][:, :, None]
    top = exponentials.max(axis=2)
    exponentials -= top[:, :, None]
    np.exp(exponentials, out=exponentials)
    exponentials[rows, :, labels] = 0.0  # the label's own term, e^-top, is added separately
    own = np.exp(-top)
    others = exponentials.sum(axis=2)
    settled = top == 0.0  # the label has the largest margin: log1p keeps the others' small sum
    loss = np.where(settled, np.log1p(others), top + np.log(np.where(settled, 1.0, own + others)))
    total = own + others
    multipliers = np.divide(exponentials, total[:, :, None], out=exponentials)
    multipliers[rows, :, labels] = -others / total
    return loss, multipliers


def softmax_from_multipliers(multipliers: Array, labels: IntArray) -> Array:
    """Return class probabilities (n, q, K) from the multipliers, which are overwritten."""
    rows = np.arange(len(labels))
    multipliers[rows, :, labels] += 1.0
    return multipliers
