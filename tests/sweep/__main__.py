"""The fits that say that they did not converge, with their distance: python -m tests.sweep

A line per kind, penalty, solver and scale: by which share of the objective another solver goes
lower, and why the fit stopped.
"""

from __future__ import annotations

from tests.sweep.kinds import KINDS
from tests.sweep.test_sweep import PENALTIES, improvement, solvers_for


def main() -> None:
    """Print the list."""
    for kind in KINDS:
        for penalty in PENALTIES:
            for solver in solvers_for(penalty):
                for standardized in (True, False):
                    gap, fit = improvement(
                        kind, 600, penalty, standardized=standardized, solver=solver
                    )
                    if not fit.converged:
                        scale = "scaled" if standardized else "as they are"
                        print(f"{kind}, {penalty}, {solver}, {scale}: {gap:.1e}, {fit.reason}")


if __name__ == "__main__":
    main()
