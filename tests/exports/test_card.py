"""The model card: what it says, and the pictures it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.display.tables import Page, Table
from tests.made_models import fitted_model, several_models, training


def headings(card: str) -> list[str]:
    return [line.lstrip("# ") for line in card.splitlines() if line.startswith("#")]


def test_a_page_in_markdown_has_its_facts_tables_and_notes() -> None:
    table = Table("Of a|b", ("name", "value"), (("x_1", "2.0"), "... 3 more ...", ("<y>", "-")))
    page = Page("left out", (("rows", "5"),), (table,), ("a *note*",))
    assert page.markdown() == (
        "|  |  |\n| :--- | :--- |\n| rows | 5 |\n\n"
        "**Of a\\|b**\n\n"
        "| name | value |\n| :--- | ---: |\n| x\\_1 | 2.0 |\n| ... 3 more ... |  |\n"
        "| &lt;y> | - |\n\n"
        "a \\*note\\*"
    )


def test_the_card_of_a_model_alone_has_what_is_known_of_it() -> None:
    card = several_models()["binary"].card()
    assert headings(card) == [
        "Logistic regression, binomial, of 'label'", "Data", "Fit", "Coefficients",
        "Params that were set", "Versions",
    ]  # fmt: skip
    assert "| x1 | -1.2500 | 0.2865 |" in card
    assert "| threshold | 0.3, for label 1 |" in card
    assert "| threshold | 0.3 |" in card
    assert "| sparklr | " in card


def test_a_long_param_is_cut_and_no_param_is_said_to_be_set() -> None:
    card = fitted_model([[1.0] * 60], [0.0], featuresCols=[f"x{at}" for at in range(60)]).card()
    line = next(line for line in card.splitlines() if line.startswith("| featuresCols"))
    assert line.endswith("... |")
    assert len(line) < 130
    assert "None: all have their defaults." in fitted_model([[1.0]], [0.0]).card()


def test_pictures_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is nothing to draw"):
        several_models()["binary"].card(pictures=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_pictures_of_several_labels_are_of_the_coefficients(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    model = fitted_model([[1.0, 0.0], [2.0, 3.0], [6.0, 0.0]], [0.1, 0.2, -0.3])
    from sparklr.exports.card import draw

    paths = draw(training(model), tmp_path / "drawn")
    assert paths == {"Coefficients": f"{tmp_path}/drawn/coefficients.png"}
    assert (tmp_path / "drawn" / "coefficients.png").read_bytes().startswith(b"\x89PNG")


def test_a_card_measures_the_rows_of_the_fit_or_others(spark: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [(float(at % 3 == 0), float(at), float(at % 5)) for at in range(30)]
    frame = spark.createDataFrame(rows, ["label", "dose", "age"])
    model = LogisticRegressionEstimator(featuresCols=["dose", "age"], regParam=0.1).fit(frame)
    card = model.card(pictures=tmp_path)
    assert "Measures on the rows of the fit" in headings(card)
    assert f"| area under ROC | {model.summary.areaUnderROC:.4f} |" in card
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {
        "roc_curve.png", "precision_and_recall.png", "calibration.png", "coefficients.png",
    }  # fmt: skip
    assert all(f"](<{tmp_path}/{name}>)" in card for name in drawn)
    loaded = LogisticRegressionModel.fromJson(model.toJson())
    assert "Measures" not in loaded.card()
    assert "area under ROC" in loaded.card()  # which was read above, before it was written
    assert "Measures on other rows" in headings(loaded.card(frame))
