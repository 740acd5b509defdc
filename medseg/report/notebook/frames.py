"""Rows as pandas tables; pandas is imported when the first one is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medseg.ops.scoring.rows import columns
from medseg.report.scores import TEXTS
from medseg.values.error import Refusal

if TYPE_CHECKING:
    from pandas import DataFrame

COUNTS = ("lesions_truth", "lesions_found", "false_lesions")


def frame(rows: Iterable[Mapping[str, Any]], names: Sequence[str] | None = None) -> DataFrame:
    """Make a table of rows, with the columns `names` also where there is no row; refuses where pandas is missing."""
    try:
        import pandas
    except ImportError:
        rule = "tables for Python need the package pandas"
        raise Refusal("pandas", rule, "none is installed", "pip install 'medseg[notebooks]'") from None
    return pandas.DataFrame(list(rows), columns=list(names) if names is not None else None)


def scores_frame(rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Make the table of scores.csv: texts, whole numbers that may be missing, and floats, NaN where undefined."""
    made = frame(rows, columns)
    kinds = {name: "Int64" if name in COUNTS else "float64" for name in columns if name not in TEXTS}
    return made.astype(kinds)
