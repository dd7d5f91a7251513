"""Reads AEDAT 4 (DV, DAVIS and DVXplorer cameras) with the `aedat` decoder (MIT, Rust).

    frame_t_us = exposure start            the file's own frame stamp is the middle of the exposure
    imu        = g * 9.80665 m/s^2, deg/s * pi / 180

offset_us is taken from the file's own stamps, frames included (mid-exposure); see spikeplan.eventdata.recording.
Every failure of the decoder, a Rust panic included, becomes one UserError: what, where, remedy.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.aedat4_container import COPY_AGAIN, MAGIC, check_container
from spikeplan.eventdata.formats.base import Format, magic
from spikeplan.eventdata.formats.stream import RawStream, decoding, missing
from spikeplan.eventdata.recording import TRIGGER, Recording

__all__ = ["MAGIC", "open_aedat4"]

STANDARD_GRAVITY = 9.80665  # m/s^2, exact by definition
RAD_PER_DEG = math.pi / 180
PACKED_BYTES = 4  # of an event in a compressed file, about
KINDS = ("events", "frame", "imus", "triggers")
ACCEL = tuple(f"accelerometer_{axis}" for axis in "xyz")
GYRO = tuple(f"gyroscope_{axis}" for axis in "xyz")


def open_aedat4(source: str | os.PathLike[str], *, sort: bool = False) -> Recording:
    """Read a whole file. `sort` orders streams whose stamps go back; without it they are refused."""
    source = Path(source)
    check_container(source)
    streams, events, packets = _decode(source)
    ids = {kind: [i for i, stream in streams.items() if stream["type"] == kind] for kind in KINDS}
    for kind, found in ids.items():
        if len(found) > 1:
            raise UserError(f"{source}: {len(found)} streams of {kind} ({found}); export one camera per file")
    if not ids["events"]:
        raise UserError(f"{source}: holds no event stream; record with the events output enabled")
    geometry = streams[ids["events"][0]]
    try:
        return _build(events, packets, geometry["width"], geometry["height"], sort)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def raw_aedat4(source: Path) -> RawStream:
    """The events alone, packet by packet."""
    check_container(source)
    decoder = _decoder(source)
    with decoding(source):
        streams = {i: stream for i, stream in decoder.id_to_stream().items() if stream["type"] == "events"}
    if len(streams) != 1:
        raise UserError(f"{source}: {len(streams)} streams of events; export one camera, with its events, per file")
    geometry = next(iter(streams.values()))
    return RawStream(width=geometry["width"], height=geometry["height"], parts=_event_parts(source, decoder))


def _event_parts(source: Path, decoder: Any) -> Iterator[Events]:
    with decoding(source):
        for packet in decoder:
            if "events" in packet and len(packet["events"]):
                part = _columns(packet["events"])
                _check_stamps(part.t_us)
                yield part


def _decoder(source: Path) -> Any:
    try:
        import aedat
    except ImportError as error:
        raise missing(source, "aedat", error) from error
    with decoding(source):
        return aedat.Decoder(source)


def _decode(source: Path) -> tuple[dict[int, dict[str, Any]], Events, dict[str, list[Any]]]:
    """Streams by id, all events with stamps as in the file, and the payloads of each other kind in file order."""
    packets: dict[str, list[Any]] = defaultdict(list)
    decoder = _decoder(source)

    def events() -> Iterator[Events]:
        for packet in decoder:
            kind = next(kind for kind in KINDS if kind in packet)
            if kind == "events":
                yield _columns(packet[kind])
            else:
                packets[kind].append(packet[kind])

    with decoding(source):
        streams = decoder.id_to_stream()
        return streams, Events.gather(events(), source.stat().st_size // PACKED_BYTES), packets


def _build(events: Events, packets: dict[str, list[Any]], width: int, height: int, sort: bool) -> Recording:
    _check_stamps(events.t_us)
    events = events.sorted() if sort else events
    imus = _stream(packets["imus"], sort)
    triggers = _stream(packets["triggers"], sort)
    shots = sorted(packets["frame"], key=lambda shot: int(shot["t"])) if sort else packets["frame"]
    first_stamps = (
        [*events.t_us[:1]] + [s["t"][0] for s in (imus, triggers) if s is not None] + [s["t"] for s in shots[:1]]
    )
    if not first_stamps:
        return Recording(events=Events.empty(), width=width, height=height)
    origin_us = int(first_stamps[0])  # the first event's, or without events that of the next stream that speaks
    offset_us = {}
    if imus is not None:
        offset_us["imu"] = int(imus["t"][0]) - origin_us
    if shots:
        offset_us["frames"] = int(shots[0]["t"]) - origin_us
    np.subtract(events.t_us, origin_us, out=events.t_us)  # gathered for us alone
    return Recording(
        events=events,
        width=width,
        height=height,
        frames=_pixels(shots),
        frame_t_us=np.array([_start_us(shot) - origin_us for shot in shots], np.int64),
        exposure_us=np.array([_stop_us(shot) - _start_us(shot) for shot in shots], np.int64),
        imu=None if imus is None else _imu_si(imus),
        imu_t_us=np.empty(0, np.int64) if imus is None else _relative(imus["t"], origin_us),
        triggers=np.empty(0, TRIGGER) if triggers is None else _triggers(triggers, origin_us),
        origin_us=origin_us,
        offset_us=offset_us,
    )


def _stream(parts: list[NDArray[Any]], sort: bool) -> NDArray[Any] | None:
    """One array of all packets."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return None
    whole: NDArray[Any] = np.concatenate(parts)
    _check_stamps(whole["t"].astype(np.int64))
    return whole[np.argsort(whole["t"], kind="stable")] if sort else whole


def _check_stamps(t_us: NDArray[np.int64]) -> None:
    """Stamps are unsigned in the file: one that int64 cannot hold is damage, and negative here."""
    if len(t_us) and t_us.min() < 0:
        row = int((t_us < 0).argmax())
        raise UserError(f"stamp {int(t_us[row]) + 2**64} us at row {row} exceeds int64; {COPY_AGAIN}")


def _columns(packet: NDArray[Any]) -> Events:
    """Views into the packet, stamps as in the file."""
    return Events(x=packet["x"], y=packet["y"], t_us=packet["t"].view(np.int64), p=packet["on"].view(np.uint8) != 0)


def _relative(t: NDArray[np.uint64], origin_us: int) -> NDArray[np.int64]:
    return t.astype(np.int64) - origin_us


def _imu_si(raw: NDArray[Any]) -> NDArray[np.float32]:
    scaled = [raw[name] * STANDARD_GRAVITY for name in ACCEL] + [raw[name] * RAD_PER_DEG for name in GYRO]
    return np.stack(scaled, axis=1).astype(np.float32)


def _triggers(raw: NDArray[Any], origin_us: int) -> NDArray[np.void]:
    out = np.empty(len(raw), TRIGGER)
    out["t_us"], out["source"] = _relative(raw["t"], origin_us), raw["source"]
    return out


def _start_us(shot: dict[str, Any]) -> int:
    """Exposure start; a camera that does not report it has only the frame stamp."""
    begin = int(shot["exposure_begin_t"])
    return begin if begin > 0 else int(shot["t"])


def _stop_us(shot: dict[str, Any]) -> int:
    return max(int(shot["exposure_end_t"]), _start_us(shot))


def _pixels(shots: list[dict[str, Any]]) -> NDArray[np.uint8] | None:
    if not shots:
        return None
    shapes = {shot["pixels"].shape for shot in shots}
    formats = {shot["format"] for shot in shots}
    if formats != {"L"}:
        raise UserError(f"frames are {sorted(formats)}; this build reads 8-bit grey (L): export them as grey")
    if len(shapes) > 1:
        raise UserError(f"frames of {len(shapes)} sizes ({sorted(shapes)}); record with one region of interest")
    return np.stack([shot["pixels"] for shot in shots])


FORMAT = Format(name="aedat4", suffixes=("aedat4",), is_it=magic(MAGIC), open=open_aedat4, raw=raw_aedat4)
