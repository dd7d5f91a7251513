"""What a front end draws: operations counted, mean watts of whole machines, by one rule for all of them.

    frames         denoiser + frozen encoder, FRAME_HZ times a second, on a dense machine (as if int8)
    1 kHz frames   the same, a thousand times a second
    no-events      frames, and the twin's own dense layers in every tick
    events         the sigma-delta event encoder on Loihi 2, a pass every TICK_MS; the latent's own dense layers on a host
    fused          events and frames

The rule is that of `spikeplan energy systems`: every machine is on for the whole second and draws what it draws at rest while it
does not work. A microcontroller sleeps between pieces of work and wakes for each; an Orin Nano idles, for it has no sleep state.
The cameras' own power is a column of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from spikeplan.core.counts.operations import CountRow, LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import ZERO, Band, default
from spikeplan.energy.systems import Events, Part, System, draw_of
from spikeplan.energy.systems.states import watts_in
from spikeplan.fusion.cell import HOLD_S
from spikeplan.fusion.checkpoint import FuseBundle
from spikeplan.fusion.streams import FRAME_HZ, TICK_MS

CHIP, HOSTS = "loihi2", {"orin_nano": "idle", "gap9": "sleep"}  # a host, and how it rests
EVENT_CAMERA, FRAME_CAMERA = "genx320", "picamera2"
FRONT_ENDS = ("frames", "1 kHz frames", "no-events", "events", "fused")
FAST_HZ = 1000.0


@dataclass(frozen=True, kw_only=True)
class FrontEndCost:
    """What a front end draws on some machines, in W: low, nominal, high. None where the machines are too slow for it, or where
    the catalogue has no camera that does it. `watts_at_rest`: what the machines draw that do nothing."""

    front_end: str
    device: str
    macs_per_s: float
    synops_per_s: float
    updates_per_s: float
    steps_per_s: float
    watts: tuple[float, float, float] | None
    watts_at_rest: tuple[float, float, float]
    watts_cameras: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class EventRates:
    """Operations of the event encoder a second on its chip."""

    synops: float
    updates: float
    steps: float


def rates_of(counts: Sequence[LayerCounts], seconds: float) -> EventRates:
    """Passes do not overlap: every layer updates in each of the steps of a pass, as many as there are layers."""
    layers = len(counts)
    return EventRates(
        synops=sum(count.synops for count in counts) / seconds,
        updates=sum(count.updates for count in counts) * layers / seconds,
        steps=counts[0].calls * layers / seconds,
    )


def front_end(
    bundle: FuseBundle, counts: Sequence[LayerCounts], seconds: float, *, frame_hz: float = FRAME_HZ
) -> list[FrontEndCost]:
    """One a front end and host. `counts`: of the spiking event encoder over `seconds` of stream."""
    return front_ends(bundle, rates_of(counts, seconds), frame_hz=frame_hz)


def front_ends(bundle: FuseBundle, rates: EventRates, *, frame_hz: float = FRAME_HZ) -> list[FrontEndCost]:
    """The same from rates: what a table of them keeps."""
    return [_costed(bundle, rates, name, host, frame_hz) for name in FRONT_ENDS for host in HOSTS]


def _macs(module: nn.Module) -> int:
    return sum(p.numel() for name, p in module.named_parameters() if "weight" in name)


def _costed(bundle: FuseBundle, rates: EventRates, name: str, host: str, frame_hz: float) -> FrontEndCost:
    spiking, framed = name in ("events", "fused"), name != "events"
    size, cell, tick_hz = bundle.world.image_shape[1], bundle.fused.cell, 1000 / TICK_MS
    hz = FAST_HZ if name == "1 kHz frames" else frame_hz
    frame_macs = bundle.model.encoder.macs() + bundle.denoiser.macs(size, size)
    if name in ("no-events", "fused"):
        frame_macs += _macs(cell.frame) + _macs(cell.anchor_memory)
    tick_macs = 0.0 if name in ("frames", "1 kHz frames") else _macs(cell.carry) * tick_hz
    if name == "events":
        tick_macs += _macs(cell.anchor_memory) / HOLD_S
    stored = sum(p.numel() for part in (bundle.model.encoder, bundle.denoiser) for p in part.parameters())
    rows = [_frame(name, frame_macs, stored)] if framed else []
    rows += [_pass(name, bundle, rates, tick_hz)] if spiking else []
    encode = Part(device=host, does="encode" if spiking else "plan", rest=HOSTS[host], hz=hz if spiking else None)
    machines = (Part(device=CHIP, does="plan"), encode) if spiking else (encode,)
    cameras: tuple[Part, ...] = (Part(device=EVENT_CAMERA, does="sense", rest="active"),) if spiking else ()
    if framed and hz < FAST_HZ:
        cameras += (Part(device=FRAME_CAMERA, does="sense", rest="idle", hz=hz),)
    ticks = Events(synops=0, updates=0, steps=0, macs=tick_macs, hz=tick_hz, source="counted") if tick_macs else None
    system = System(
        name=name, title=name, side="spiking" if spiking else "dense", parts=(*machines, *cameras), events=ticks
    )
    try:
        by = draw_of(system, rows, 1, rate_hz=tick_hz if spiking else hz, catalogue=default()).by
    except UserError:  # too slow for this rate
        by = None
    return FrontEndCost(
        front_end=name,
        device=f"{CHIP} + {host}" if spiking else host,
        macs_per_s=(frame_macs * hz if framed else 0.0) + tick_macs,
        synops_per_s=rates.synops if spiking else 0.0,
        updates_per_s=rates.updates if spiking else 0.0,
        steps_per_s=rates.steps if spiking else 0.0,
        watts=None if by is None else _sum(by[part.device] for part in machines),
        watts_at_rest=_sum(watts_in(default().machine(part.device), part.rest) for part in machines),
        watts_cameras=_sum(by[part.device] for part in cameras) if by is not None and cameras else None,
    )


def _sum(bands: Iterable[Band]) -> tuple[float, float, float]:
    low, nominal, high = sum(bands, ZERO).bounds()
    return float(low), float(nominal), float(high)


def _frame(method: str, macs: int, weight_bytes: int) -> CountRow:
    return CountRow(
        method=method,
        phase="encoder",
        layer="dense",
        reference="zero",
        schedule="batched",
        macs=macs,
        weight_bytes=weight_bytes,
        precision="int8",
    )


def _pass(method: str, bundle: FuseBundle, rates: EventRates, tick_hz: float) -> CountRow:
    """Of one window."""
    weights = sum(layer.n_in * layer.n_out for layer in bundle.artifact.layers[1:])  # the first codes the input
    return CountRow(
        method=method,
        phase="events",
        layer="all",
        reference="previous_step",
        schedule="sequential",
        synops=round(rates.synops / tick_hz),
        updates_idle=round(rates.updates / tick_hz),
        chip_steps=round(rates.steps / tick_hz),
        weight_bytes=weights,
        precision="int8",
    )
