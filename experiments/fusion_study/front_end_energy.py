"""What a front end costs a second: operations counted, energy from the catalogue, against the 90 mW smart camera.

    frames         denoiser + frozen encoder, a frame each, on the dense device (charged as if int8)
    1 kHz frames   the same, a thousand times a second
    events         the sigma-delta event encoder on Loihi 2, a pass every TICK_MS; the fused latent's own dense layers on
                   the dense device
    fused          events and frames

Static power of the chip is charged for the whole second (an always-on sensor), so nothing here is below it in scope system.
The sensors' own power is in no column: the catalogue has no figure for either camera.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from spikeplan.core.counts.operations import CountRow, LayerCounts
from spikeplan.energy import Setup, estimate
from spikeplan.energy.catalogue import Band
from spikeplan.fusion.cell import HOLD_S
from spikeplan.fusion.checkpoint import FuseBundle
from spikeplan.fusion.streams import FRAME_HZ, TICK_MS

DENSE_DEVICE = "orin_nano"
SMART_CAMERA_W = 0.09  # fall detection on Loihi 2 (arXiv 2511.22554): the chip, not the camera


@dataclass(frozen=True, kw_only=True)
class FrontEndCost:
    """What a front end costs a second. Watts are (low, nominal, high)."""

    front_end: str
    device: str
    macs_per_s: float
    synops_per_s: float
    updates_per_s: float
    watt_compute: tuple[float, float, float]
    watt_system: tuple[float, float, float]
    of_90_mw: float


def _macs(module: nn.Module) -> int:
    return sum(p.numel() for name, p in module.named_parameters() if "weight" in name)


def front_end(
    bundle: FuseBundle, counts: list[LayerCounts], seconds: float, *, frame_hz: float = FRAME_HZ
) -> list[FrontEndCost]:
    """One a front end. `counts`: of the spiking event encoder over `seconds` of stream."""
    size = bundle.world.image_shape[1]
    frame_macs = bundle.model.encoder.macs() + bundle.denoiser.macs(size, size)
    cell = bundle.fused.cell
    tick_hz = 1000 / TICK_MS
    cell_tick = _macs(cell.carry)  # a reading
    cell_frame = _macs(cell.frame) + _macs(cell.anchor_memory)
    events = [_events_row(count, seconds, first=i == 0, layers=len(counts)) for i, count in enumerate(counts)]
    fronts: dict[str, list[CountRow]] = {
        "frames": [_dense_row("frames", frame_macs * frame_hz)],
        "1 kHz frames": [_dense_row("1 kHz frames", frame_macs * 1000)],
        "no-events": [_dense_row("no-events", frame_macs * frame_hz + cell_frame * frame_hz + cell_tick * tick_hz)],
        "events": [*events, _dense_row("events", cell_tick * tick_hz + _macs(cell.anchor_memory) / HOLD_S)],
        "fused": [*events, _dense_row("events", (frame_macs + cell_frame) * frame_hz + cell_tick * tick_hz)],
    }
    return [_costed(name, rows) for name, rows in fronts.items()]


def _dense_row(method: str, macs: float) -> CountRow:
    return CountRow(
        method=method,
        phase="encoder",
        layer="dense",
        reference="zero",
        schedule="batched" if method != "events" else "sequential",
        macs=round(macs),
        precision="int8",
    )


def _events_row(count: LayerCounts, seconds: float, *, first: bool, layers: int) -> CountRow:
    """Of one second. Passes do not overlap: every layer updates in each of the `layers` steps of a pass."""
    active = round(count.updates_active / seconds)
    return CountRow(
        method="events",
        phase="events",
        layer=count.layer,
        reference="previous_step",
        schedule="sequential",
        synops=round(count.synops / seconds),
        updates_active=active,
        updates_idle=round(count.updates * layers / seconds) - active,
        messages=round(count.messages / seconds),
        message_bits=round(count.message_bits / seconds),
        chip_steps=round(count.calls * layers / seconds) if first else 0,
        precision="int8",
    )


def _costed(name: str, rows: list[CountRow]) -> FrontEndCost:
    spiking = any(row.phase == "events" for row in rows)
    setup = Setup(time_s=Band(1.0, 1.0, 1.0), host_device=DENSE_DEVICE) if spiking else Setup(host_device=DENSE_DEVICE)
    device = "loihi2" if spiking else DENSE_DEVICE
    compute, system = (
        estimate(device, rows, 1, scope=scope, extent="loop", setup=setup) for scope in ("compute", "system")
    )
    return FrontEndCost(
        front_end=name,
        device=f"loihi2 + {DENSE_DEVICE}" if spiking else DENSE_DEVICE,
        macs_per_s=sum(row.macs for row in rows),
        synops_per_s=sum(row.synops for row in rows),
        updates_per_s=sum(row.updates for row in rows),
        watt_compute=(compute.low, compute.nominal, compute.high),
        watt_system=(system.low, system.nominal, system.high),
        of_90_mw=system.nominal / SMART_CAMERA_W,
    )
