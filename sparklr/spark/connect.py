"""All code that is specific to Spark Connect.

gRPC is imported here only after a session of Spark Connect was found, which needs it anyway.
"""

from __future__ import annotations

import re
from typing import Any

from pyspark.sql import SparkSession


def is_remote(session: object) -> bool:
    """Whether this is a session of Spark Connect, or of a platform's subclass of it."""
    return any(cls.__module__.startswith("pyspark.sql.connect") for cls in type(session).__mro__)


def parallelism(session: SparkSession) -> int | None:
    """Return how many tasks can run at once, from the settings; None if these do not have it."""
    told = session.conf.get("spark.default.parallelism", None)
    local = re.fullmatch(r"local\[(\d+)(,.*)?\]", session.conf.get("spark.master", None) or "")
    return int(told or (local[1] if local else 0)) or None


def remove_path(session: SparkSession, path: str) -> None:
    """Remove a path from the server's file systems, if it exists."""
    import pyspark.sql.connect.proto as messages
    from pyspark.ml.connect.serialize import serialize
    from pyspark.ml.util import ML_CONNECT_HELPER_ID

    # Spark's own `invoke_helper_attr` would use the session that is active in this thread.
    client: Any = session.client
    method = messages.Fetch.Method(method="handleOverwrite", args=serialize(client, path, True))
    helper = messages.ObjectRef(id=ML_CONNECT_HELPER_ID)
    command = messages.Command()
    command.ml_command.fetch.CopyFrom(messages.Fetch(obj_ref=helper, methods=[method]))
    client.execute_command(command)
