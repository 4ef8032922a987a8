"""Whether a fit's estimates exist: by its certificate, by its loss, or by a search."""

from __future__ import annotations

from sparklr.arrays import Array
from sparklr.fitting.certificate import Certificate
from sparklr.fitting.spec import Spec
from sparklr.objective.moments import Moments
from sparklr.passes.protocol import Passes
from sparklr.separation.complete import complete_along, shows_complete
from sparklr.separation.search import Separation, find_separation

# With up to so many coefficients separation is looked for in a fit, which takes a fraction of a
# second. With hundreds of separated levels it would take longer than the fit.
AT_ONCE = 100


def searches_at_once(coefficients: int) -> bool:
    """Whether a fit of so many coefficients looks for separation itself."""
    return coefficients <= AT_ONCE


def all_right(loss: float, moments: Moments, spec: Spec) -> bool:
    """Whether a mean loss shows that the coefficients alone predict all rows right.

    Not if the loss counts classes by factors, or if offsets do their part.
    """
    plain = spec.class_weights is None and not moments.has_offsets
    return plain and shows_complete(loss, moments)


def separation_unless_proved(
    certificate: Certificate,
    fitted: Array,
    loss: float,
    passes: Passes,
    spec: Spec,
) -> Separation | None:
    """Return how the rows are separated, or not; None if the certificate proves that they are not.

    fitted : coefficients and intercepts (C, p + 1), with this mean loss

    A search names fewer features than the fitted coefficients. With many coefficients it takes so
    long that the loss, if it is small enough, must do.
    """
    if certificate.estimateExists:
        return None
    classes = spec.family.classes(len(fitted))
    if not searches_at_once(fitted.size) and all_right(loss, passes.moments, spec):
        return complete_along(fitted, loss, passes.moments, classes)
    return find_separation(passes, spec.family, classes, intercept=spec.fitIntercept)
