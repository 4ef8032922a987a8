"""The text of the API reference: what Params and members a class has, without Sphinx.

The Params' meanings, defaults and ranges are read from the code, so they cannot differ from it.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.ml.param import Param, Params
from pyspark.ml.tuning import _ValidatorParams as ValidatorParams

from sparklr.mean_field.params import OWN_RULES, MeanFieldParams
from sparklr.params import RULES

# What a converter accepts, for Params whose rule has no range of its own.
ACCEPTED = {
    "toString": "text",
    "toBoolean": "true or false",
    "toInt": "a whole number",
    "toFloat": "a number",
    "toMatrix": "a Matrix of pyspark.ml.linalg",
    "toVector": "a Vector of pyspark.ml.linalg",
    "toListFloat": "a list of numbers",
    "toListString": "a list of names",
    "as_model": "a model of sparklr or of Spark, or the text of toJson",
}
NOT_SET = "not set"
# Where Spark's own sentence is about its own program, or says no more than the name.
MEANINGS = {
    "aggregationDepth": "The levels in which large partial sums merge on the executors.",
    "collectSubModels": "Whether to keep the models of all folds and maps.",
    "elasticNetParam": "The share a of the L1 term in the penalty: 0 is L2, 1 is L1.",
    "estimator": "The estimator: ours, a Pipeline that ends in ours, or any other.",
    "estimatorParamMaps": "The param maps to try, as ParamGridBuilder makes them.",
    "evaluator": "The evaluator whose metric chooses the map.",
    "featuresCol": "The column of features: a vector, or an array of numbers.",
    "fitIntercept": "Whether to fit an intercept. It is not penalised.",
    "foldCol": "A column of fold numbers from 0; empty to draw the folds.",
    "labelCol": "The column of labels 0, 1, 2, …",
    "maxBlockSizeInMB": "The size of a block of packed rows; 0 means 8 MB.",
    "maxIter": "The largest number of steps of the solver.",
    "numFolds": "The number of folds.",
    "parallelism": "How many evaluations run at once, where an evaluator needs frames.",
    "predictionCol": "The column of predicted labels that transform adds; empty for none.",
    "probabilityCol": "The column of class probabilities that transform adds; empty for none.",
    "rawPredictionCol": "The column of margins that transform adds; empty for none.",
    "regParam": "The strength of the penalty, relative to the mean loss of the rows.",
    "seed": "The seed of random draws.",
    "standardization": "Whether the penalty is on the coefficients of features scaled to unit "
    "standard deviation. Coefficients are in the units of the columns either way.",
    "stepSize": "The size of a step of the particles.",
    "thresholds": "One number per class: the class with the largest probability divided by its "
    "threshold is predicted.",
    "threshold": "Label 1 is predicted where its probability is above this. If thresholds are set "
    "too, they must be [1 - threshold, threshold].",
    "tol": "A fit ends where the decrease that another step promises is below this, as a share of "
    "the objective.",
    "trainRatio": "The share of rows that are fitted; the others are held out.",
    "weightCol": "The column of weights of rows. If it is not set or empty, each row has weight 1.",
}
# Of Spark's validators, which have no rules here.
RANGES = {
    "estimatorParamMaps": "a list of param maps",
    "estimator": "an estimator",
    "evaluator": "an evaluator",
    "numFolds": "2 or more",
    "parallelism": "1 or more",
    "selectionRule": "one of best, 1se",
    "trainRatio": "between 0 and 1",
}


@dataclass(frozen=True)
class ParamRow:
    """A row of a table of Params."""

    name: str
    meaning: str
    default: str
    range: str


def found(path: str) -> Any:
    """Return what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def with_params(kind: type) -> Params | None:
    """Return an instance of a class with Params, without the numbers of a model."""
    if not issubclass(kind, Params):
        return None
    owner = kind.__new__(kind)
    for base in kind.__mro__:  # a model's own __init__ wants coefficients, its Params' do not
        if base.__module__.startswith("sparklr") and base.__name__.endswith("Params"):
            base.__init__(owner)
            return owner
    return kind()


def param_rows(owner: Params) -> list[ParamRow]:
    """Return a row per Param of an estimator, model or validator, by name."""
    return [_param_row(owner, getattr(owner, name)) for name in param_names(type(owner))]


def param_names(kind: type) -> list[str]:
    """Return the names of a class's Params; `Params.params` would read a model's properties."""
    return sorted(name for name in dir(kind) if isinstance(getattr(kind, name, None), Param))


def _param_row(owner: Params, param: Param[Any]) -> ParamRow:
    default = NOT_SET
    if param.name == "seed" and isinstance(owner, ValidatorParams):
        default = "another in each process"  # Spark takes the hash of a name
    elif owner.hasDefault(param):
        value = owner._defaultParamMap[param]
        default = f"``{value!r}``" if value != "" else '``""``'
    meaning = " ".join(MEANINGS.get(param.name, param.doc).split())
    meaning = meaning[0].upper() + meaning[1:]
    return ParamRow(
        param.name,
        meaning if meaning.endswith((".", "…")) else f"{meaning}.",
        default,
        range_of(owner, param),
    )


def range_of(owner: Params, param: Param[Any]) -> str:
    """Return the allowed values of a Param in words: its rule's, else its converter's."""
    allowed = RULES[param.name].range if param.name in RULES else None
    if isinstance(owner, MeanFieldParams) and param.name in OWN_RULES:
        allowed = OWN_RULES[param.name]
    if allowed is not None:
        return allowed.words
    if param.name in RANGES:
        return RANGES[param.name]
    if param.name.endswith("Col"):
        return "the name of a column"
    return ACCEPTED[param.typeConverter.__name__]


@dataclass(frozen=True)
class Members:
    """The public members of a class, by name: its own, those of its Params, and Spark's.

    own : with a page entry each
    accessors : setters and getters of its Params
    of_spark : inherited from pyspark, with the first sentence of each
    """

    own: Sequence[str]
    accessors: Sequence[str]
    of_spark: Sequence[tuple[str, str]]


def members_of(kind: type) -> Members:
    """Return the public members of a class except its Params."""
    fields = set(getattr(kind, "_fields", ()))  # of a named tuple
    if dataclasses.is_dataclass(kind):
        fields = {it.name for it in dataclasses.fields(kind)}
    names = [
        name
        for name in dir(kind)
        if not name.startswith("_")
        and not isinstance(getattr(kind, name, None), Param)
        and name not in fields  # the docstring has them, as attributes
    ]
    homes = {name: _home(kind, name) for name in names}
    of_params = {
        f"{way}{name[0].upper()}{name[1:]}" for name in param_names(kind) for way in ("get", "set")
    }
    return Members(
        own=[it for it in names if homes[it].startswith("sparklr") and it not in of_params],
        accessors=[it for it in names if it in of_params],
        of_spark=[
            (it, first_sentence(getattr(kind, it)))
            for it in names
            if homes[it].startswith("pyspark") and it not in of_params
        ],
    )


def _home(kind: type, name: str) -> str:
    """Return the module of the class that defines a member."""
    return next((base.__module__ for base in kind.__mro__ if name in vars(base)), "sparklr")


def first_sentence(member: Any) -> str:
    """Return the first sentence of a member's docstring, on one line and without markup."""
    text = inspect.getdoc(member) or ""
    text = " ".join(text.split("\n\n")[0].split()).replace("`", "").replace("*", "\\*")
    return text.split(". ")[0].rstrip(".") + "." if text else ""


def marked_up(lines: Sequence[str]) -> list[str]:
    """Return a docstring's lines as reStructuredText.

    An indented formula before the first section becomes a literal block, and a bar, as in |z|, is
    a bar.
    """
    result: list[str] = []
    formula, sections = False, False
    for at, line in enumerate(lines):
        below = lines[at + 1].strip() if at + 1 < len(lines) else ""
        sections = sections or (below != "" and set(below) == {"-"})
        indented = line.startswith("    ") and not sections
        if indented and not formula and not (result and result[-1].strip()):
            result += ["::", ""]
            formula = True
        elif line.strip() and not indented:
            formula = False
        code = formula or line.lstrip().startswith((">>>", "..."))
        result.append(line if code else line.replace("|", "\\|"))
    return result


def param_table(rows: Sequence[ParamRow], *, anchors: str = "") -> list[str]:
    """Return a table of Params in reStructuredText; `anchors` begins the label of each row."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", "   :class: params"]
    lines += ["", "   * - Param", "     - meaning", "     - default", "     - range"]
    for row in rows:
        target = f".. _{anchors}{row.name}:" if anchors else ""
        lines += (
            [f"   * - {target}", "", f"       ``{row.name}``"]
            if target
            else [f"   * - ``{row.name}``"]
        )
        lines += [f"     - {_escaped(row.meaning)}", f"     - {row.default}"]
        lines += [f"     - {_escaped(row.range)}"]
    return [*lines, ""]


def directive_of(kind: type, name: str) -> str:
    """Return autodoc's directive for a member."""
    member = inspect.getattr_static(kind, name)
    return "autoproperty" if isinstance(member, property | cached_property) else "automethod"


def class_text(path: str, kind: type, owner: Params | None) -> list[str]:
    """Return the entry of a class in reStructuredText: docstring, Params, members.

    path : the name that a user imports
    owner : an instance, if the class has Params
    """
    members = members_of(kind)
    lines = [f".. autoclass:: {path}", "   :no-members:", ""]
    for name in members.own:
        lines += [f"   .. {directive_of(kind, name)}:: {path}.{name}", ""]
    if owner is not None:
        lines += [".. rubric:: Params", "", *param_table(param_rows(owner))]
        lines += ["Setters and getters of the Params: ", ""]
        lines += [", ".join(f"``{name}``" for name in members.accessors) + ".", ""]
    if members.of_spark:
        lines += [
            ".. rubric:: Inherited from Spark",
            "",
            ".. list-table::",
            "   :widths: 30 70",
            "",
        ]
        for name, sentence in members.of_spark:
            lines += [f"   * - ``{name}``", f"     - {sentence}"]
        lines += [""]
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("`", "\\`").replace("|", "\\|")
