"""Saved networks: metadata as JSON, and a row of numbers in Parquet; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from pyspark.ml.param import Params
from pyspark.ml.util import MLReadable, MLReader
from pyspark.sql.types import (
    ArrayType,
    DoubleType,
    IntegerType,
    StringType,
    StructField,
    StructType,
)

from sparklr.mean_field.scorer import Network
from sparklr.saving.damage import damage
from sparklr.saving.files import (
    OverwritingWriter,
    check_header,
    read_metadata,
    set_params,
    write_metadata,
)
from sparklr.saving.values import read_names
from sparklr.spark.refusals import REFUSALS, first_line

T = TypeVar("T", bound=MLReadable[Any])

NUMBERS = ArrayType(DoubleType(), False)
DATA = StructType(
    [
        StructField("numNeurons", IntegerType()),
        StructField("numFeatures", IntegerType()),
        StructField("outputScale", DoubleType()),
        StructField("weights", NUMBERS),
        StructField("biases", NUMBERS),
        StructField("featureNames", ArrayType(StringType(), False)),
    ]
)


class NetworkWriter(OverwritingWriter):
    """A writer of a model: its Params and its network."""

    def __init__(self, instance: Params, network: Network) -> None:
        super().__init__()
        self._instance, self._network = instance, network

    def saveImpl(self, path: str) -> None:
        """Write metadata and data; `save` calls this after it has removed files to overwrite."""
        network, session = self._network, self.sparkSession
        write_metadata(self._instance, path, session)
        row = (
            len(network.biases),
            network.features,
            network.scale,
            network.weights.ravel().tolist(),
            network.biases.tolist(),
            None if network.names is None else list(network.names),
        )
        session.createDataFrame([row], DATA).coalesce(1).write.parquet(f"{path}/data")


class NetworkReader(MLReader[T]):
    """Reads what `NetworkWriter` wrote: `make` gives the model of the network."""

    def __init__(self, kind: type[T], make: Callable[[Network], T]) -> None:
        super().__init__()
        self._kind, self._make = kind, make

    def load(self, path: str) -> T:
        """Return the model saved at `path`, without a summary."""
        metadata = read_metadata(path, self.sparkSession)
        check_header(metadata, self._kind, f"'{path}'")
        model = self._make(self._network(path))
        set_params(cast(Params, model), metadata, path)
        return model

    def _network(self, path: str) -> Network:
        try:
            rows = self.sparkSession.read.parquet(f"{path}/data").take(2)
        except REFUSALS as reason:
            raise ValueError(
                f"'{path}/data' cannot be read: {first_line(reason).rstrip('.')}. The model is not "
                "complete: save it again."
            ) from None
        with damage(f"The numbers in '{path}/data' are damaged: "):
            (row,) = rows
            shape = row["numNeurons"], row["numFeatures"]
            weights = np.array(row["weights"], dtype=np.float64).reshape(shape)
            biases = np.array(row["biases"], dtype=np.float64)
            if biases.shape != shape[:1] or not shape[0] > 0:
                raise ValueError(f"there are {len(biases)} biases for {shape[0]} neurons")
            if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
                raise ValueError("weights and biases must be finite")
            names = read_names(row["featureNames"], shape[1])
            return Network(weights, biases, float(row["outputScale"]), names)
