"""`spikeplan energy claims`: the sums of `spikeplan.experiments.claims.recompute` as a table with its workings, or as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Catalogue, default
from spikeplan.energy.claims import Claims, load_claims
from spikeplan.experiments.claims.basis import Basis
from spikeplan.experiments.claims.recompute import RECKON
from spikeplan.experiments.runner.output import write_report


def check_claims(catalogue: Catalogue | None = None, claims: Claims | None = None) -> list[dict[str, Any]]:
    """One {claim, source, stated, computed, unit, verdict, working} for each claim of the file, in its order."""
    basis = Basis(catalogue or default(), claims or load_claims())
    unknown = basis.claims.claims.keys() ^ RECKON.keys()
    if unknown:
        raise UserError(f"claims.toml and experiments/claims/recompute.py differ in {', '.join(sorted(unknown))}")
    rows = []
    for name, claim in basis.claims.claims.items():
        answer = RECKON[name](claim, basis)
        rows.append(
            {
                "claim": claim.claim,
                "source": claim.source,
                "stated": claim.stated,
                "computed": answer.computed,
                "unit": claim.unit,
                "verdict": answer.verdict,
                "working": answer.working,
            }
        )
    return rows


def claims_command(*, json: str | None, console: Console) -> None:
    rows = check_claims()
    if json is not None:
        write_report(json, rows)
    table = Table("", "claim", "stated", "computed", "unit", "verdict", title="energy claims")
    for i, row in enumerate(rows, 1):
        computed = "-" if row["computed"] is None else f"{row['computed']:.4g}"
        table.add_row(str(i), row["claim"], f"{row['stated']:g}", computed, row["unit"], row["verdict"])
    console.print(table)
    for i, row in enumerate(rows, 1):
        console.print(
            Padding(f"{i}. {row['working']}.\n   Stated by: {row['source']}", (0, 0, 1, 0)),
            markup=False,
            highlight=False,
        )
