"""Measured rows as evidence: the price of the same plan, a machine's mean watts, and figures for the catalogue.

    mean watts at a rate f = idle + f net

A row stands for the plan that was measured and for no other. It is not scaled with MACs: at the size of these networks a GPU's
time is that of launches and waits, which MACs do not tell. What holds for every plan is the idle power, so that may take the
place of the catalogue's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.measured import EVIDENCE, MeasuredRow
from spikeplan.energy.models import Energy
from spikeplan.energy.schema import Device, Figure


def is_device(row: MeasuredRow, device: Device) -> bool:
    """Whether the machine that was measured is this one of the catalogue: one of its `boards`, letter for letter.

    An H100 PCIe is not the catalogue's H100 SXM, nor a laptop's RTX 4090 the card. The catalogue's `cpu` is any processor.
    """
    if device.kind == "cpu" or row.place == "cpu":
        return device.kind == row.place
    return row.device in device.boards


def same_plan(rows: Iterable[MeasuredRow], device: Device, macs: float) -> tuple[MeasuredRow, ...]:
    """The rows measured on this machine for a plan of as many MACs an action.

    >>> same_plan(rows, default().device("h100"), 252_000_000)
    """
    return tuple(row for row in rows if row.macs == round(macs) and is_device(row, device))


def price(row: MeasuredRow, *, device: str | None = None) -> Energy:
    """A measured plan as an Energy: J above idle of one action's predictions and choice, without the encoder.

    Args:
        device: the catalogue's name for the machine; None: its own.

    Raises UserError for a row that cannot be told apart from idle.

    >>> price(read_measured("measured.json")[0]).evidence
    """
    net = row.net_J
    if not row.told:
        raise UserError(
            f"{row.device}, {row.way}: {net.low:.3g} to {net.high:.3g} J, not told apart from idle; measure longer (--seconds)"
        )
    return Energy(
        device=device or row.device,
        method=f"{row.way} {row.precision}",
        scope="system",
        extent="predictor",
        low=net.low,
        nominal=net.nominal,
        high=net.high,
        evidence=f"{EVIDENCE}; above idle, {row.meter}; {row.device}; {row.task}, {row.budget}; no encoder",
        latency_s=row.seconds,
    )


def mean_power(row: MeasuredRow, rate_hz: float) -> Band:
    """Mean watts of the machine that plans so often and is idle in between: idle + rate x (gross - idle x seconds).

    Raises UserError for a rate that the plan cannot meet.

    >>> mean_power(row, 10).nominal
    """
    if not 0 < rate_hz * row.seconds <= 1:
        raise UserError(
            f"{row.device}, {row.way}: {rate_hz:g} plans a second of {row.seconds:.3g} s each; lower the rate"
        )
    return Band(*(watt + rate_hz * (row.gross_J - watt * row.seconds) for watt in row.idle_W.bounds()))


def share_of_peak(row: MeasuredRow, device: Device) -> float:
    """Share of the device's peak that the plan reached: `Setup(eta=...)` for this network on this machine.

    Raises UserError where the catalogue has no peak of this precision.

    >>> Setup(eta=share_of_peak(row, default().device("rtx4090")))
    """
    return 2 * row.macs / row.seconds / device.figure(f"peak_{row.precision}").band.nominal


def as_figures(rows: Sequence[MeasuredRow]) -> dict[str, Figure]:
    """What holds for every plan of one machine, as figures of the catalogue: its idle power, over all pauses of these rows.

    >>> as_figures(rows)["p_idle"].evidence
    'measured'
    """
    if not rows:
        return {}
    bands = [row.idle_W for row in rows]
    idle = Band(
        min(band.low for band in bands),
        sum(band.nominal for band in bands) / len(bands),
        max(band.high for band in bands),
    )
    first = rows[0]
    return {
        "p_idle": Figure(
            name="p_idle",
            band=idle,
            unit="W",
            source=f"spikeplan energy measure: {first.device}, {first.meter}",
            evidence=EVIDENCE,
            node=first.device,
            note="between plans, with the process that plans alive",
        )
    }


def with_measured(catalogue: Catalogue, rows: Iterable[MeasuredRow]) -> Catalogue:
    """The catalogue with the measured idle power of each GPU that was measured in the place of its own.

    >>> with_measured(default(), read_measured("measured.json")).device("h100").figure("p_idle").evidence
    """
    kept, devices = tuple(rows), dict(catalogue.devices)
    for name, device in catalogue.devices.items():
        if device.kind == "gpu":
            figures = as_figures([row for row in kept if is_device(row, device)])
            unavailable = {key: why for key, why in device.unavailable.items() if key not in figures}
            devices[name] = replace(device, figures={**device.figures, **figures}, unavailable=unavailable)
    return replace(catalogue, devices=devices)
