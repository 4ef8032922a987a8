"""Features that separate rows alone, which the ranges by label show before any reading.

If a feature of rows with some label is never above its values in all other rows, or never below,
then the direction of this feature alone, with the intercept for a threshold, lowers no comparison.
It raises some, if the feature varies. A flag that only rows with one label have is such a feature.
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import BoolArray
from sparklr.objective.moments import Moments


def separate_alone(moments: Moments) -> BoolArray:
    """Return which features separate the rows alone, (p,); none if the ranges are not known."""
    apart: BoolArray = np.zeros(moments.features, dtype=np.bool_)
    if len(moments.ranges) < 2:
        return apart
    for label, (low, high) in enumerate(moments.ranges):
        others = np.delete(moments.ranges, label, axis=0)
        apart |= (high <= others[:, 0].min(axis=0)) | (low >= others[:, 1].max(axis=0))
    return apart & (moments.minimum < moments.maximum)
