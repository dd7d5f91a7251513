"""`--rate` and `--systems` of every command that prices whole systems."""

from __future__ import annotations

from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.energy.systems import System, pick_systems


def rates_of(text: str) -> list[float]:
    """Raises UserError for what is no number."""
    try:
        return [float(one) for one in text.split(",")]
    except ValueError as error:
        raise UserError(f"--rate {text}: not a number; write 1,10,50") from error


def systems_of(names: str | None, own: str | None) -> dict[str, System]:
    """Those that are named, else all there are, the user's own among them."""
    return pick_systems(None if names is None else names.split(","), own=None if own is None else Path(own))
