"""The text of the API reference: what Params and members a class has, without Sphinx.

The Params' meanings, defaults and ranges are read from the code, so they cannot differ from it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.ml.param import Param, Params

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
    "identity": "an object",
}
NOT_SET = "not set"


@dataclass(frozen=True)
class ParamRow:
    """A row of a table of Params."""

    name: str
    meaning: str
    default: str
    range: str


def param_rows(owner: Params) -> list[ParamRow]:
    """Return a row per Param of an estimator, model or validator, by name."""
    return [_param_row(owner, getattr(owner, name)) for name in param_names(type(owner))]


def param_names(kind: type) -> list[str]:
    """Return the names of a class's Params; `Params.params` would read a model's properties."""
    return sorted(name for name in dir(kind) if isinstance(getattr(kind, name, None), Param))


def _param_row(owner: Params, param: Param[Any]) -> ParamRow:
    default = NOT_SET
    if owner.hasDefault(param):
        value = owner._defaultParamMap[param]
        default = f"``{value!r}``" if value != "" else '``""``'
    meaning = " ".join(param.doc.split())
    meaning = meaning[0].upper() + meaning[1:]
    return ParamRow(
        param.name,
        meaning if meaning.endswith(".") else f"{meaning}.",
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
    fields = {it.name for it in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
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
            if not homes[it].startswith("sparklr") and it not in of_params
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
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 22 46 12 20", "   :class: params"]
    lines += ["", "   * - Param", "     - meaning", "     - default", "     - range"]
    for row in rows:
        target = f".. _{anchors}{row.name}:" if anchors else ""
        lines += [f"   * - {target}", "", f"       ``{row.name}``"] if target else [
            f"   * - ``{row.name}``"
        ]
        lines += [f"     - {_escaped(row.meaning)}", f"     - {row.default}"]
        lines += [f"     - {_escaped(row.range)}"]
    return [*lines, ""]


def class_text(path: str, kind: type, owner: Params | None) -> list[str]:
    """Return the entry of a class in reStructuredText: docstring, Params, members.

    path : the name that a user imports
    owner : an instance, if the class has Params
    """
    members = members_of(kind)
    lines = [f".. autoclass:: {path}"]
    if members.own:
        lines += [f"   :members: {', '.join(members.own)}", "   :inherited-members:"]
        lines += ["   :member-order: bysource", "   :undoc-members:"]
    lines += [""]
    if owner is not None:
        lines += [".. rubric:: Params", "", *param_table(param_rows(owner))]
        lines += ["Setters and getters of the Params: ", ""]
        lines += [", ".join(f"``{name}``" for name in members.accessors) + ".", ""]
    if members.of_spark:
        lines += [".. rubric:: Inherited from Spark", "", ".. list-table::", "   :widths: 30 70", ""]
        for name, sentence in members.of_spark:
            lines += [f"   * - ``{name}``", f"     - {sentence}"]
        lines += [""]
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("`", "\\`").replace("|", "\\|")
