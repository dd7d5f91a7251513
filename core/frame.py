"""Rows as a pandas.DataFrame. pandas is no requirement: it is imported when a frame is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spikeplan.core.errors import UserError


def frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A pandas.DataFrame with a column a key. Raises UserError where pandas is missing."""
    try:
        import pandas
    except ImportError as error:
        raise UserError(f"to_pandas: pandas does not import ({error}); pip install pandas") from error
    return pandas.DataFrame(list(rows))
