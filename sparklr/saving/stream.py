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
from sparklr.batches.descent import DescentState
from sparklr.batches.facts import StreamFacts
from sparklr.batches.normal import NormalState
from sparklr.objective.families import family_named
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

# The states by the names of their kinds; the first is that of files without a name.
KINDS: dict[str, type[StreamFacts]] = {"normal": NormalState, "descent": DescentState}
UNITS = ("centre", "deviation")
ARRAYS = {
    "normal": (*UNITS, "mean", "precision"),
    "descent": (*UNITS, "reach", "rates", "scores", "points", "squares"),
}


def checksum_of(content: bytes) -> str:
    """Return the checksum of some bytes."""
    return hashlib.sha256(content).hexdigest()


def state_bytes(state: StreamFacts, **texts: str) -> bytes:
    """Return a state, and texts beside it, as bytes: the same for the same state."""
    kind = next(name for name, its in KINDS.items() if isinstance(state, its))
    facts: Json = {
        "kind": kind,
        "family": state.family.name,
        "classes": state.classes,
        "names": None if state.names is None else list(state.names),
        "intercept": state.intercept,
        "standardized": state.standardized,
        "batches": state.batches,
        "rows": state.rows,
        "lastLoss": as_text(state.last_loss),
        "weight": state.weight,
        "scored": state.scored,
        "score": state.score,
        **_own_facts(state),
    }
    written = {"facts": json.dumps(facts), **texts}
    stored = {name: getattr(state, name) for name in ARRAYS[kind]}
    stored |= {name: np.frombuffer(text.encode(), np.uint8) for name, text in written.items()}
    buffer = io.BytesIO()
    # Words that no row has had yet are zeros; a matrix of precisions would not become smaller.
    save = np.savez_compressed if kind == "descent" else np.savez
    save(buffer, **stored)
    return buffer.getvalue()


def read_state(content: bytes, checksum: object, where: str) -> tuple[StreamFacts, dict[str, str]]:
    """Return the state and the texts of `state_bytes`; `where` begins the sentence of an error."""
    if checksum_of(content) != checksum:
        raise ValueError(f"{where} is damaged: its checksum is another.")
    with damage(f"{where} is damaged: ", "."):
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
        except (BadZipFile, EOFError) as reason:
            raise ValueError(str(reason)) from None
        names = [name for name, its in arrays.items() if its.dtype == np.uint8]
        texts = {name: arrays.pop(name).tobytes().decode() for name in names}
        return _state(json.loads(texts.pop("facts")), arrays), texts


def _own_facts(state: StreamFacts) -> Json:
    """Return the facts that states of other kinds do not have."""
    if isinstance(state, DescentState):
        return {name: getattr(state, name) for name in ("sparse", "adagrad", "unit", "waiting")}
    return {"penalty": state.penalty} if isinstance(state, NormalState) else {}


def _state(facts: Json, arrays: Mapping[str, Array]) -> StreamFacts:
    kind = as_string(facts.get("kind", "normal"))
    features = len(arrays["centre"])
    if kind not in KINDS or set(arrays) != set(ARRAYS[kind]):
        raise ValueError("its arrays do not belong together")
    known: Json = {
        "family": family_named(as_string(facts["family"])),
        "classes": as_whole(facts["classes"]),
        "names": read_names(facts["names"], features),
        "intercept": as_flag(facts["intercept"]),
        "standardized": as_flag(facts["standardized"]),
        "batches": as_whole(facts["batches"]),
        "rows": as_whole(facts["rows"]),
        "last_loss": as_number(facts["lastLoss"]),
        "weight": as_number(facts["weight"]),
        "scored": as_number(facts["scored"]),
        "score": as_number(facts["score"]),
    }
    if kind == "normal":
        known["penalty"] = as_number(facts["penalty"])
    else:
        known |= {name: as_flag(facts[name]) for name in ("sparse", "adagrad")}
        known |= {"unit": as_number(facts["unit"]), "waiting": as_whole(facts["waiting"])}
    state = KINDS[kind](**(known | dict(arrays)))
    state.check()
    return state


def write_stream(content: bytes, path: str, session: SparkSession) -> None:
    """Write the bytes of a state beside the metadata of a model."""
    frame = session.createDataFrame([(bytearray(content),)], "state binary")
    frame.coalesce(1).write.parquet(f"{path}/stream")


def read_stream(checksum: str, path: str, session: SparkSession) -> StreamFacts:
    """Return the state that `write_stream` wrote; the metadata have its checksum."""
    where = f"{path}/stream"
    table = read_folder(where, "state binary", session)
    rows = table["state"].to_pylist()
    if len(rows) != 1 or rows[0] is None:
        raise ValueError(f"'{where}' does not have one row: it is damaged. Save the model again.")
    return read_state(rows[0], checksum, f"'{where}'")[0]
