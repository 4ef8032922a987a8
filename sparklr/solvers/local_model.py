"""The quadratic model of a function at a point, with an l1 term, a box and damping.

    g'd + d'(H + m D)d / 2 + sum_j l1_j |x_j + d_j|        (x + d within the box, if there is one)

for a step d from x, gradient g, Hessian H, damping m and a diagonal D of typical curvatures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.protocol import ROUNDING
from sparklr.solvers.quadratic import pseudo_gradient

# (point, gradient, Hessian) -> the step that minimises the model, if the model has a minimum
Model: TypeAlias = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Step:
    """A step, its damping, its predicted decrease, and whether it minimises the model (`sound`).

    If it does not, a small predicted decrease proves nothing.
    """

    move: Array
    damping: float
    promised: float
    sound: bool
    shortened: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is a whole step without damping, so that its prediction tells of the next."""
        return self.damping == 0 and not self.shortened


@dataclass(frozen=True, eq=False)
class Local:
    """The local model at a point: gradient (n,) and Hessian (n, n) of f, the l1 term, the box.

    `scale` is the diagonal of D.
    """

    point: Array
    gradient: Array
    hessian: Array
    l1: Array
    box: Box
    scale: Array

    def step(self, model: Model, damping: float) -> Step:
        """Return the step that minimises the model with this damping."""
        here = self
        if damping > 0:
            # Where the curvature exceeds D, it takes the place of D.
            scale = np.maximum(self.scale, np.diagonal(self.hessian))
            here = replace(self, hessian=self.hessian + np.diag(damping * scale))
        with np.errstate(over="ignore", invalid="ignore"):  # a curvature may be nearly zero
            move = model(here.point, here.gradient, here.hessian)
        if not np.isfinite(move).all():
            return Step(move, damping, np.inf, False)
        with np.errstate(over="ignore", invalid="ignore"):
            return Step(move, damping, here.promise(move), here.solved_by(move))

    def shorter(self, step: Step) -> Step:
        """Return a quarter of a step."""
        move = step.move / 4
        return replace(step, move=move, promised=self.promise(move), shortened=True)

    def length(self, step: Step) -> float:
        """Return the step's length, each coordinate weighted by its entry of D."""
        return float(np.sqrt(self.scale @ step.move**2))

    def slope(self, step: Array) -> float:
        """Return the change along the step without curvature; negative for a descent."""
        shift = np.abs(self.point + step) - np.abs(self.point)
        return float(self.gradient @ step + self.l1 @ shift)

    def promise(self, step: Array) -> float:
        """Return the predicted decrease: how much lower the model is after the step."""
        return -(self.slope(step) + 0.5 * float(step @ self.hessian @ step))

    def solved_by(self, step: Array) -> bool:
        """Whether the step reaches the model's minimum."""
        point, gradient, l1, box = self.point, self.gradient, self.l1, self.box
        slope = gradient + self.hessian @ step
        before = np.abs(pseudo_gradient(point, gradient, l1, box)).max(initial=0)
        after = np.abs(pseudo_gradient(box.land(point, step), slope, l1, box)).max(initial=0)
        scale = np.abs(gradient).max(initial=0) + l1.max(initial=0)
        # A slope this small moves no coordinate x by a unit in the last place of max(|x|, 1).
        noise = ROUNDING * (np.abs(self.hessian) @ np.maximum(np.abs(point), 1.0)).max(initial=0)
        return bool(after <= 1e-3 * before + 1e-9 * scale + noise)
