"""What was measured, as it is kept in a JSON file between workloads."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.judge import relative_gap
from benchmarks.memory import Peak

ROOT = Path(__file__).resolve().parents[1]
# What the results depend on: after a change here, they are measured again.
SOURCES = ("sparklr/**/*.py", "benchmarks/data.py", "benchmarks/workloads.py")


@dataclass
class Side:
    """What one rival took and found; what does not apply to it is None."""

    seconds: list[float] = field(default_factory=list)
    iterations: int | None = None
    passes: int | None = None
    objective: float | None = None
    peak: Peak | None = None
    note: str = ""

    @property
    def median(self) -> float | None:
        """The median of the seconds."""
        return statistics.median(self.seconds) if self.seconds else None


@dataclass
class Outcome:
    """A measured workload."""

    name: str
    says: str
    rows: int
    features: int
    target: float | None
    ours: Side
    spark: Side
    sklearn: Side
    version: str = ""

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring runs: what slows a pair down slows both."""
        pairs = zip(self.ours.seconds, self.spark.seconds, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def gap(self, side: Side) -> float | None:
        """By which share of the objective of Spark's model a rival's is worse."""
        if side.objective is None or self.spark.objective is None:
            return None
        return relative_gap(side.objective, self.spark.objective)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Outcome:
        """From what `asdict` made."""
        sides = {name: _side(kept[name]) for name in ("ours", "spark", "sklearn")}
        return cls(**{**kept, **sides})


def _side(kept: dict[str, Any]) -> Side:
    peak = kept["peak"]
    return Side(**{**kept, "peak": None if peak is None else Peak(**peak)})


@dataclass
class Record:
    """All outcomes so far, and where they were got."""

    file: Path
    scale: float
    machine: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path, scale: float) -> Record:
        """What the file holds; an empty record if there is none, or of another scale."""
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["scale"] == scale:
                outcomes = {name: Outcome.of(its) for name, its in kept["outcomes"].items()}
                return cls(file, scale, kept["machine"], outcomes)
        return cls(file, scale)

    def save(self) -> None:
        """Write the file in one go: an interrupted run leaves the last whole one."""
        kept = {
            "scale": self.scale,
            "machine": self.machine,
            "outcomes": {name: asdict(its) for name, its in self.outcomes.items()},
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        half = self.file.with_suffix(".half")
        half.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        os.replace(half, self.file)


def source_version() -> str:
    """A fingerprint of the sources that results depend on."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for file in sorted(ROOT.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
