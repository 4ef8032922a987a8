"""The tables of outcomes, the measured part of docs/benchmarks.md, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.judge import OURS, SPARK, Outcome, Side
from benchmarks.rivals_apart import RIVALS, Apart
from benchmarks.workloads import AGAINST_OURS, WORKLOADS

HEADINGS = [
    "workload", "what", "rows × features", "sparklr s", "Spark s", "ratio", "target", "passes",
    "iterations", "objective", "gap", "GB",
]  # fmt: skip
APART = "In memory, without Spark:"
NONE = "-"
TEXTS = ("workload", "what")  # these columns begin at the left; figures end at the right
START, END = "<!-- measured -->\n", "<!-- /measured -->\n"
ASKED = {one.name: one for one in WORKLOADS}

FASTER, SLOWER = "#0072B2", "#D55E00"
DARK, RULE = "#4a4f58", "#e6e8eb"
WIDTH, AROUND, BAR = 8.0, 1.0, 0.27  # inches: picture width, height around the bars, one bar


def tables(outcomes: Sequence[Outcome]) -> str:
    """Return the main table, and that of the rivals without Spark if there are any."""
    main = table(HEADINGS, [cells(one) for one in outcomes])
    rivals = [rival for rival in RIVALS if any(rival.name in one.sides for one in outcomes)]
    if not rivals:
        return main
    beside = [one for one in outcomes if any(rival.name in one.sides for rival in rivals)]
    return f"{main}\n\n{APART}\n\n{table(*apart(beside, rivals))}"


def apart(
    outcomes: Sequence[Outcome], rivals: Sequence[Apart]
) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines of the table of the rivals without Spark."""
    headings = ["workload", "rows × features", f"{OURS} s"]
    lines = [[one.name, _size(one), _seconds(one.sides[OURS])] for one in outcomes]
    for rival in rivals:
        imports = [f"{rival.name} import s"] if rival.imports else []
        headings += [*imports, f"{rival.name} s", f"{rival.name} gap"]
        for line, one in zip(lines, outcomes, strict=True):
            side = one.sides.get(rival.name, Side())
            imported = [_form(side.imported, ".3g")] if rival.imports else []
            line += [*imported, _seconds(side), _form(one.gap(rival.name, OURS), "+.1e")]
    return headings, lines


def table(headings: list[str], rest: Sequence[list[str]]) -> str:
    """Return a table in Markdown that is also readable in a terminal."""
    columns = []
    for heading, *others in zip(headings, *rest, strict=True):
        width = max(map(len, [heading, *others]))
        words = heading in TEXTS
        rule = "-" * width if words else "-" * (width - 1) + ":"
        its = [heading, rule, *others]
        columns.append([one.ljust(width) if words else one.rjust(width) for one in its])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def cells(outcome: Outcome) -> list[str]:
    """Return a line of the main table."""
    asked = ASKED[outcome.name]
    ours, spark = outcome.sides[OURS], outcome.sides[SPARK]
    sides = (ours, spark)
    return [
        outcome.name,
        asked.says,
        _size(outcome),
        *map(_seconds, sides),
        f"{outcome.ratio():.2f}",
        _form(asked.target, ".2f"),
        _form(ours.passes, "d"),
        " / ".join(_form(side.iterations, "d") for side in sides),
        _form(ours.objective, ".8f"),
        _form(outcome.gap(OURS), "+.1e"),
        " / ".join(_form(side.gigabytes, ".1f") for side in sides),
    ]


def _size(outcome: Outcome) -> str:
    return f"{outcome.rows:,} × {outcome.features:,}"


def _seconds(side: Side) -> str:
    return _form(side.median(), ".3g", side.note)


def _form(value: float | None, form: str, otherwise: str = "") -> str:
    return otherwise or NONE if value is None else format(value, form)


def write_page(outcomes: Sequence[Outcome], root: Path) -> Path:
    """Write the latest outcome of each workload into the page and its picture.

    The page in docs/ is written only with all workloads at full scale, else one in build/.
    """
    latest = {one.name: one for one in outcomes}
    shown = [latest[name] for name in ASKED if name in latest]
    whole = len(shown) == len(ASKED) and all(one.scale == 1 for one in shown)
    docs = root / "docs"
    page = (docs if whole else root / "build") / "benchmarks.md"
    before, rest = (docs / "benchmarks.md").read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    page.write_text(f"{before}{START}{_measured(shown)}{END}{after}", encoding="utf-8")
    draw(shown, page.with_name("speed.png"))
    return page


def _measured(outcomes: Sequence[Outcome]) -> str:
    state = f"{len(outcomes)} of {len(ASKED)} workloads measured"
    if any(one.scale != 1 for one in outcomes):
        state += f", with {outcomes[0].scale:g} times the rows: too few to compare speeds"
    machine = "\n".join(f"- {name}: {value}" for name, value in outcomes[-1].machine.items())
    return f"{state}.\n\n{tables(outcomes)}\n\n{machine}\n"


def bars_of(outcomes: Sequence[Outcome]) -> list[tuple[float, str]]:
    """Return ratio and label of each workload with Spark's own as rival, smallest ratio first."""
    return sorted(
        (one.ratio(), f"{asked.says}  ·  {_thousands(one.rows)} × {one.features:,}")
        for one in outcomes
        if (asked := ASKED[one.name]).kind not in AGAINST_OURS
    )


def _thousands(rows: int) -> str:
    return f"{rows / 1000:,.0f}k" if rows >= 1000 else str(rows)


def draw(outcomes: Sequence[Outcome], file: Path) -> None:
    """Draw one bar per workload that was measured with Spark's own as rival."""
    bars = bars_of(outcomes)
    ratios = [ratio for ratio, _ in bars]
    # A bare Figure draws with Agg: it needs no display and sets no backend for the process.
    figure = Figure(figsize=(WIDTH, AROUND + BAR * max(1, len(bars))), layout="constrained")
    axes = figure.add_subplot()
    colors = [FASTER if ratio <= 1 else SLOWER for ratio in ratios]
    drawn = axes.barh(range(len(bars)), ratios, color=colors, height=0.68, zorder=2)
    axes.bar_label(drawn, fmt="%.2f", padding=4, color=DARK, fontsize=9)
    axes.set_yticks(range(len(bars)), [label for _, label in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.axvline(1.0, color=DARK, linewidth=1.2, zorder=3)
    axes.text(1.0, -0.7, "Spark's own", ha="center", color=DARK, fontsize=9)
    axes.set_xlim(0, 1.15 * max([1.0, *ratios]))
    axes.set_xlabel("time of sparklr, divided by Spark's", color=DARK, fontsize=9)
    axes.tick_params(colors=DARK, length=0, labelsize=9)
    axes.grid(axis="x", color=RULE, linewidth=0.8, zorder=0)
    axes.spines[:].set_visible(False)
    figure.savefig(file, dpi=130)
