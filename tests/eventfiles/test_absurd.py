"""Numbers that int64, memory or a sensor cannot hold: refused in words, in files, in calls and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording, open_recording, write_recording
from spikeplan.eventdata.filters import denoise, refractory
from spikeplan.eventdata.readers import open_events, open_slice
from spikeplan.eventdata.representations import histogram, last_time_surface
from spikeplan.eventdata.structured import from_structured
from spikeplan.eventdata.tonic_bridge import apply, from_tonic, to_tonic

FAR = 2**62


def at(*t_us: int) -> Events:
    count = len(t_us)
    zero = np.zeros(count, np.uint16)
    return Events(x=zero, y=zero, t_us=np.array(t_us, np.int64), p=np.ones(count, bool))


def with_header(path: Path, **changed: Any) -> Path:
    """A recording of ours with one event at 0, and a header that says something else."""
    header = {
        "format": "spikeplan-recording",
        "version": 1,
        "width": 4,
        "height": 4,
        "origin_us": 0,
        "offset_us": {},
        "span_us": [0, 1],
    } | changed
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    event = at(0)
    np.savez(path, header=text, x=event.x, y=event.y, t_us=event.t_us, p=event.p)
    return path


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"width": 2**40}, "sensor is 1099511627776x4; .*1 to 4096"),
        ({"width": 100_000, "height": 100_000}, "sensor is 100000x100000"),
        ({"span_us": [0, 10**30]}, "no integer of 63 bits"),
        ({"span_us": [0, float("inf")]}, "cannot convert float infinity"),
        ({"span_us": [5, 6]}, r"stamps in \[0, 1\) us leave the span \(5, 6\); widen it"),
    ],
)
def test_headers_of_ours(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    path = with_header(tmp_path / "absurd.npz", **changed)
    with pytest.raises(UserError, match=words):
        open_recording(path)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"early.{suffix}"
    for recording in (
        Recording(events=at(-50, 7), width=4, height=4, origin_us=3),
        Recording(events=at(0, 7), width=4, height=4, origin_us=FAR),
    ):
        with pytest.raises(UserError, match=f"{path}: event .: absolute stamp .* is no time"):
            write_recording(recording, path)
    assert not list(tmp_path.iterdir())
    write_recording(Recording(events=at(-50, 7), width=4, height=4, origin_us=50), path)
    assert next(open_events(path).chunks).t_us.tolist() == open_recording(path).events.t_us.tolist() == [-50, 7]


def test_silence_of_years_is_no_es(tmp_path: Path) -> None:
    """One byte each 127 us: a clock that jumps by 2^40 us took 8.7 GB."""
    with pytest.raises(UserError, match=r"years\.es: silence takes a byte each 127 us, here 8657571872 bytes"):
        write_recording(Recording(events=at(0, 2**40), width=4, height=4), tmp_path / "years.es")
    assert not list(tmp_path.iterdir())


def test_spans_that_int64_cannot_subtract(tmp_path: Path) -> None:
    recording = Recording(events=at(0, 9), width=4, height=4)
    path = tmp_path / "a.npz"
    write_recording(recording, path)
    for call in (
        lambda: recording.slice_us(-5, 10**30),
        lambda: open_slice(path, -(10**30), 5),
        lambda: histogram(at(-FAR, FAR), (4, 4), 3),
        lambda: histogram(at(0, 2**60), (4, 4), 8),  # the edges of its bins once wrapped without a word
        lambda: histogram(at(1), (4, 4), 2, span_us=(-(10**30), 10**30)),
        lambda: denoise(at(-FAR, FAR), (4, 4), 100),  # once "supported" by the event half an age before
        lambda: denoise(at(0, 5), (4, 4), 10**30),
        lambda: refractory(at(-FAR, FAR), (4, 4), 100),
        lambda: refractory(at(0, 5), (4, 4), 10**30),
    ):
        with pytest.raises(UserError, match="us"):
            call()
    assert histogram(at(0, 2**60), (4, 4), 3).sum() == 2
    assert len(refractory(at(0, 5), (4, 4), FAR)) == 1
    assert last_time_surface(at(0, 5), (1, 1), 1e-320).tolist() == [[[0.0]], [[1.0]]]


def test_stamps_of_hdf5_are_whole(tmp_path: Path) -> None:
    """A float that is no time became the smallest integer, with a warning."""
    path = tmp_path / "float.h5"
    with h5py.File(path, "w") as file:
        for name in ("x", "y", "p"):
            file[f"events/{name}"] = np.zeros(2, np.uint16)
        file["events/t"] = np.array([np.nan, 1e300])
    for read in (open_recording, open_events):
        with pytest.raises(UserError, match="events/t is float64; expected whole microseconds"):
            read(path)


def test_numbers_of_a_structured_array() -> None:
    for row, words in (
        ((1, np.nan, 1, 1), "event 0: y = nan"),
        ((1, 1, 2.0**70, 1), "event 0: stamp .* is no time"),
        ((1, 1, np.inf, 1), "event 0: stamp inf"),
    ):
        with pytest.raises(UserError, match=words):
            from_structured(np.array([row], [(name, "f8") for name in "xytp"]))
    with pytest.raises(UserError, match="event 0: stamp 18446744073709551615"):
        from_structured(np.array([(1, 1, 2**64 - 1, 1)], [(name, "u8") for name in "xytp"]))
    with pytest.raises(UserError, match="sensor_size"):
        from_tonic(to_tonic(at(0)), (4, 4))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:(tonic|librosa|importRosbag|numba|audioread).*")
def test_a_transform_that_leaves_the_span_widens_it() -> None:
    pytest.importorskip("tonic")
    recording = Recording(events=at(5, 9), width=4, height=4).slice_us(0, 10)

    def later(array: Any) -> Any:
        array["t"] += 100
        return array

    moved = apply(later, recording)
    assert isinstance(moved, Recording) and moved.span_us == (0, 110)
    assert sum(len(window.events) for window in moved.windows(50)) == 2
