"""All workloads measured against Spark's own estimator and scikit-learn: `make bench`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.contest import measure, open_arena
from benchmarks.page import failures, in_order, machine_lines, markdown_page, text_table
from benchmarks.picture import draw
from benchmarks.record import Outcome, Record, source_version
from benchmarks.session import bench_session, describe, heap_for
from benchmarks.speed import draw_speed
from benchmarks.workloads import QUICK, WORKLOADS, Workload, chosen

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
PAIRS = 3
QUICK_SCALE = 0.02


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and not known yet; 1 if an objective is worse than Spark's."""
    options = _options(arguments)
    record = Record.load(_file(options), options.scale)
    if not options.page:
        _measure_all(_todo(options, record), record, options)
    names = [one.name for one in _asked(options)]
    shown = [one for one in in_order(record) if options.page or one.name in names]
    print(f"\n{text_table(shown)}\n")
    if not options.quick:
        print(f"Page: {_write_page(record)}")
    troubles = failures(shown)
    print(*troubles, sep="\n", file=sys.stderr, end="\n" if troubles else "")
    return 1 if troubles else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, help="multiplies the rows; 1 if not given")
    parser.add_argument("--only", help="names or patterns of workloads, such as 'tiny corr*'")
    parser.add_argument(
        "--quick", action="store_true", help="some workloads, few rows, one run of each"
    )
    parser.add_argument(
        "--page", action="store_true", help="measure nothing, write the page of what is known"
    )
    options = parser.parse_args(arguments)
    if options.scale is None:
        options.scale = QUICK_SCALE if options.quick else 1.0
    if not options.scale > 0:
        parser.error("the scale must be above zero")
    try:
        _asked(options)
    except ValueError as trouble:
        parser.error(str(trouble))
    return options


def _asked(options: argparse.Namespace) -> list[Workload]:
    if options.only:
        return chosen(options.only.replace(",", " ").split())
    return chosen(QUICK) if options.quick else WORKLOADS


def _todo(options: argparse.Namespace, record: Record) -> list[Workload]:
    """What is asked for by name, else what has not been measured with these sources."""
    if options.only or options.quick:
        return _asked(options)
    known = {name for name, its in record.outcomes.items() if its.version == source_version()}
    return [one for one in WORKLOADS if one.name not in known]


def _file(options: argparse.Namespace) -> Path:
    """Small runs do not overwrite the full one's results."""
    kind = "-quick" if options.quick else "" if options.scale == 1 else f"-{options.scale:g}"
    return BUILD / f"bench{kind}.json"


def _measure_all(todo: list[Workload], record: Record, options: argparse.Namespace) -> None:
    if not todo:
        return
    heap, load = heap_for(options.scale), os.getloadavg()[0]
    version = source_version()
    with bench_session(heap) as spark:
        record.machine = describe(spark, heap, load)
        print(machine_lines(record), flush=True)
        for dataset, sharing in groupby(todo, lambda one: one.dataset):
            frame = dataset.make(spark, dataset.rows_at(options.scale))
            with open_arena(dataset, frame, BUILD / "rows") as arena:
                for workload in sharing:
                    pairs = 1 if options.quick else PAIRS
                    outcome = measure(workload, arena, pairs, in_memory=not options.quick)
                    outcome.version = version
                    record.outcomes[workload.name] = outcome
                    record.save()
                    print(_progress(outcome), flush=True)


def _progress(outcome: Outcome) -> str:
    ours, spark = outcome.ours.median, outcome.spark.median
    return f"{outcome.name}: sparklr {ours:.3g} s, Spark {spark:.3g} s, ratio {outcome.ratio:.2f}"


def _write_page(record: Record) -> Path:
    """To docs/ at full scale only: other figures are nobody's reference."""
    directory = ROOT / "docs" if record.scale == 1 else BUILD
    page, picture = directory / "benchmarks.md", directory / "benchmarks.png"
    outcomes = in_order(record)
    draw(outcomes, picture)
    draw_speed(outcomes, directory / "speed.png")
    page.write_text(markdown_page(record, picture.name), encoding="utf-8")
    return page.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
