"""Prophesee RAW in EVT 2.0 and EVT 3.0, read and written with `faery` (LGPL-3.0).

    EVT 2   u32 words:  type 0/1 OFF/ON event: t:6 << 22 | x:11 << 11 | y:11;  8 time high: t >> 6 (28 bits);  10 trigger
    EVT 3   u16 words:  0 y:11;  2 event x:11 | p << 11;  3 vector base;  4, 5 vectors of 12 and 8 pixels;
                        6, 8 time low and high, 12 bits each;  10 trigger
Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html and .../evt3.html

What faery 0.7.1 does without a word, and what is checked here before it sees the file:
    a cut word at the end is dropped;  EVT 2.1 panics;  the header is read line by line without limit;
    stamps that go back are held at the last one, and in EVT 2 a time high that falls by any amount counts as a wrap of
    2^34 us.  So the time words are walked first: a fall is a wrap only from the top of the range to its bottom, and any
    other fall is refused unless `sort` accepts what the decoder makes of it.  Steps back of less than 64 us within one
    time high of EVT 2 stay held and unsaid: finding them would cost more than decoding.
Its own refusals (a coordinate outside the sensor) name no place, so the word is looked up afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.base import Format
from spikeplan.eventdata.formats.prophesee_header import Header, read_header
from spikeplan.eventdata.formats.stream import COPY_AGAIN, RawStream, check_sensor, decoding, missing, rebased
from spikeplan.eventdata.recording import TRIGGER, Recording

RISING, FALLING = 1, 2
SCAN_BYTES = 1 << 17  # stays in a core's own cache
MAX_LINE = 1 << 20
TIME_HIGH, TIME_LOW = 0x8, 0x6
WRAP = 7 / 8  # a time high that falls by more of its range has wrapped
FAERY_EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])


@dataclass(frozen=True)
class Layout:
    """`time_bits` of a time-high word."""

    version: str
    word: str
    time_bits: int

    @property
    def type_shift(self) -> int:
        return np.dtype(self.word).itemsize * 8 - 4


LAYOUTS = {
    "evt2": Layout("evt2", "<u4", 28),
    "evt3": Layout("evt3", "<u2", 12),
}


def version_of(header: Header) -> str:
    """'evt2', 'evt3', or whatever the header says."""
    fields = header.fields
    stated = fields["format"].split(";")[0] if "format" in fields else "evt" + fields.get("evt", "")
    return stated.strip().lower().removesuffix(".0")


def raw_evt(source: Path) -> RawStream:
    """Events only; see open_evt for the triggers."""
    layout, header = _checked_header(source)
    width, height = header.size()
    packets = _packets(source, layout, header)
    return RawStream(width=width, height=height, parts=(events_of(p["events"]) for p in packets if "events" in p))


def open_evt(source: Path, *, sort: bool = False) -> Recording:
    """Events and external triggers. `sort` accepts stamps that go back, as the decoder holds them: at the last one."""
    layout, header = _checked_header(source)
    width, height = header.size()
    parts: list[Events] = []
    shots: list[NDArray[Any]] = []
    for packet in _packets(source, layout, header, sort):
        if "events" in packet:
            parts.append(events_of(packet["events"]))
        if "triggers" in packet:
            shots.append(packet["triggers"])
    events = Events.concat(parts)
    trigger_t = np.concatenate([shot["t"] for shot in shots]).astype(np.int64) if shots else np.empty(0, np.int64)
    origin_us = int(events.t_us[0]) if len(events) else int(trigger_t[0]) if len(trigger_t) else 0
    triggers = np.empty(len(trigger_t), TRIGGER)
    triggers["t_us"] = trigger_t - origin_us
    if shots:
        triggers["source"] = np.where(np.concatenate([shot["rising"] for shot in shots]), RISING, FALLING)
    return Recording(
        events=rebased(events, origin_us), width=width, height=height, triggers=triggers, origin_us=origin_us
    )


def events_of(raw: NDArray[Any]) -> Events:
    """faery's packed rows (t, x, y, on) as columns: views, which Events.concat turns into flat arrays in one pass."""
    return Events(x=raw["x"], y=raw["y"], t_us=raw["t"].view(np.int64), p=raw["on"])


def _checked_header(source: Path) -> tuple[Layout, Header]:
    with source.open("rb") as handle:
        header = read_header(source, handle)
        rest = handle.read(MAX_LINE)
    version = version_of(header)
    if version not in LAYOUTS:
        raise UserError(
            f"{source}: the header says {version[:40]!r}; this build reads EVT2 and EVT3: convert it with Prophesee's tools"
        )
    check_sensor(*header.size())
    if (rest[:1] == b"%" and _is_text(rest)) or (len(rest) == MAX_LINE and b"\n" not in rest):
        # faery would take these bytes for header lines, or read to the end of the file in search of a line's end
        raise UserError(f"{source}: data at byte {header.end} cannot be told from header lines; {COPY_AGAIN}")
    stated_t0 = header.fields.get("T0", header.fields.get("t0", "0"))
    if not (stated_t0.isascii() and stated_t0.isdecimal() and len(stated_t0) < 18):
        raise UserError(f"{source}: the header says T0 {stated_t0[:30]!r}, no time in us; {COPY_AGAIN}")
    return LAYOUTS[version], header


def _is_text(data: bytes) -> bool:
    try:
        data[: data.find(b"\n") + 1 or None].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _packets(source: Path, layout: Layout, header: Header, sort: bool = False) -> Iterator[dict[str, NDArray[Any]]]:
    try:
        from faery.extension import evt
    except ImportError as error:
        raise missing(source, "faery", error) from error
    width, height = header.size()
    scan = _Scan(source, layout, header)
    scan.run(refuse_back=not sort)
    with decoding(source):
        try:
            with evt.Decoder(source, (width, height), layout.version) as decoder:
                if decoder.dimensions != (width, height):
                    raise UserError(f"{source}: the header states its geometry twice, differently; {COPY_AGAIN}")
                yield from decoder
        except RuntimeError as error:
            raise UserError(f"{source}: {scan.place_of(error)}; correct the geometry in the header") from error


@dataclass(frozen=True)
class _Scan:
    """The walk over the words before, and in search of a place after, the decoder's."""

    source: Path
    layout: Layout
    header: Header

    def run(self, *, refuse_back: bool) -> None:
        """Refuse a cut word and, if asked, time that goes back."""
        layout = self.layout
        size = self.source.stat().st_size
        itemsize = np.dtype(layout.word).itemsize
        if rest := (size - self.header.end) % itemsize:
            raise UserError(
                f"{self.source}: truncated, {rest} of {itemsize} bytes of a word at byte {size - rest}; {COPY_AGAIN}"
            )
        lowest_high = TIME_HIGH << layout.type_shift
        last_high = last = np.array([lowest_high], layout.word)
        for at, words in self._blocks() if refuse_back else ():
            where = np.flatnonzero(self._is_time(words))
            spoken = np.concatenate([last, words[where]])
            at_high = np.flatnonzero(spoken[1:] >= lowest_high)
            high = np.concatenate([last_high, spoken[1 + at_high]])
            fall = np.diff(high.astype(np.int64))
            bad_high = at_high[(fall < 0) & (fall > -WRAP * (1 << layout.time_bits))]
            down = np.flatnonzero(spoken[1:] < spoken[:-1])
            bad_low = down[spoken[down] < lowest_high]  # a time high starts the low bits anew
            if found := [*bad_high[:1].tolist(), *bad_low[:1].tolist()]:
                first = int(where[min(found)])
                raise UserError(
                    f"{self.source}: time goes back at byte {at + first * itemsize}; copy or record it again, or accept it "
                    "(open_recording(path, sort=True))"
                )
            last, last_high = spoken[-1:], high[-1:]

    def _is_time(self, words: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.bool_]:
        kinds = words >> self.layout.type_shift
        is_high: NDArray[np.bool_] = kinds == TIME_HIGH
        return is_high | (kinds == TIME_LOW) if self.layout.version == "evt3" else is_high

    def place_of(self, error: RuntimeError) -> str:
        """The decoder's complaint with the first word that it can mean."""
        reason = " ".join(str(error).split())
        width, height = self.header.size()
        for at, words in self._blocks():
            kinds = words >> self.layout.type_shift
            low = words & 0x7FF
            if self.layout.version == "evt2":
                bad = (kinds <= 1) & ((low >= height) | ((words >> 11 & 0x7FF) >= width))
            else:
                bad = (kinds == 0) & (low >= height) | np.isin(kinds, (2, 3)) & (low >= width)
            if bad.any():
                return f"{reason} at byte {at + int(np.flatnonzero(bad)[0]) * words.itemsize}"
        return reason

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.unsignedinteger[Any]]]]:
        at = self.header.end
        with self.source.open("rb") as handle:
            handle.seek(at)
            while block := handle.read(SCAN_BYTES):
                whole = len(block) - len(block) % np.dtype(self.layout.word).itemsize
                yield at, np.frombuffer(block[:whole], self.layout.word)
                at += len(block)


def _is_raw(head: bytes) -> bool:
    return head.startswith(b"%") and (b"% evt " in head or b"% format " in head)


FORMAT = Format(name="evt", suffixes=("raw",), is_it=_is_raw, open=open_evt, raw=raw_evt)
