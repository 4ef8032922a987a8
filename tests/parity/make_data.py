"""Generate the two small data sets behind the reference coefficients.

Writes ``data/binary.csv`` and ``data/multiclass.csv`` next to this script::

    python make_data.py

Each file has 180 rows and the columns ``x1 .. x5, weight, label``:

* the features share a common factor (moderate correlation), have scales from about
  0.05 to 40, and about 40 % of their values are exactly zero, so that the same rows
  make sense as sparse vectors; ``x2`` and ``x5`` are far from having mean zero;
* ``weight`` is one of 0, 0.5, 1, 2 and 3 (a few zeros only);
* ``label`` (0/1, or 0/1/2) is drawn from a logistic or softmax model with small enough
  coefficients that the classes overlap and the unpenalised fit is well defined.

Features are rounded to 4 decimals before the labels are drawn, so the CSV files hold
the values exactly. They are committed: regenerating them is needed only when their
design changes, and the reference numbers have to be regenerated with them.
"""

from pathlib import Path

import numpy as np

N_ROWS = 180
SEED = 20240229
SCALES = np.array([1.0, 40.0, 0.05, 5.0, 0.4])
SHIFTS = np.array([0.0, 1.5, 0.3, -0.5, 2.0])
ZERO_SHARE = 0.4
WEIGHTS = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
WEIGHT_SHARES = np.array([0.04, 0.24, 0.32, 0.24, 0.16])

# Effects per unit of (scaled) feature; the last feature is nearly irrelevant.
BINARY_EFFECTS = np.array([0.9, -0.6, 0.5, 0.4, 0.05])
BINARY_INTERCEPT = 0.5
MULTICLASS_EFFECTS = np.array(
    [
        [0.8, -0.5, 0.1, 0.5, 0.0],
        [-0.6, 0.4, 0.7, -0.1, 0.05],
        [0.0, 0.1, -0.6, -0.5, 0.0],
    ]
)
MULTICLASS_INTERCEPTS = np.array([0.5, -0.4, 0.2])


def make_features(rng: np.random.Generator) -> np.ndarray:
    """Return correlated features of unequal scale with exact zeros, at 4 decimals."""
    common = rng.normal(size=(N_ROWS, 1))
    own = rng.normal(size=(N_ROWS, SCALES.size))
    dense = (0.8 * common + 0.6 * own + SHIFTS) * SCALES
    is_zero = rng.random(dense.shape) < ZERO_SHARE
    return np.round(np.where(is_zero, 0.0, dense), 4) + 0.0


def draw_labels(rng: np.random.Generator, margins: np.ndarray) -> np.ndarray:
    """Draw one class per row from the softmax of ``margins`` (rows x classes)."""
    probabilities = np.exp(margins - margins.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    below = np.cumsum(probabilities, axis=1) < rng.random((len(margins), 1))
    return np.minimum(below.sum(axis=1), margins.shape[1] - 1)


def write_csv(path: Path, features: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> None:
    """Write one data set; features with 4 decimals, trailing zeros dropped."""
    names = [f"x{j + 1}" for j in range(features.shape[1])]
    lines = [",".join([*names, "weight", "label"])]
    for row, weight, label in zip(features, weights, labels, strict=True):
        values = [np.format_float_positional(v, trim="-") for v in row]
        lines.append(",".join([*values, f"{weight:g}", str(int(label))]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write both data sets."""
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(SEED)

    features = make_features(rng)
    weights = rng.choice(WEIGHTS, size=N_ROWS, p=WEIGHT_SHARES)
    margin = features / SCALES @ BINARY_EFFECTS + BINARY_INTERCEPT
    labels = draw_labels(rng, np.column_stack([np.zeros(N_ROWS), margin]))
    write_csv(folder / "binary.csv", features, weights, labels)

    features = make_features(rng)
    weights = rng.choice(WEIGHTS, size=N_ROWS, p=WEIGHT_SHARES)
    margins = features / SCALES @ MULTICLASS_EFFECTS.T + MULTICLASS_INTERCEPTS
    labels = draw_labels(rng, margins)
    write_csv(folder / "multiclass.csv", features, weights, labels)


if __name__ == "__main__":
    main()
