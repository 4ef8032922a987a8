"""The references of this folder: python -m tests.posterior.make_references

Means and deviations of each set's posterior by long chains of our own (128 chains of 400
steps), with their Monte-Carlo errors, and of the binary sets by 20,000 steps of
Polya-Gamma Gibbs. A test requires that these agree.
"""

from __future__ import annotations

import json
from pathlib import Path

from sparklr.arrays import Array
from tests.posterior.long_chains import gibbs, own_chains
from tests.posterior.sets import BINARY, SETS

PATH = Path(__file__).parent / "references.json"


def rounded(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def main() -> None:
    references = {}
    for name, make in SETS.items():
        mean, deviation, error = own_chains(make(), chains=128, steps=400, seed=11)
        references[name] = {"mean": mean, "deviation": deviation, "error": error}
        if name in BINARY:
            mean, deviation, error = gibbs(make(), steps=20_000, seed=12)
            references[name]["gibbs"] = {"mean": mean, "deviation": deviation, "error": error}
        print(name, flush=True)
        text = json.dumps(references, default=rounded, indent=1)
        PATH.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
