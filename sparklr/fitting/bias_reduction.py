"""What goes with the Param `biasReduction`, checked before any job where possible."""

from __future__ import annotations

from sparklr.fitting.spec import Spec
from sparklr.spark.errors import InvalidValueError

# Each reading takes the square of their number per row, and a matrix of them goes to all workers.
MOST_REDUCED = 1_000


def check_bias_reduction(
    spec: Spec, margins: int | None, features: int | None, *, offset: str | None
) -> None:
    """Refuse what does not go with biasReduction="firth"; sizes are None if not known yet.

    offset : the name of the column of offsets, if there is one
    """
    if spec.biasReduction == "none":
        return
    if spec.family.per_class:
        raise InvalidValueError(
            f"biasReduction='firth' is for binomial models, but the family is {spec.family}. Use "
            "biasReduction='none', or two classes and family='binomial'."
        )
    if spec.regParam > 0:
        raise InvalidValueError(
            f"biasReduction='firth' does not go with regParam={spec.regParam:g}: it has a penalty "
            "of its own, Jeffreys' prior. Set regParam=0, or use biasReduction='none'."
        )
    if spec.bounds is not None:
        raise InvalidValueError(
            "biasReduction='firth' cannot keep coefficients within bounds. Clear the bounds, or "
            "use biasReduction='none'."
        )
    if spec.solver != "auto":
        raise InvalidValueError(
            f"biasReduction='firth' has a solver of its own, but solver='{spec.solver}' is set. "
            "Use solver='auto'."
        )
    if offset is not None or spec.class_weights is not None:
        other = "offsetCol" if offset is not None else "classWeights"
        raise InvalidValueError(
            f"biasReduction='firth' does not go with {other}. Clear {other}, or use "
            "biasReduction='none'."
        )
    size = (margins or 1) * ((features or 0) + int(spec.fitIntercept))
    if size > MOST_REDUCED:
        raise InvalidValueError(
            f"biasReduction='firth' is for at most {MOST_REDUCED:,} coefficients, but there are "
            f"{size:,}. With so many, use a penalty (regParam above 0)."
        )
