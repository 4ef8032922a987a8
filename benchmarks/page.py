"""The table of outcomes, as text and as Markdown, and the page around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.judge import WORST_GAP, is_worse
from benchmarks.memory import Peak
from benchmarks.record import Outcome, Record, Side
from benchmarks.workloads import WORKLOADS

HEADINGS = [
    "workload", "rows × features", "sparklr s", "Spark s", "scikit-learn s", "ratio", "target",
    "met", "passes", "iterations", "objective", "Spark's", "gap", "scikit-learn gap",
    "driver GB", "workers GB",
]  # fmt: skip
NONE = "-"

METHOD = f"""\
Seconds are medians. sparklr and Spark's `LogisticRegression` run in turn (A B A B ...) in one
session, on rows that are cached beforehand, both with the default `tol` and `maxIter`, each once
on a sample before. There are at least three pairs, and more where they are short.

- **ratio**: the median, over the pairs, of sparklr's time divided by Spark's. Below 1, sparklr is
  the faster. **target** is what it is meant to be at most, and **met** whether it is.
- **scikit-learn** fits the same rows in memory, in a process without Spark, once, by lbfgs or
  saga with its own tolerance; scaling the features counts, reading them does not.
- **passes** are sparklr's readings of the data after packing; **iterations** sparklr's, Spark's and
  scikit-learn's.
- **objective** is recomputed from the final coefficients by a reading of the rows that has no code
  in common with sparklr. **gap** is sparklr's less Spark's, as a share of Spark's: below
  zero, sparklr's is the better one; above {WORST_GAP:g} the run fails.
- **driver GB** is the most that the driver's Python and its JVM held together, sparklr's runs /
  Spark's. It includes the cached rows, and heap that Java has not handed back. **workers
  GB** is the same for the Python workers, pages that they share counted in each.

Rows are made in Spark from fixed seeds. Labels are drawn from a true model whose own area under
the ROC curve is about 0.85.
"""

RUN_AGAIN = """\
## Run it

    make bench                    # all; minutes to an hour, by the machine
    make bench ONLY='corr* tiny'  # measure these, whether or not they have been measured
    make bench SCALE=0.1          # with a tenth of the rows; the page goes to build/
    make bench QUICK=1            # two minutes; fails if an objective is worse than Spark's

Results are kept in `build/` after each workload. A run that was interrupted goes on where it ended;
what was measured before a change to sparklr is measured again.
"""


def cells(outcome: Outcome) -> list[str]:
    """A line of the table."""
    ours, spark, sklearn = outcome.ours, outcome.spark, outcome.sklearn
    met = "" if outcome.target is None else "yes" if outcome.ratio <= outcome.target else "no"
    return [
        outcome.name,
        f"{outcome.rows:,} × {outcome.features:,}",
        _seconds(ours),
        _seconds(spark),
        _seconds(sklearn),
        f"{outcome.ratio:.2f}",
        NONE if outcome.target is None else f"{outcome.target:.2f}",
        met,
        NONE if ours.passes is None else str(ours.passes),
        _iterations(outcome),
        _objective(ours),
        _objective(spark),
        _gap(outcome.gap(ours)),
        _gap(outcome.gap(sklearn)),
        _memory(ours, spark, _driver),
        _memory(ours, spark, _workers),
    ]


def _seconds(side: Side) -> str:
    if side.median is None:
        return side.note or NONE
    return f"{side.median:.3g}" if side.median < 100 else f"{side.median:.0f}"


def _iterations(outcome: Outcome) -> str:
    counts = [side.iterations for side in (outcome.ours, outcome.spark, outcome.sklearn)]
    if all(count is None for count in counts):
        return NONE
    return " / ".join(NONE if count is None else str(count) for count in counts)


def _objective(side: Side) -> str:
    return NONE if side.objective is None else f"{side.objective:.8f}"


def _gap(gap: float | None) -> str:
    return NONE if gap is None else f"{gap:+.1e}"


def _driver(peak: Peak) -> float:
    return peak.driver + peak.jvm


def _workers(peak: Peak) -> float:
    return peak.workers


def _memory(ours: Side, spark: Side, part: Callable[[Peak], float]) -> str:
    both = [side.peak for side in (ours, spark)]
    return " / ".join(
        NONE if not peak or not peak.jvm else f"{part(peak) / 1024:.1f}" for peak in both
    )


def in_order(record: Record) -> list[Outcome]:
    """The outcomes in the order of the workloads."""
    return [record.outcomes[one.name] for one in WORKLOADS if one.name in record.outcomes]


def text_table(outcomes: Sequence[Outcome]) -> str:
    """For a terminal: columns aligned, numbers to the right."""
    lines = [HEADINGS, *map(cells, outcomes)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown_table(outcomes: Sequence[Outcome]) -> str:
    """The same for the page."""
    rule = ["---", *["---:"] * (len(HEADINGS) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [HEADINGS, rule, *map(cells, outcomes)])


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """What makes the run fail: objectives worse than Spark's. Time never does."""
    return [
        f"{one.name}: the objective is worse than Spark's by {gap:.1e} of it, "
        f"more than {WORST_GAP:g}."
        for one in outcomes
        if (gap := one.gap(one.ours)) is not None and is_worse(gap)
    ]


def machine_lines(record: Record) -> str:
    """The hardware, versions and settings."""
    return "\n".join(f"- {name}: {value}" for name, value in record.machine.items())


def markdown_page(record: Record, picture: str) -> str:
    """The page, with what has been measured so far."""
    outcomes = in_order(record)
    what = "\n".join(f"- `{one.name}`: {one.says}" for one in outcomes)
    parts = [
        "# Benchmarks\n\nWritten by `make bench`.",
        f"## Results\n\n{_state(record, outcomes)}\n\n{markdown_table(outcomes)}\n\n{what}",
        f"![Ratios with their targets, and time by rows]({picture})",
        f"## Machine\n\n{machine_lines(record)}",
        f"## Method\n\n{METHOD.strip()}",
        RUN_AGAIN.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _state(record: Record, outcomes: Sequence[Outcome]) -> str:
    state = f"{len(outcomes)} of {len(WORKLOADS)} workloads measured"
    if record.scale != 1:
        state += f", with {record.scale:g} times the rows: too few to judge speed by"
    if len({one.version for one in outcomes}) > 1:
        state += ", not all of them with the same sources"
    return state + "."
