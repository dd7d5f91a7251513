"""Dense devices: GPU, CPU (a roofline) and ASIC (a sum of operations).

    GPU, CPU    t = max(2 MAC / (eta F), bytes / BW) for each operation counts row;   E = P t
        A  P 2 MAC / F                      the peak: a lower bound on what the device can do
        B  P max(2 MAC / F, bytes / BW)     where the weights do not arrive in time, power is drawn all the same
        C  P max(2 MAC / (eta F), bytes / BW)
    NPU         as measured, whole (npu.py)
    ASIC        A  MAC e_mac + AC e_ac
                B  + (weight bytes + activation bytes) e_sram + DRAM bytes e_dram         a MAC's e_sram / reuse: the
                   reuse of a weight is the batch, that of an activation the layer's width
                C  + P_static t where both are known (no ASIC of the catalogue has a static power)

P/F charges static power and DRAM already in A. An addition counts as a MAC on a GPU or CPU: it takes the same slot.
Weight bytes are read once per batch of CEM samples: once a row and action, or as often as `batch` asks; weights that fit
the device's cache all together are read from DRAM once an action. A GPU's activation traffic is left out. Each choice
favours the dense device, which is the opponent of the claim. What it leaves out is told by `launch_bound`: a GPU starts one
kernel a row at least, and while it waits for the next it draws its idle power at the least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeplan.core.counts.operations import BYTES, CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import npu
from spikeplan.energy.catalogue import Band, Device, Figure
from spikeplan.energy.charge import Charge, CpuPeak, Setup, Term
from spikeplan.energy.fit import refuse_uncounted


def charge(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, batch: int | None) -> Charge:
    """Energy and time of dense rows, per action."""
    for row in rows:
        if row.synops or row.updates or row.state_restores:
            raise UserError(
                f"method '{row.method}', layer '{row.layer}': spiking operations cannot run on '{device.name}', which skips "
                "nothing; use loihi2 or loihi1, or give the rows of the dense method"
            )
    refuse_uncounted(device, rows)
    if device.kind == "npu":
        return npu.charge(device, rows, actions, setup)
    result = _asic if device.kind == "asic" else _roofline
    return result(device, _cached(device, rows) if batch is None else rows, actions, setup, batch)


def _cached(device: Device, rows: Sequence[CountRow]) -> list[CountRow]:
    """Rows whose weights are charged to the first row of each layer only, where all layers fit the cache."""
    layers = {(row.phase, row.layer): row.weight_bytes or 0 for row in rows if row.macs}
    if "cache" not in device.figures or sum(layers.values()) > device.figure("cache").band.nominal:
        return list(rows)
    kept: list[CountRow] = []
    for row in rows:
        first = row.macs > 0 and layers.pop((row.phase, row.layer), None) is not None
        kept.append(row if first else replace(row, weight_bytes=0))
    return kept


def e_mac(device: Device, precision: str) -> Band:
    """J per MAC at the peak: the figure that a break-even is taken against."""
    if device.kind == "gpu":
        peak = device.figure(f"peak_{precision}").band
        return device.figure("power").band * Band(2 / peak.high, 2 / peak.nominal, 2 / peak.low)
    if device.kind == "asic":
        return device.figure(f"mac_{precision}").band
    if device.kind == "npu" and precision == npu.PRECISION:
        return device.figure("e_mac").band
    raise UserError(f"device '{device.name}' has no energy per MAC in the catalogue; use a GPU or an ASIC")


def _roofline(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, batch: int | None) -> Charge:
    power, codes = _power(device, setup)
    eta = _eta(device, setup)
    once = "one weight read for all CEM samples" if batch is None else f"batch {batch}"
    notes = ["peak rate: a lower bound" if device.kind == "gpu" else "rates measured", once]
    if device.kind == "cpu":
        notes.append("power passed by the caller" if _cpu(device, setup).power_w else "power assumed")
    compute, stall, waste, latency = 0.0, 0.0, Band(), 0.0
    for row in rows:
        precision, extra = _precision(row, setup)
        notes += extra
        if not (row.macs or row.acs or row.dram_bytes):
            continue
        rate, bandwidth = _rates(device, setup, precision)
        codes |= {figure.evidence for figure in (rate, bandwidth) if isinstance(figure, Figure)}
        per_s, per_byte = _nominal(rate), _nominal(bandwidth)
        busy = 2 * (row.macs + row.acs) / actions / per_s
        fetch = (_weight_traffic(row, precision, actions, batch) + row.dram_bytes) / actions / per_byte
        compute += busy
        stall += np.maximum(fetch - busy, 0.0)
        at = Band(*(np.maximum(busy / share, fetch) for share in (eta.high, eta.nominal, eta.low)))
        peak = np.maximum(busy, fetch)
        waste += Band(at.low - peak, at.nominal - peak, at.high - peak)
        latency += at.nominal
    if any(row.host_words for row in rows):
        notes.append("host words not charged")
    known, eta_code = frozenset(codes), device.figures["eta"].evidence if "eta" in device.figures else ""
    return Charge(
        operations=Term(power * compute, known, tuple(dict.fromkeys(notes))),
        memory=Term(power * stall, known),
        standing=Term(power * waste, known | frozenset({eta_code} if eta_code and setup.eta is None else ())),
        latency_s=latency,
    )


def _asic(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, batch: int | None) -> Charge:
    operations, memory = Term(), Term()
    for row in rows:
        precision, extra = _precision(row, setup)
        operations += Term(notes=tuple(extra))
        if row.macs:
            operations += Term.of(device.figure(f"mac_{precision}"), row.macs / actions)
            memory += Term.of(device.figure("e_sram"), _weight_traffic(row, precision, actions, batch) / actions)
        if row.acs:
            operations += Term.of(device.figure(f"ac_{precision}"), row.acs / actions)
        memory += Term.of(device.figure("e_dram"), row.dram_bytes / actions)
        activations = (row.state_reads + row.state_writes) * BYTES.get(precision, 1)
        memory += Term.of(device.figure("e_sram"), activations / actions)
    if device.hypothetical:
        operations += Term(notes=(f"{device.name} is hypothetical",))
    if "p_static" in device.figures and setup.time_s is not None:
        standing = Term.of(device.figure("p_static"), setup.time_s)
        return Charge(operations=operations, memory=memory, standing=standing, latency_s=setup.time_s.nominal)
    standing = Term(notes=("static power or time unknown: a lower bound",))
    return Charge(operations=operations, memory=memory, standing=standing, latency_s=None)


@dataclass(frozen=True, kw_only=True)
class LaunchBound:
    """What a GPU takes for an action where kernels depend on each other, in J and s an action.

    `idle_j`: idle power while it waits for the next kernel, on top of scope system; `full_j`: full power throughout.

    >>> launch_bound(default().device("h100"), rows, actions).full_j.nominal
    """

    kernels: float
    wait_s: Band  # of latency_s
    latency_s: Band
    idle_j: Band | None
    full_j: Band


def launch_bound(
    device: Device, rows: Sequence[CountRow], actions: int, *, setup: Setup | None = None
) -> LaunchBound | None:
    """Energy and time of an action with the waits between kernels; None for a device that launches nothing.

    One kernel a row of MACs and control step; activations, normalisation, softmax, sampling and sorting ride along for
    nothing, so the number of kernels is a lower bound.

    Args:
        rows: dense operation counts, summed over `actions`.

    Raises UserError for rows that the device cannot run.

    >>> bound = launch_bound(default().device("h100"), rows, actions=50)
    """
    if "t_launch" not in device.figures:
        return None
    setup = setup or Setup()
    kernels = sum(1.0 if row.control_step is None else 1 / actions for row in rows if row.macs)
    found = charge(device, rows, actions, setup, None)
    whole = found.operations + found.memory + found.standing
    power = device.figure("power").band
    wait = device.figure("t_launch").band * kernels
    busy = Band(*(band / watt for band, watt in zip(whole.band.bounds(), power.bounds(), strict=True)))
    idle = device.figure("p_idle").band * wait if "p_idle" in device.figures else None
    return LaunchBound(
        kernels=kernels,
        wait_s=wait,
        latency_s=busy + wait,
        idle_j=None if idle is None else whole.band + idle,
        full_j=power * (busy + wait),
    )


def _weight_traffic(row: CountRow, precision: str, actions: int, batch: int | None) -> float:
    """Weight bytes of a row over all its actions. An encoder reuses weights over tokens, so it ignores batch."""
    if not (row.macs and row.weight_bytes):
        return 0.0
    width = BYTES.get(row.precision, BYTES[precision])
    reads = actions if row.control_step is None else 1
    if batch is not None and row.phase != "encoder":
        reads = max(reads, math.ceil(row.macs * width / (row.weight_bytes * batch)))
    return reads * row.weight_bytes * BYTES[precision] / width


def _precision(row: CountRow, setup: Setup) -> tuple[str, list[str]]:
    precision = setup.assume_precision or row.precision
    if precision not in BYTES and (row.macs or row.acs):
        raise UserError(
            f"method '{row.method}', layer '{row.layer}': precision {precision!r} is not one of {', '.join(BYTES)}"
        )
    assumed = precision != row.precision and (row.macs or row.acs)
    return precision, [f"{row.precision} charged as {precision}: hypothetical"] if assumed else []


def _rates(device: Device, setup: Setup, precision: str) -> tuple[Figure | float, Figure | float]:
    if device.kind == "gpu":
        return device.figure(f"peak_{precision}"), device.figure("bandwidth")
    peak = _cpu(device, setup)
    if peak.precision != precision:
        raise UserError(
            f"device '{device.name}': measured in {peak.precision}, but a row is {precision}; "
            f'measure that precision or pass assume_precision="{peak.precision}"'
        )
    return peak.flop_per_s, peak.bytes_per_s


def _power(device: Device, setup: Setup) -> tuple[Band, set[str]]:
    if device.kind == "gpu":
        return device.figure("power").band, {device.figure("power").evidence}
    peak = _cpu(device, setup)
    if peak.power_w is not None:
        return Band(peak.power_w, peak.power_w, peak.power_w), set()
    return device.figure("power_per_core").band * peak.cores, {device.figure("power_per_core").evidence}


def _cpu(device: Device, setup: Setup) -> CpuPeak:
    if setup.cpu is None:
        raise UserError(f"device '{device.name}': its peak is measured, not listed; pass Setup(cpu=measure_peak())")
    return setup.cpu


def _eta(device: Device, setup: Setup) -> Band:
    if setup.eta is not None:
        return Band(setup.eta, setup.eta, setup.eta)
    return device.figure("eta").band if device.kind == "gpu" else Band(1.0, 1.0, 1.0)


def _nominal(rate: Figure | float) -> float:
    return rate.band.nominal if isinstance(rate, Figure) else rate
