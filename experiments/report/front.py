"""The front: success against cost, for each family of points, and which of them is ahead at equal success.

A point is on its family's front when no cheaper point of the family succeeds as often. Families and the comparison at
equal success are those of `spikeplan.evaluation.iso_success`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikeplan.evaluation.iso_success import Comparison, Cost, compare, decides, family_of
from spikeplan.evaluation.results import Record, Results, finite, mapping, positive, spiking
from spikeplan.evaluation.verdict import CHIP, DENSE_DEVICES, OPPONENTS, spiking_joules
from spikeplan.experiments.report.markup import between, energy, number, share


def equivalents(row: Record) -> float | None:
    return positive(row.get("synop_equivalents"))


def joules(device: str) -> Cost:
    def cost(row: Record) -> float | None:
        return positive(mapping(mapping(row.get("joules")).get(device)).get("nominal"))

    return cost


def pareto(rows: Sequence[Record], cost: Cost) -> list[Record]:
    """Rows that no cheaper row of the same list equals in success, from cheap to dear."""
    known = [(c, -s, i) for i, r in enumerate(rows) if (c := cost(r)) is not None and (s := success(r)) is not None]
    kept, best = [], float("-inf")
    for _, negative, index in sorted(known):
        if -negative > best:
            kept.append(rows[index])
            best = -negative
    return kept


def success(row: Record) -> float | None:
    return finite(row.get("success"))


def families(rows: Sequence[Record]) -> dict[str, list[Record]]:
    """Points by family, those that decide: no threshold sweeps."""
    found: dict[str, list[Record]] = {"dense": [], "dense_replay": [], "zero_skipping": [], "spiking": []}
    for row in rows:
        if row.get("role", "front") == "front":
            found.setdefault(family_of(row), []).append(row)
    return found


def full_success(results: Results, task: str) -> float | None:
    """Success of the dense planner with its full budget, on the front's episodes."""
    for value in (
        mapping(results.task(task).get("admission")).get("full"),
        results.methods(task).get("dense", {}).get("success"),
        max((s for r in families(results.front(task))["dense"] if (s := success(r)) is not None), default=None),
    ):
        if (known := finite(value)) is not None:
            return known
    return None


def chip_joules(host: str) -> Cost:
    """Of a spiking point on the chip, with its encoder on the opponent's device."""
    return lambda row: positive(spiking_joules(row, host))


def devices(rows: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(str(name) for row in rows for name in mapping(row.get("joules"))))


def comparisons(results: Results, task: str) -> list[Comparison]:
    """At equal success: in synop-equivalents against every dense family, then in Joules on the verdict's devices."""
    rows = [row for row in results.front(task) if decides(row)]
    by_family = families(rows)
    full = full_success(results, task)
    if full is None or not by_family["dense"] or not by_family["spiking"]:
        return []
    found = [
        compare(
            rows,
            full,
            what=f"synop-equivalents, {name}",
            unit="",
            against=against,
            dense_cost=equivalents,
            spiking_cost=equivalents,
        )
        for against, name in OPPONENTS
        if by_family[against[0]]
    ]
    for other in (name for name in DENSE_DEVICES if name in devices(by_family["dense"])):
        what = f"{CHIP} against {other}, scope system nominal"
        found.append(
            compare(
                rows,
                full,
                what=what,
                unit="J",
                against=("dense", "dense_replay"),
                dense_cost=joules(other),
                spiking_cost=chip_joules(other),
            )
        )
    return found


def describe(row: Record | None) -> str:
    """One point in words: method, reference, threshold, budget, schedule."""
    if row is None:
        return "no point reaches it"
    reference: Any = row.get("reference")
    threshold = finite(row.get("threshold"))
    parts = [
        str(row.get("method")),
        str(reference) if reference and reference != "zero" else "",
        f"θ × {threshold:g}" if threshold is not None else "",
        str(row.get("budget") or ""),
        str(row.get("schedule") or "") if spiking(row) else "",
    ]
    return ", ".join(part for part in parts if part)


def point_words(row: Record) -> str:
    """One point with its success and its operations, for the hover text of its mark."""
    return f"{_won(row)}, {number(row.get('synop_equivalents'))} synop-equivalents"


def joules_words(row: Record, device: str) -> str:
    """The same with its energy on one device."""
    band = mapping(mapping(row.get("joules")).get(device))
    copies = finite(band.get("copies"))
    where = device if copies is None else f"{device}, loop x {copies:.0f}"
    return f"{_won(row)}, {band_words(band)} on {where}"


def band_words(band: Record) -> str:
    return f"{energy(band.get('nominal'))} [{energy(band.get('low'))}, {energy(band.get('high'))}]"


def _won(row: Record) -> str:
    return f"{describe(row)}: success {share(row.get('success'))} {between(row.get('ci95'))}"
