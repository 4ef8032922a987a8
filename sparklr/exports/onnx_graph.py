"""A model as a graph of ONNX, written by hand from few operators that every runtime has.

    features (n, p) ─ MatMul ─ Add ─ margin (n, C) ─┬─ Sigmoid or Softmax ─ probability (n, K)
                                                    └─ Greater or ArgMax ── prediction (n,)

The set of operators is that of opset 13 (2020), the first in which Softmax has its present meaning.
Of sparse coefficients only the columns that count are gathered, so others may hold NaN.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from sparklr.arrays import Array, is_sparse
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.matrices import stored_matrix

Onnx: TypeAlias = Any  # of the package, which has no types: the module, and what it makes

OPSET, IR_VERSION = 13, 7
FEATURES, OFFSET = "features", "offset"


def onnx_model(
    numbers: ModelNumbers,
    thresholds: tuple[float, ...] | None,
    *,
    offset: bool,
    double: bool,
    facts: dict[str, object],
) -> Onnx:
    """Return the `onnx.ModelProto` of a model.

    offset : whether there is an input of offsets
    double : whether numbers have 64 bits, else 32
    facts : kept as the metadata of the file, as JSON
    """
    try:
        import onnx
    except ImportError:
        raise ModuleNotFoundError("toOnnx needs onnx. Install it: pip install onnx.") from None
    _check(numbers)
    graph = _Graph(onnx, np.dtype(np.float64 if double else np.float32))
    margins = _margins(graph, numbers, offset=offset)
    many = numbers.family.per_class
    (_several if many else _single)(graph, margins, thresholds)
    inputs = {FEATURES: numbers.features, **({OFFSET: 1} if offset else {})}
    count = len(numbers.arrays[1])
    made = graph.model(inputs, {"margin": count, "probability": count if many else 2})
    for key, value in facts.items():
        made.metadata_props.add(key=key, value=json.dumps(value))
    onnx.checker.check_model(made)
    return made


def _check(numbers: ModelNumbers) -> None:
    if numbers.family.per_class and not np.isfinite(numbers.arrays[1]).all():
        raise ValueError(
            "toOnnx: this model was fitted on one label alone, so one of its intercepts is "
            "infinite, and a softmax of that is not a number. Its prediction is always that label."
        )


@dataclass
class _Graph:
    """A graph as it grows: nodes and constants."""

    onnx: Onnx
    dtype: np.dtype[np.floating]
    nodes: list[Onnx] = field(default_factory=list)
    constants: list[Onnx] = field(default_factory=list)

    def constant(self, name: str, values: object, *, whole: bool = False) -> str:
        array = np.asarray(values, dtype=np.int64 if whole else self.dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, name: str, **attributes: object) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def model(self, inputs: dict[str, int], outputs: dict[str, int]) -> Onnx:
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        kind = kinds.DOUBLE if self.dtype == np.float64 else kinds.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "sparklr",
            [helper.make_tensor_value_info(its, kind, ["n", k]) for its, k in inputs.items()],
            [
                *(helper.make_tensor_value_info(its, kind, ["n", k]) for its, k in outputs.items()),
                helper.make_tensor_value_info("prediction", kinds.INT64, ["n"]),
            ],
            self.constants,
        )
        return helper.make_model(
            graph,
            producer_name="sparklr",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )


def _margins(graph: _Graph, numbers: ModelNumbers, *, offset: bool) -> str:
    coefficients, intercepts = numbers.arrays
    given = FEATURES
    if is_sparse(stored_matrix(numbers.coefficients)):
        used = np.flatnonzero(coefficients.any(axis=0))
        if len(used) == 0:
            used = np.zeros(1, dtype=np.int64)  # for a graph needs a column to multiply
        places = graph.constant("used", used, whole=True)
        given = graph.add("Gather", FEATURES, places, name="gathered", axis=1)
        coefficients = coefficients[:, used]
    product = graph.add("MatMul", given, graph.constant("coefficients", coefficients.T), name="xb")
    name = "without_offset" if offset else "margin"
    margins = graph.add("Add", product, graph.constant("intercepts", intercepts), name=name)
    return graph.add("Add", margins, OFFSET, name="margin") if offset else margins


def _single(graph: _Graph, margin: str, thresholds: tuple[float, ...] | None) -> None:
    """Add [sigmoid(-m), 1 - sigmoid(-m)], and m > log(t / (1 - t))."""
    zero = graph.add("Sigmoid", graph.add("Neg", margin, name="minus"), name="zero")
    one = graph.add("Sub", graph.constant("whole", 1.0), zero, name="one")
    graph.add("Concat", zero, one, name="probability", axis=1)
    threshold = 0.5 if thresholds is None else thresholds[0]
    with np.errstate(divide="ignore"):
        cut = graph.constant("cut", np.log(np.divide(threshold, 1.0 - threshold)))
    above = graph.add("Greater", margin, cut, name="above")
    column = graph.add("Cast", above, name="column", to=graph.onnx.TensorProto.INT64)
    graph.add("Reshape", column, graph.constant("rows", [-1], whole=True), name="prediction")


def _several(graph: _Graph, margins: str, thresholds: tuple[float, ...] | None) -> None:
    """Add what follows from a margin per label: softmax(m), and the largest p_k / t_k.

    That is the largest m_k - log t_k.
    """
    graph.add("Softmax", margins, name="probability", axis=1)
    if thresholds is not None:
        margins = graph.add(
            "Add", margins, graph.constant("shifts", _shifts(thresholds)), name="moved"
        )
    graph.add("ArgMax", margins, name="prediction", axis=1, keepdims=0)


def _shifts(thresholds: tuple[float, ...]) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(np.array(thresholds)))
