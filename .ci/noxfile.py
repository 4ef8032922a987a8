"""The tests on every line of Spark and every Python that it runs on.

    nox -f .ci/noxfile.py --list           what there is
    nox -f .ci/noxfile.py -t spark-3.5     one line, on every Python at hand
    nox -f .ci/noxfile.py -p 3.12          one Python, with every line
    nox -f .ci/noxfile.py -- --record      all, with the results in docs/compatibility.md
    nox -f .ci/noxfile.py -- tests         all tests, not just those that meet Spark
    nox -f .ci/noxfile.py -- --connect     those that a client of Spark Connect runs

An interpreter that the machine lacks is skipped, and named in the list of results at the end.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parents[1]

nox.needs_version = ">=2024.10.9"
nox.options.envdir = str(ROOT / ".nox")
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

# How rows and arrays are scored. Metrics of the scores are mathematics in numpy.
SCORING = tuple(f"tests/scoring/test_{it}.py" for it in ("arrays", "outputs", "thresholds", "ways"))
# What every change is tested with on the oldest line: a fit, its model, and both saved and read.
CONTRACT = (
    "tests/fitting/test_fit_multiple.py",
    "tests/passes/test_contract.py",
    "tests/saving",
    *SCORING,
    "tests/test_estimator.py",
    "tests/test_model.py",
)
# All that meets Spark itself, and the parity suite against Spark's own estimator. What is left out
# is mathematics in numpy, or takes long and asks Spark for nothing new.
CONTRACT_AND_PARITY = (
    "tests/fitting/test_fit_multiple.py",
    "tests/packing",
    "tests/params/test_params.py",
    "tests/parity/test_introspection.py",
    "tests/parity/test_live_models.py",
    "tests/parity/test_live_spark.py",
    "tests/passes",
    "tests/rows/test_arrow.py",
    "tests/saving",
    *SCORING,
    "tests/search",
    "tests/spark/test_private_session.py",
    "tests/test_cleanup.py",
    "tests/test_estimator.py",
    "tests/test_model.py",
    "tests/test_summary.py",
    "tests/test_summary_rows.py",
)


@dataclass(frozen=True)
class Line:
    """A minor line of Spark: the Pythons it runs on, and what it must be installed with."""

    pythons: tuple[str, ...]
    oldest: tuple[str, ...]  # on the first Python: the least that pyspark and sparklr allow
    newest: tuple[str, ...] = ()  # on the others: what to stay below


# pyspark does not pin its companions: the bounds are those of its own metadata and of ours.
LINES = {
    "3.5": Line(
        ("3.10", "3.11", "3.12"),
        ("numpy==1.24.*", "scipy==1.10.*", "pandas==2.0.*", "pyarrow==15.*"),
        # pyarrow 26 imports nothing without numpy 2, and does not say so in its metadata.
        ("numpy<2", "pyarrow<26"),
    ),
    "4.0": Line(
        ("3.10", "3.11", "3.12", "3.13"),
        ("numpy==1.24.*", "scipy==1.10.*", "pandas==2.0.*", "pyarrow==15.*"),
    ),
    "4.1": Line(
        ("3.10", "3.11", "3.12", "3.13"),
        ("numpy==1.24.*", "scipy==1.10.*", "pandas==2.2.*", "pyarrow==15.*"),
    ),
    "4.2": Line(
        ("3.10", "3.11", "3.12", "3.13"),
        ("numpy==1.24.*", "scipy==1.10.*", "pandas==2.2.*", "pyarrow==18.*"),
    ),
    "4.3": Line(
        ("3.10", "3.11", "3.12", "3.13"),
        ("numpy==1.24.*", "scipy==1.10.*", "pandas==2.2.*", "pyarrow==18.*"),
    ),
}
COMBINATIONS = [
    nox.param(python, line, tags=[f"spark-{line}"])
    for line, its in LINES.items()
    for python in its.pythons
]


@nox.session
@nox.parametrize("python,spark", COMBINATIONS)
def tests(session: nox.Session, spark: str) -> None:
    """Contract and parity, or the tests that are named; `--record` notes the result."""
    record, remote = ("--record" in session.posargs, "--connect" in session.posargs)
    named = [each for each in session.posargs if each not in ("--record", "--connect")]
    line = LINES[spark]
    companions = line.oldest if session.python == line.pythons[0] else line.newest
    session.chdir(ROOT)
    session.install("--upgrade", "pip>=25.1")  # the first that knows groups
    session.install(f"pyspark=={spark}.*", *companions, "--editable", ".", "--group", "test")

    # Driver and workers must run the same Python, and SPARK_HOME would be another Spark's.
    python = str(Path(session.bin) / "python")
    here = {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python, "SPARK_HOME": None}
    report = Path(session.create_tmp()) / "report.xml"
    report.unlink(missing_ok=True)
    runner, chosen = ["pytest"], named or CONTRACT_AND_PARITY
    if remote:
        runner, chosen = ["tests.connect.client", "-m", "connect and not classic"], named
    command = ["python", "-m", *runner, f"--junitxml={report}", *chosen]
    # With 1 some tests failed, which the record is to say; it fails then, and so does the session.
    session.run(*command, env=here, success_codes=[0, 1] if record else [0])
    if record:
        suite = " ".join(named) or ("Spark Connect" if remote else "contract and parity")
        session.run("python", ".ci/compatibility.py", str(report), suite)


@nox.session(python=False)
def ci(session: nox.Session) -> None:
    """The contract on the oldest line, by the running Python where it can."""
    spark = min(LINES)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = here if here in LINES[spark].pythons else "3.11"
    session.notify(f"tests(python='{python}', spark='{spark}')", posargs=CONTRACT)
