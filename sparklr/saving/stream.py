"""What a stream has taught, as bytes: in the files of a saved model, and in those of `updates`.

The bytes are arrays in numpy's zip format, one of them the text of a JSON object with the facts.
Nothing is unpickled. A checksum is kept apart from the bytes, so no damage goes unseen.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from zipfile import BadZipFile

import numpy as np
from pyspark.sql import SparkSession

from sparklr.arrays import Array
from sparklr.objective.families import family_named
from sparklr.posterior.stream import StreamState
from sparklr.saving.damage import damage
from sparklr.saving.folders import read_folder
from sparklr.saving.values import (
    as_flag,
    as_number,
    as_string,
    as_text,
    as_whole,
    read_names,
)
from sparklr.spark.types import Json

ARRAYS = ("centre", "deviation", "mean", "precision")


def checksum_of(content: bytes) -> str:
    """Return the checksum of some bytes."""
    return hashlib.sha256(content).hexdigest()


def state_bytes(state: StreamState, **texts: str) -> bytes:
    """Return a state, and texts beside it, as bytes: the same for the same state."""
    facts: Json = {
        "family": state.family.name,
        "classes": state.classes,
        "names": None if state.names is None else list(state.names),
        "intercept": state.intercept,
        "standardized": state.standardized,
        "batches": state.batches,
        "rows": state.rows,
        "lastLoss": as_text(state.last_loss),
        "penalty": state.penalty,
        "weight": state.weight,
        "scored": state.scored,
        "score": state.score,
    }
    written = {"facts": json.dumps(facts), **texts}
    stored = {name: getattr(state, name) for name in ARRAYS}
    stored |= {name: np.frombuffer(text.encode(), np.uint8) for name, text in written.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **stored)
    return buffer.getvalue()


def read_state(content: bytes, checksum: object, where: str) -> tuple[StreamState, dict[str, str]]:
    """Return the state and the texts of `state_bytes`; `where` begins the sentence of an error."""
    if checksum_of(content) != checksum:
        raise ValueError(f"{where} is damaged: its checksum is another.")
    with damage(f"{where} is damaged: ", "."):
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
        except (BadZipFile, EOFError) as reason:
            raise ValueError(str(reason)) from None
        names = [name for name in arrays if name not in ARRAYS]
        texts = {name: arrays.pop(name).tobytes().decode() for name in names}
        return _state(json.loads(texts.pop("facts")), arrays), texts


def _state(facts: Json, arrays: Mapping[str, Array]) -> StreamState:
    features = len(arrays["centre"])
    state = StreamState(
        family=family_named(as_string(facts["family"])),
        classes=as_whole(facts["classes"]),
        names=read_names(facts["names"], features),
        intercept=as_flag(facts["intercept"]),
        standardized=as_flag(facts["standardized"]),
        batches=as_whole(facts["batches"]),
        rows=as_whole(facts["rows"]),
        last_loss=as_number(facts["lastLoss"]),
        penalty=as_number(facts["penalty"]),
        weight=as_number(facts["weight"]),
        scored=as_number(facts["scored"]),
        score=as_number(facts["score"]),
        centre=arrays["centre"],
        deviation=arrays["deviation"],
        mean=arrays["mean"],
        precision=arrays["precision"],
    )
    size = state.margins * (features + state.intercept)
    if state.deviation.shape != (features,) or state.mean.shape != (size,):
        raise ValueError("its arrays do not belong together")
    if state.precision.shape not in ((size,), (size, size)):
        raise ValueError("its precision has another size")
    return state


def write_stream(content: bytes, path: str, session: SparkSession) -> None:
    """Write the bytes of a state beside the metadata of a model."""
    frame = session.createDataFrame([(bytearray(content),)], "state binary")
    frame.coalesce(1).write.parquet(f"{path}/stream")


def read_stream(checksum: str, path: str, session: SparkSession) -> StreamState:
    """Return the state that `write_stream` wrote; the metadata have its checksum."""
    where = f"{path}/stream"
    table = read_folder(where, "state binary", session)
    rows = table["state"].to_pylist()
    if len(rows) != 1 or rows[0] is None:
        raise ValueError(f"'{where}' does not have one row: it is damaged. Save the model again.")
    return read_state(rows[0], checksum, f"'{where}'")[0]
