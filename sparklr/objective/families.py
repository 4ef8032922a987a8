"""The families, which hold all differences between binomial and multinomial regression.

             margins              chance of a label               raw prediction
binomial     m, for label 1       sigmoid(m) of 1, else of 0      [-m, m]
multinomial  m_k, one per class   softmax(m)_k of label k         m

Shapes: n rows, q probes side by side, C margins per probe, K classes. A family has no state: it
pickles as its name, and each name stands for one object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
from scipy.special import expit, softmax

from sparklr.arrays import Array
from sparklr.objective.terms import BinomialTerms, MultinomialTerms, Terms

# The finite value used for the log share of a class without rows.
LEAST_LOG = -40.0


class Family(ABC):
    """The distribution of the label: margins, losses, start values and scores."""

    __slots__ = ()
    name: ClassVar[str]
    # Whether each class has its own margin, row of coefficients and threshold. If not, the only
    # margin is the log odds of label 1, and one threshold decides.
    per_class: ClassVar[bool]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name.upper()

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return family_named, (self.name,)

    @abstractmethod
    def allows(self, classes: int) -> bool:
        """Whether the labels may have this many classes."""

    @abstractmethod
    def margins(self, classes: int) -> int:
        """Return C, for K classes."""

    @abstractmethod
    def classes(self, margins: int) -> int:
        """Return K, the number of classes with probabilities from C margins."""

    @abstractmethod
    def terms(self, margins: Array, labels: Array, probes: int) -> Terms:
        """Return loss and derivatives for margins (n, q C) of q probes and labels (n,)."""

    @abstractmethod
    def chances(self, margins: Array) -> Array:
        """Return the probabilities of the labels that have margins, (..., C) for these."""

    @abstractmethod
    def log_chances(self, margins: Array) -> Array:
        """Return each class's log probability (K,), at the margins (C,) of a row."""

    @abstractmethod
    def start_intercepts(self, class_weights: Array) -> Array:
        """Return Spark's start (C,) for these class weights (K,); may be infinite."""

    @abstractmethod
    def null_intercepts(self, shares: Array) -> Array:
        """Return the optimum (C,) without coefficients, for these class shares (K,); finite."""

    @abstractmethod
    def certain_intercepts(self, label: int, classes: int) -> Array:
        """Return the optimum (C,) if only one label occurs, which then has probability 1."""

    def shared_curvatures(self, shares: Array) -> Array:
        """Return p_k (1 - p_k) per margin, (C,): h_ikk if all rows have probabilities p (K,)."""
        return np.asarray((shares * (1 - shares))[: self.margins(len(shares))])

    @abstractmethod
    def centre(
        self, coefficients: Array, intercepts: Array, *, penalised: bool, intercept: bool
    ) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) as in Spark, with equal probabilities.

        penalised : whether regParam is above zero
        intercept : whether intercepts were fitted
        """

    @abstractmethod
    def raw(self, margins: Array) -> Array:
        """Return Spark's rawPrediction (n, K) for margins (n, C)."""

    @abstractmethod
    def probability(self, raw: Array) -> Array:
        """Return probabilities (n, K) for raw predictions (n, K)."""

    @abstractmethod
    def prediction(
        self, raw: Array, thresholds: Sequence[float] | None, probability: Array | None = None
    ) -> Array:
        """Return the predicted labels (n,) as doubles, for raw predictions (n, K).

        thresholds : one per margin, or None for the most probable label
        probability : the probabilities of `raw` if known; else they are computed when needed
        """


@final
class Binomial(Family):
    """P(1) = sigmoid(m): labels 0 and 1, one margin m."""

    __slots__ = ()
    name = "binomial"
    per_class = False

    def allows(self, classes: int) -> bool:
        """K <= 2."""
        return classes <= 2

    def margins(self, classes: int) -> int:
        """C = 1, also where only one class occurs."""
        return 1

    def classes(self, margins: int) -> int:
        """K = 2."""
        return 2

    def terms(self, margins: Array, labels: Array, probes: int) -> Terms:
        """Terms for margins (n, q), one column per probe."""
        return BinomialTerms.of(margins, labels)

    def chances(self, margins: Array) -> Array:
        """sigmoid(m), of label 1."""
        return np.asarray(expit(margins))

    def log_chances(self, margins: Array) -> Array:
        """log [1 / (1 + e^m), e^m / (1 + e^m)], (2,)."""
        return _log_softmax(np.array([0.0, margins[0]]))

    def start_intercepts(self, class_weights: Array) -> Array:
        """log(w_1 / w_0), (1,): infinite if only one label occurs."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(class_weights[1:] / class_weights[:1]))

    def null_intercepts(self, shares: Array) -> Array:
        """log s_1 - log s_0, (1,)."""
        logs = _finite_logs(shares)
        return logs[1:] - logs[:1]

    def certain_intercepts(self, label: int, classes: int) -> Array:
        """Infinity for label 1 and minus infinity for label 0, (1,)."""
        return np.array([np.inf if label == 1 else -np.inf])

    def centre(
        self,
        coefficients: Array,
        intercepts: Array,
        *,
        penalised: bool,
        intercept: bool,
    ) -> tuple[Array, Array]:
        """Return both unchanged: no other coefficients give the same probabilities."""
        return coefficients, intercepts

    def raw(self, margins: Array) -> Array:
        """[-m, m], (n, 2)."""
        return np.column_stack((-margins, margins))

    def probability(self, raw: Array) -> Array:
        """[sigmoid(-m), 1 - sigmoid(-m)], (n, 2)."""
        chance = expit(raw[:, 0])
        return np.column_stack((chance, 1.0 - chance))

    def prediction(
        self,
        raw: Array,
        thresholds: Sequence[float] | None,
        probability: Array | None = None,
    ) -> Array:
        """1 where m > log(t / (1 - t)), t = 1/2 if there is no threshold; else 0."""
        (threshold,) = (0.5,) if thresholds is None else thresholds
        with np.errstate(divide="ignore"):
            cut = np.log(np.divide(threshold, 1.0 - threshold))
        return np.asarray(raw[:, 1] > cut, dtype=np.float64)


@final
class Multinomial(Family):
    """P(k) = softmax(m)_k: labels 0..K-1, one margin m_k per label."""

    __slots__ = ()
    name = "multinomial"
    per_class = True

    def allows(self, classes: int) -> bool:
        """Any K."""
        return True

    def margins(self, classes: int) -> int:
        """C = K."""
        return classes

    def classes(self, margins: int) -> int:
        """K = C."""
        return margins

    def terms(self, margins: Array, labels: Array, probes: int) -> Terms:
        """Terms for margins (n, q K), the K margins of each probe side by side."""
        each = margins.reshape(len(labels), probes, margins.shape[1] // probes)
        return MultinomialTerms.of(each, labels)

    def chances(self, margins: Array) -> Array:
        """softmax(m)."""
        return np.asarray(softmax(margins, axis=-1))

    def log_chances(self, margins: Array) -> Array:
        """log softmax(m), (K,)."""
        return _log_softmax(margins)

    def start_intercepts(self, class_weights: Array) -> Array:
        """log(1 + w_k) minus its mean, (K,): finite for a class without rows."""
        logs = np.log1p(class_weights)
        return np.asarray(logs - logs.mean())

    def null_intercepts(self, shares: Array) -> Array:
        """log s_k minus its mean, (K,)."""
        logs = _finite_logs(shares)
        return np.asarray(logs - logs.mean())

    def certain_intercepts(self, label: int, classes: int) -> Array:
        """Infinity for the label's margin and zero for the others, (K,)."""
        return np.where(np.arange(classes) == label, np.inf, 0.0)

    def centre(
        self, coefficients: Array, intercepts: Array, *, penalised: bool, intercept: bool
    ) -> tuple[Array, Array]:
        """b_kj minus its mean over k, and the intercepts likewise: no probability changes.

        A penalty determines the coefficients' sum over k, but never the intercepts' sum.
        """
        if not penalised:
            coefficients = coefficients - coefficients.mean(axis=0)
        if intercept:
            intercepts = intercepts - intercepts.mean()
        return coefficients, intercepts

    def raw(self, margins: Array) -> Array:
        """m, (n, K)."""
        return margins

    def probability(self, raw: Array) -> Array:
        """softmax(m), (n, K); an infinite margin has probability 1, and the others 0."""
        infinite = np.isposinf(raw)
        certain = infinite.any(axis=1)
        with np.errstate(invalid="ignore"):
            shares = np.exp(raw - raw.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            shares[certain] = 0.0 * raw[certain]  # as Spark does: NaN for other infinities
        shares[certain, infinite.argmax(axis=1)[certain]] = 1.0
        return np.asarray(shares)

    def prediction(
        self, raw: Array, thresholds: Sequence[float] | None, probability: Array | None = None
    ) -> Array:
        """argmax_k p_k / t_k, or argmax_k m_k without thresholds; NaN never wins."""
        if thresholds is None:
            known = np.where(np.isnan(raw), -np.inf, raw)
            best = np.where(np.isnan(raw[:, 0]), 0, known.argmax(axis=1))
            return np.asarray(best, dtype=np.float64)
        probability = self.probability(raw) if probability is None else probability
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = probability / np.array(thresholds)
        scaled[np.isnan(scaled)] = -np.inf
        return np.asarray(scaled.argmax(axis=1), dtype=np.float64)


def _log_softmax(margins: Array) -> Array:
    return np.asarray(margins - np.logaddexp.reduce(margins))


def _finite_logs(shares: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(shares), LEAST_LOG)


BINOMIAL, MULTINOMIAL = Binomial(), Multinomial()
# The order matters: family="auto" takes the first family that allows the number of classes.
FAMILIES: dict[str, Family] = {family.name: family for family in (BINOMIAL, MULTINOMIAL)}


def family_named(name: str) -> Family:
    """Return the family of this name."""
    if name not in FAMILIES:
        raise ValueError(f"family='{name}' is not known. It must be one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def family_for(classes: int) -> Family:
    """Return the family that "auto" stands for, with this many classes."""
    return next(family for family in FAMILIES.values() if family.allows(classes))


def family_of_flag(multinomial: bool) -> Family:
    """Return the family for Spark's flag isMultinomial, as in saved files and Spark's models."""
    return MULTINOMIAL if multinomial else BINOMIAL
