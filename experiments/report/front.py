"""The front: success against cost, for each family of points, and which of them is ahead at equal success.

A point is on its family's front when no cheaper point of the family succeeds as often. Families and the comparison at
equal success are those of `spikeplan.evaluation.iso_success`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikeplan.core.format import between, joule, number, share
from spikeplan.evaluation.iso_success import Comparison, compare, decides
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import FrontRow
from spikeplan.evaluation.verdict import CHIP, DENSE_DEVICES, OPPONENTS, spiking_joules

Cost = Callable[[FrontRow], float | None]


def equivalents(row: FrontRow) -> float | None:
    """None where an axis of logarithms cannot show it."""
    return row.synop_equivalents if row.synop_equivalents > 0 else None


def joules(device: str) -> Cost:
    """The nominal Joules of a point on a device; None where it has none."""

    def cost(row: FrontRow) -> float | None:
        return row.joules[device].nominal if device in row.joules else None

    return cost


def pareto(rows: Sequence[FrontRow], cost: Cost) -> list[FrontRow]:
    """Rows that no cheaper row of the same list equals in success, from cheap to dear."""
    known = [(c, -r.success, i) for i, r in enumerate(rows) if (c := cost(r)) is not None]
    kept, best = [], float("-inf")
    for _, negative, index in sorted(known):
        if -negative > best:
            kept.append(rows[index])
            best = -negative
    return kept


def families(rows: Sequence[FrontRow]) -> dict[str, list[FrontRow]]:
    """Points by family, those that decide: no threshold sweeps."""
    points: dict[str, list[FrontRow]] = {"dense": [], "dense_replay": [], "zero_skipping": [], "spiking": []}
    for row in rows:
        if row.role == "front":
            points.setdefault(row.family, []).append(row)
    return points


def full_success(results: Results, task: str) -> float | None:
    """Success of the dense planner with its full budget, on the front's episodes."""
    admission, (dense, _) = results.task(task).admission, results.pair(task)
    if admission is not None:
        return admission.full
    if dense.success is not None:
        return dense.success
    return max((row.success for row in families(results.front(task))["dense"]), default=None)


def chip_joules(host: str) -> Cost:
    """Of a spiking point on the chip, with its encoder on the opponent's device."""
    return lambda row: spiking_joules(row, host)


def devices(rows: Sequence[FrontRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.joules))


def comparisons(results: Results, task: str) -> list[Comparison[FrontRow]]:
    """At equal success: in synop-equivalents against every dense family, then in Joules on the verdict's devices."""
    rows = [row for row in results.front(task) if decides(row)]
    by_family = families(rows)
    full = full_success(results, task)
    if full is None or not by_family["dense"] or not by_family["spiking"]:
        return []
    pairs = [
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
        pairs.append(
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
    return pairs


def describe(row: FrontRow | None) -> str:
    """One point in words: method, reference, threshold, budget, schedule."""
    if row is None:
        return "no point reaches it"
    parts = [
        row.method,
        row.reference if row.reference != "zero" else "",
        f"θ × {row.threshold:g}" if row.threshold is not None else "",
        row.budget,
        row.schedule if row.family == "spiking" else "",
    ]
    return ", ".join(part for part in parts if part)


def point_words(row: FrontRow) -> str:
    """One point with its success and its operations, for the hover text of its mark."""
    return f"{_won(row)}, {number(row.synop_equivalents)} synop-equivalents"


def joules_words(row: FrontRow, device: str) -> str:
    """The same with its energy on one device."""
    point = row.joules[device]
    where = device if point.replicas is None else f"{device}, loop x {point.replicas}"
    return f"{_won(row)}, {band_words(point.low, point.nominal, point.high)} on {where}"


def band_words(low: float, nominal: float, high: float) -> str:
    return f"{joule(nominal)} [{joule(low)}, {joule(high)}]"


def _won(row: FrontRow) -> str:
    return f"{describe(row)}: success {share(row.success)} {between(row.ci95)}"
