"""Event Stream (.es, version 2), read and written with `faery` (LGPL-3.0).

    "Event Stream" | u8 major, minor, patch | u8 type (1: DVS) | u16 width, height | events
    event   u8: dt:7 << 1 | on, then u16 x, u16 y from the *bottom*.   0xFF: 127 us pass;  0xFE: no event, ignored.
Source: https://github.com/neuromorphicsystems/event_stream

Stamps are sums of unsigned steps and cannot go back. The format keeps events only and no absolute time: a Recording's
origin, frames, IMU and triggers are lost, which `losses` says. y is turned so that row 0 is at the top, as everywhere
here. faery 0.7.1 drops a cut event at the end and names no place: the bytes that the events account for are counted here, and
a walk over the bytes finds the place only where they do not add up.
ATIS (2) and colour (4) files are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.base import Format, events_only, magic
from spikeplan.eventdata.formats.evt import FAERY_EVENT
from spikeplan.eventdata.formats.stream import CHUNK_EVENTS, COPY_AGAIN, RawStream, decoding, missing
from spikeplan.eventdata.recording import Recording

MAGIC = b"Event Stream"
HEADER_BYTES = 20
DVS = 1
EVENT_BYTES = 5
PAUSE, PAUSE_US, NOTHING = 0xFF, 127, 0xFE
MAX_PAUSE_BYTES = 1 << 28  # nine hours: more is a clock that jumped


def raw_es(source: Path) -> RawStream:
    with source.open("rb") as handle:
        head = handle.read(HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise UserError(f"{source}: does not start with 'Event Stream'; give an .es file")
    if len(head) < HEADER_BYTES and head[15:16] in (b"", b"\x01"):
        raise UserError(f"{source}: truncated at byte {len(head)}, in the header of {HEADER_BYTES} bytes; {COPY_AGAIN}")
    if head[12] != 2 or head[15] != DVS:
        raise UserError(
            f"{source}: version {head[12]}.{head[13]}.{head[14]}, type {head[15]}; this build reads version 2, type 1 (DVS)"
        )
    width, height = (int(side) for side in np.frombuffer(head, "<u2", 2, 16))
    return RawStream(
        width=width, height=height, parts=_parts(source, width, height), most=source.stat().st_size // EVENT_BYTES
    )


def _parts(source: Path, width: int, height: int) -> Iterator[Events]:
    try:
        from faery.extension import es
    except ImportError as error:
        raise missing(source, "faery", error) from error
    used, last_us = HEADER_BYTES, 0
    with decoding(source):
        try:
            with es.Decoder(source, 0) as decoder:
                for rows in decoder:
                    if not len(rows):
                        continue
                    t_us = rows["t"].astype(np.int64)
                    step_us = np.diff(t_us)
                    pauses = (
                        int((step_us[step_us >= PAUSE_US] // PAUSE_US).sum()) + (int(t_us[0]) - last_us) // PAUSE_US
                    )
                    used, last_us = used + EVENT_BYTES * len(rows) + pauses, int(t_us[-1])
                    yield Events(x=rows["x"], y=np.subtract(np.uint16(height - 1), rows["y"]), t_us=t_us, p=rows["on"])
        except RuntimeError as error:
            at, _ = _first_flaw(source, width, height)
            raise UserError(f"{source}: {' '.join(str(error).split())}, event at byte {at}; {COPY_AGAIN}") from error
    if used != source.stat().st_size:  # pauses after the last event, bytes that mean nothing, or a cut event
        at, left = _first_flaw(source, width, height)
        if left:
            raise UserError(
                f"{source}: truncated, {left} of {EVENT_BYTES} bytes of an event at byte {at}; {COPY_AGAIN}"
            )


def _first_flaw(source: Path, width: int, height: int) -> tuple[int, int]:
    """Byte of the first event outside the sensor (with 0), or of a cut last event (with the bytes it has), or the end."""
    at = HEADER_BYTES
    with source.open("rb") as handle:
        handle.seek(at)
        while step := handle.read(1):
            if step[0] not in (PAUSE, NOTHING):
                rest = handle.read(EVENT_BYTES - 1)
                if len(rest) < EVENT_BYTES - 1:
                    return at, 1 + len(rest)
                if rest[0] | rest[1] << 8 >= width or rest[2] | rest[3] << 8 >= height:
                    return at, 0
                at += EVENT_BYTES - 1
            at += 1
    return at, 0


def write_es(recording: Recording, target: Path) -> None:
    pauses = int(np.diff(recording.events.t_us).sum()) // PAUSE_US
    if pauses > MAX_PAUSE_BYTES:
        raise UserError(f"silence takes a byte each {PAUSE_US} us, here {pauses} bytes; slice it, or write .npz or .h5")
    try:
        from faery.extension import es
    except ImportError as error:
        raise missing(target, "faery", error) from error
    with es.Encoder(target, "dvs", True, (recording.width, recording.height)) as encoder:
        events = recording.events
        for start in range(0, len(events), CHUNK_EVENTS):
            part = events[start : start + CHUNK_EVENTS]
            rows = np.empty(len(part), FAERY_EVENT)
            rows["t"], rows["x"], rows["on"] = part.t_us, part.x, part.p
            rows["y"] = recording.height - 1 - part.y
            encoder.write(rows)


FORMAT = Format(
    name="es",
    suffixes=("es",),
    is_it=magic(MAGIC),
    open=events_only(raw_es),
    raw=raw_es,
    write=write_es,
    events_only=True,
)
