"""What to fit, without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sparklr.arrays import Array
from sparklr.objective.bounds import Bounds
from sparklr.objective.class_weights import ClassWeights
from sparklr.objective.families import Family
from sparklr.solvers.descent import StepRule
from sparklr.solvers.methods import METHODS, SolverName

BiasReduction: TypeAlias = Literal["none", "firth"]


@dataclass(frozen=True)
class Steps:
    """How gradient descent goes; all but the rate are for the stochastic one.

    The fields are named as the Params.
    """

    learningRate: float | Literal["auto"] = "auto"
    schedule: str = "constant"
    batchSize: int = 64
    epochs: int = 10
    momentum: float = 0.0
    adaptive: str = "auto"
    averaging: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Spec:
    """What to fit, without Spark; the fields are named as the Params."""

    family: Family
    regParam: float = 0.0
    elasticNetParam: float = 0.0
    fitIntercept: bool = True
    standardization: bool = True
    maxIter: int = 100
    tol: float = 1e-6
    solver: SolverName = "auto"
    steps: Steps = Steps()
    stepRule: StepRule = "bb"
    bounds: Bounds | None = None
    biasReduction: BiasReduction = "none"
    patience: int | None = None  # of early stopping; None if no rows are held out
    inference: bool = False  # whether the fit ends with the Hessian at its optimum
    watched: bool = False  # whether it ends early where the rows turn out to be separated
    class_weights: ClassWeights | None = None
    initial: tuple[Array, Array] | None = None  # coefficients (C, p), intercepts (C,) to start at

    @property
    def by_path(self) -> bool:
        """Whether the way to the optimum matters, so that a sample's optimum is no start for it."""
        method = METHODS.get(self.solver)
        return self.patience is not None or (method is not None and method.textbook)
