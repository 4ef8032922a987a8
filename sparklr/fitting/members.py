"""Fits that share readings: a solver for each, from the plain start or a sample's, in waves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from sparklr.arrays import Array
from sparklr.fitting.at_infinity import SeparationWatch
from sparklr.fitting.choose_solver import (
    check_solver,
    choose_solver,
    make_solver,
    state_bytes,
    stop_with,
    worth_whole,
)
from sparklr.fitting.costs import Conditions, by_cheap_steps, spares_hessians
from sparklr.fitting.firth import fit_firth
from sparklr.fitting.last_hessian import with_last_gradient, with_last_hessian
from sparklr.fitting.of_solution import certified, fit_of
from sparklr.fitting.outcome import Fit, Round
from sparklr.fitting.preconditioner import SampleCurvature, plain_precondition
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import run_solvers, stop_of, warm_started
from sparklr.fitting.scores import ScoreProducts
from sparklr.fitting.sgd import fit_sgd
from sparklr.fitting.spec import Spec
from sparklr.fitting.without_training import constant_label_fit, nothing_to_fit
from sparklr.objective.moments import Moments, merge_all
from sparklr.passes.local import LocalPasses, in_pieces
from sparklr.passes.protocol import Passes, read_round
from sparklr.passes.readings import batches
from sparklr.passes.threads import useful_threads
from sparklr.solvers import Preconditioner, Query, Solver, Stop
from sparklr.solvers.early_stopping import stopped_early
from sparklr.solvers.methods import SGD, Method, method_for

log = logging.getLogger("sparklr")

Key = TypeVar("Key", bound=Hashable)
Watch: TypeAlias = Callable[[Round], None]

# The sampling error limits the accuracy of the sample's optimum, so a rough solution is enough.
ROUGHLY = Stop(1e-6, 1e-8, 50)
# The same by many cheap steps, where these are enough.
CHEAPLY = Stop(1e-9, 1e-12, 1_000)
# The state of all solvers between passes may take this many times the budget of a pass.
STATE_BUDGETS = 4


class Members(Generic[Key]):
    """Fits that share passes: their problems, and the results so far."""

    def __init__(self, passes: Passes, budget: int, watch: Watch, members: int) -> None:
        self.fits: dict[Key, Fit] = {}
        self.readings = 0
        self._passes, self._budget, self._watch = passes, budget, watch
        self._members, self._later = members, 0
        # Between readings no task runs, so sums over the sample may have all cores.
        self._threads = useful_threads(passes.slots)
        self._problems: dict[Key, Problem] = {}
        self._reduced: dict[Key, Problem] = {}  # with Firth's method
        self._walked: dict[Key, Problem] = {}  # by stochastic gradient descent
        self._methods: dict[Key, Method] = {}
        self._conditions: dict[Key, Conditions] = {}
        self._of_rows: dict[int, Conditions] = {}
        self._preconditions: dict[Key, Preconditioner] = {}
        self._watches: dict[Key, SeparationWatch] = {}

    def pose(
        self, key: Key, spec: Spec, classes: int, moments: Moments, without: int | None
    ) -> None:
        """Add a fit on rows with these moments; if it needs no solver, its result is set here."""
        check_solver(spec)
        reduced = spec.biasReduction == "firth"
        known = None if reduced else constant_label_fit(spec, moments, classes)
        if known is not None:
            self.fits[key] = known
            return
        held = None
        if spec.patience is not None:
            held = merge_all(its for fold, its in self._passes.held.items() if fold != without)
        pose = partial(
            Problem.of,
            spec,
            moments,
            classes,
            whole=self._passes.moments,
            without=without,
            held=held,
        )
        problem = pose()
        if reduced and problem.size > 0:
            self._reduced[key] = problem
            self._later += 1
            return
        if problem.size == 0:
            self.fits[key] = nothing_to_fit(problem, self._start_value(problem))
            return
        if spec.solver == SGD:
            self._walked[key] = pose(centred=True)
            self._later += 1
            return
        # Fits on the same rows share what is known of the sample.
        conditions = self._of_rows.get(moments.rows)
        if conditions is None:
            conditions = Conditions.of(self._passes, moments.rows, self._members)
            self._of_rows[moments.rows] = conditions
        method = choose_solver(problem, conditions)
        # See `Scaling`: Hessians lose digits where rare features are centred, and first
        # derivatives need more steps where features are not.
        self._problems[key] = problem if method.order == 2 else pose(centred=True)
        self._methods[key], self._conditions[key] = method, conditions
        self._later += 1

    def _start_value(self, problem: Problem) -> float:
        """Return the objective at the start, from a reading if it needs one."""
        value, query = problem.start_value(), Query(problem.start(), 0)
        if value is not None:
            return value
        (sums,), readings = read_round(self._passes, [problem.probe(query)], self._budget)
        self.readings += readings
        return problem.answer(query, sums).value

    def waves(self) -> Iterator[list[Key]]:
        """Return the fits to run, in groups whose solvers fit into the driver's memory."""
        return batches(
            list(self._problems),
            STATE_BUDGETS * self._budget,
            lambda key: state_bytes(self._problems[key], self._methods[key]),
        )

    def run(self, solvers: Mapping[Key, Solver]) -> None:
        """Run solvers in lockstep until all have stopped."""
        self._later -= len(solvers)
        preconditions, self._preconditions = self._preconditions, {}
        solvers = {key: self._with_last_answer(key, its) for key, its in solvers.items()}
        solutions, count = run_solvers(
            solvers, self._problems, self._passes, self._budget, self._report
        )
        self.readings += count
        for key, solution in solutions.items():
            problem, method, watch = self._problems[key], self._methods[key], self._watches.get(key)
            kept = preconditions[key] if self._keeps(problem) else None
            fit = fit_of(problem, method.name, solution, kept)
            fit = certified(fit, problem, solution, self._passes.moments, watch)
            known = fit.information is not None and problem.spec.regParam == 0
            if known and problem.factors is not None:
                fit = replace(fit, products=self._score_products(problem, solution.point))
            if watch is not None and watch.found is not None:
                self.readings += watch.found.readings
            self.fits[key] = fit
            log.info("%s: %d steps, %s", method.name, solution.steps, solution.reason.value)

    def run_others(self) -> None:
        """Run the fits whose queries are of their own kind: Firth's method, and stochastic ones."""
        for problems, fit in ((self._reduced, fit_firth), (self._walked, fit_sgd)):
            if problems:
                self._later -= len(problems)
                found = fit(problems, self._passes, self._budget, self._report)
                self.fits |= found[0]
                self.readings += found[1]

    def _score_products(self, problem: Problem, point: Array) -> Array:
        """Read the rows once more for robust errors, the only ones with weights by class."""
        self.readings += 1
        reading = ScoreProducts(problem.probe(Query(point, 1)), 1)
        return problem.scaling.hessian(self._passes.read(reading))

    def _with_last_answer(self, key: Key, solver: Solver) -> Solver:
        problem = self._problems[key]
        if not problem.spec.inference:
            return with_last_gradient(solver, problem)
        return with_last_hessian(solver, problem, self._passes, problem.spec.maxIter)

    def _keeps(self, problem: Problem) -> bool:
        """Whether all preconditioners fit into memory, to be reused by fits with optima nearby."""
        return 8 * problem.size**2 * self._members <= self._budget

    def _report(self, readings: int, live: int, objective: float, residual: float) -> None:
        made, waiting = self.readings + readings, live + self._later
        self._watch(
            Round(
                passes=made,
                live=waiting,
                members=self._members,
                objective=objective,
                residual=residual,
            )
        )

    def sample_starts(self, wave: Sequence[Key]) -> dict[Key, Array]:
        """Return rough optima of the sample as warm starts, for the fits where they pay.

        A rough optimum is enough: its distance from the true one is mostly sampling error. A fit
        alone takes the wider sample if that saves a reading.
        """
        alone = self._members == 1 and all(self._methods[key].order == 2 for key in wave)
        sample = self._passes.wider_sample if alone else self._passes.sample
        threads = self._threads
        pieces = in_pieces(sample, threads)
        local = LocalPasses(pieces, self._passes.moments, sample, threads)
        problems, solvers = {}, {}
        curvature = SampleCurvature(sample, threads)
        for key in wave:
            problem = self._problems[key]
            spec = problem.spec
            plain = spec.initial is None and problem.starts_at_zero and not spec.by_path
            if not plain or spec.maxIter == 0:
                continue
            conditions = self._conditions[key]
            cheaply = by_cheap_steps(problem, conditions)
            if cheaply or conditions.starts(problem):
                start, method, stop = problem.start(), self._methods[key], ROUGHLY
                if cheaply:
                    method, stop = method_for(1, smooth=False), CHEAPLY
                # Nobody needs the Hessian at the sample's optimum.
                rough = replace(problem, spec=replace(spec, inference=False))
                problems[key] = rough.on_rows(sample)
                precondition = curvature.precondition(problem, method, start, whole=False)
                solvers[key] = make_solver(rough, method, precondition)(start, stop)
        solutions, _ = run_solvers(solvers, problems, local, self._budget)
        return {key: solution.point for key, solution in solutions.items()}

    def from_sample(self, key: Key, warm: Array | None) -> Solver:
        """Return the solver of a fit: from the sample's optimum if there is one, else plain."""
        problem = self._problems[key]
        start, value = problem.start(), problem.start_value()
        method, stop = self._methods[key], stop_of(problem.spec)
        precondition = (
            self._precondition(key, start, begins=False)
            if warm is None
            else self._precondition(key, warm, begins=True)
        )
        make = make_solver(problem, method, precondition)
        if problem.spec.watched:
            self._watches[key] = SeparationWatch(problem, self._passes)
            make = self._watches[key].over(make)
        stop = stop_with(problem, method, self._conditions[key], stop)
        patience = problem.spec.patience
        if patience is not None:
            return stopped_early(make(start, stop), problem.penalty.l1, patience)
        if warm is None:
            return make(start, stop)
        return warm_started(problem, make, warm, value, stop)

    def from_fit(self, key: Key, near: Fit) -> Solver:
        """Return the solver of a fit, with a warm start at another fit nearby."""
        problem, method = self._problems[key], self._methods[key]
        if problem.spec.by_path:
            return self.from_sample(key, None)
        point = problem.point_of(near.coefficients, near.intercepts)
        point = point if problem.box is None else problem.box.clip(point)
        # A feature may vary among all rows but be constant among this fit's rows.
        same = near.solver == method.name and near.size == problem.size
        if same and near.precondition is not None:
            self._preconditions[key] = near.precondition
        else:
            self._precondition(key, point, begins=True)
        return make_solver(problem, method, self._preconditions[key])(point, stop_of(problem.spec))

    def _precondition(self, key: Key, point: Array, *, begins: bool) -> Preconditioner:
        """Return the sample's curvature; Newton may begin with it, if the optimum is near."""
        problem, method, conditions = self._problems[key], self._methods[key], self._conditions[key]
        if problem.spec.by_path:
            self._preconditions[key] = made = plain_precondition(problem, method)
            return made
        whole = worth_whole(problem, conditions)
        begins = begins and spares_hessians(problem, conditions)
        curvature = SampleCurvature(self._passes.sample, self._threads)
        made = curvature.precondition(problem, method, point, whole=whole, begins=begins)
        self._preconditions[key] = made
        return made
