"""What the articles behind the project state (`claims.toml`), beside the sourced figures it is checked with.

The file obeys the catalogue's rule: no figure and no claim without a source. Recomputing needs the networks of other rooms and
is done in `spikeplan.experiments.claims.recompute`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.energy.schema import Figure, figures_of

PATH = Path(__file__).with_name("claims.toml")
KEYS = {"claim", "stated", "unit", "source"}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`stated` in `unit`, both as the article has them."""

    claim: str
    stated: float
    unit: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Claims:
    claims: Mapping[str, Claim]
    figures: Mapping[str, Figure]


def load_claims(path: Path = PATH) -> Claims:
    """Read and validate the file; anything amiss is a UserError that names file and entry."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the claims ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not a TOML file ({error})") from error
    extra = set(raw) - {"claims", "figures"}
    if extra or not isinstance(raw.get("claims"), dict):
        raise UserError(
            f"{path}: has tables {', '.join(sorted(raw)) or 'none'}; expected [claims.NAME], [figures.NAME]"
        )
    try:
        return Claims(
            claims={name: _claim(f"claims.{name}", entry) for name, entry in raw["claims"].items()},
            figures=figures_of("figures", raw.get("figures", {})),
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _claim(where: str, entry: object) -> Claim:
    if not isinstance(entry, dict) or set(entry) != KEYS:
        found = ", ".join(sorted(entry)) if isinstance(entry, dict) else repr(entry)
        raise UserError(f"{where} has {found}; a claim has exactly {', '.join(sorted(KEYS))}")
    for key in ("claim", "unit", "source"):
        if not (isinstance(entry[key], str) and entry[key].strip()):
            raise UserError(f"{where}: {key} is {entry[key]!r}; no claim ships without its text, unit and source")
    stated = entry["stated"]
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not math.isfinite(stated) or stated <= 0:
        raise UserError(f"{where}: stated {stated!r} must be a finite number > 0")
    return Claim(claim=entry["claim"], stated=float(stated), unit=entry["unit"], source=entry["source"])
