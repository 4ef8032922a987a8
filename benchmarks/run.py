"""Measure all workloads with sparklr, Spark's own estimator and rivals apart: `make bench`.

Fails if an objective is worse than Spark's, never because of time. The seconds and results of each
workload are a line of JSON at the end of build/bench.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

from benchmarks.beside import Beside
from benchmarks.judge import Outcome, Side, objectives
from benchmarks.page import tables, write_page
from benchmarks.rivals import Rival, Rows, rivals_in_session
from benchmarks.rivals_apart import absences, sides_apart
from benchmarks.session import BUILD, ROOT, describe, heap_for, quiet_session
from benchmarks.workloads import QUICK, SEARCHES, Workload, chosen

LINES = BUILD / "bench.jsonl"
QUICK_SCALE = 0.02
PAIRS = 3
# Short runs are repeated until all turns together have taken this long, or there are this many.
ENOUGH_SECONDS = 15.0
MOST_PAIRS = 15


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen workloads; return 1 if a run fails, else 0."""
    options = _options(arguments)
    for absence in absences() if options.apart else []:
        print(absence, flush=True)
    outcomes: list[Outcome] = []
    for master, workloads in groupby(options.workloads, lambda one: one.master):
        outcomes += measure_all(workloads, master, options)
    print(f"\n{tables(outcomes)}\n")
    if options.apart:
        print("Page:", write_page(known(LINES, options.scale), ROOT))
    troubles = [f"{one.name}: {one.trouble()}." for one in outcomes if one.trouble()]
    print(*troubles, sep="\n", file=sys.stderr, end="\n" if troubles else "")
    return 1 if troubles else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="names or patterns of workloads, such as 'tiny corr*'")
    parser.add_argument("--scale", type=float, help="multiplies the rows; 1 if not given")
    parser.add_argument(
        "--quick", action="store_true", help="some workloads, few rows, one run each"
    )
    parser.add_argument("--beside", type=Path, help="another checkout, to measure its sparklr too")
    options = parser.parse_args(arguments)
    if options.scale is None:
        options.scale = QUICK_SCALE if options.quick else 1.0
    options.apart = not (options.quick or options.beside)
    if not options.scale > 0:
        parser.error("the scale must be above zero")
    patterns = options.only.replace(",", " ").split() if options.only else []
    try:
        options.workloads = chosen(patterns or (QUICK if options.quick else "*"))
    except ValueError as trouble:
        parser.error(str(trouble))
    return options


def measure_all(
    workloads: Iterable[Workload], master: str, options: argparse.Namespace
) -> Iterator[Outcome]:
    """Measure workloads of one master in one session, which ends with them."""
    heap, load = heap_for(options.scale, 2 if options.beside else 1), os.getloadavg()[0]
    with quiet_session(heap, master=master) as spark:
        machine = describe(spark, heap, load)
        print(*(f"- {name}: {value}" for name, value in machine.items()), sep="\n", flush=True)
        for dataset, sharing in groupby(workloads, lambda one: one.dataset):
            rows = Rows(dataset, spark, options.scale)
            for one in sharing:
                sides = measure(one, rows, options)
                counts = (rows.count, dataset.features)
                outcome = Outcome(one.name, options.scale, *counts, sides, machine)
                keep(outcome, LINES)
                yield outcome
            rows.close()


def measure(workload: Workload, rows: Rows, options: argparse.Namespace) -> dict[str, Side]:
    """Return the measurements and results of each rival, with the recomputed objective."""
    rivals: list[Rival] = [*rivals_in_session(workload, rows)]
    pairs = 1 if options.quick else PAIRS
    with ExitStack() as stack:
        if options.beside:
            beside = Beside(options.beside, workload.name, options.scale)
            stack.enter_context(beside.process)
            rivals.insert(1, beside)
        sides = take_turns(workload, rivals, rows, pairs)
    if workload.kind in ("fit", "second"):
        if options.apart:
            sides |= sides_apart(workload, rows)
        found = {name: side.found for name, side in sides.items() if side.found is not None}
        values = objectives(rows.frame, found, workload.penalty, rows.deviations)
        for name, value in values.items():
            sides[name].objective = value
    if options.beside:  # its process is a child of this one, so the memories cannot be separated
        sides = {name: replace(side, gigabytes=None) for name, side in sides.items()}
    return {name: replace(side, found=None) for name, side in sides.items()}


def take_turns(
    workload: Workload, rivals: Sequence[Rival], rows: Rows, pairs: int
) -> dict[str, Side]:
    """Run the rivals in turn, A B A B A B; return all seconds and the last results."""
    if workload.kind not in SEARCHES:  # a search is so long that it needs no warm-up
        for rival in rivals:
            rival.fit(rows, warm_up=True)
    sides = {rival.name: Side() for rival in rivals}
    taken, turn = 0.0, 0
    while turn < pairs or (pairs > 1 and taken < ENOUGH_SECONDS and turn < MOST_PAIRS):
        for rival in rivals:
            sides[rival.name] = sides[rival.name].then(rival.fit(rows))
        last = {name: side.seconds[-1] for name, side in sides.items()}
        said = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in last.items())
        print(f"{workload.name} {turn + 1}: {said}", flush=True)
        taken += sum(last.values())
        turn += 1
    return sides


def keep(outcome: Outcome, file: Path) -> None:
    """Append an outcome to the JSON lines."""
    with file.open("a", encoding="utf-8") as lines:
        print(json.dumps(asdict(outcome)), file=lines)


def known(file: Path, scale: float) -> list[Outcome]:
    """Return all outcomes at a scale, in order of measurement, without those with a checkout."""
    lines = file.read_text(encoding="utf-8").splitlines()
    outcomes = map(Outcome.of, map(json.loads, lines))
    return [one for one in outcomes if one.scale == scale and Beside.name not in one.sides]


if __name__ == "__main__":
    sys.exit(main())
