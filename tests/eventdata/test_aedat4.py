"""The AEDAT4 reader against the real DAVIS clip, whole and damaged."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording, info, open_recording
from spikeplan.eventdata.formats.aedat4 import open_aedat4

ROOT = Path(__file__).resolve().parents[2]
CLIP = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))
needs_clip = pytest.mark.skipif(not CLIP.is_file(), reason="needs a DAVIS recording; name it in SPIKEPLAN_AEDAT4")
HEADER_END = 3126  # of the clip: its first packet begins here


@pytest.fixture(scope="module")
def clip() -> Recording:
    return open_recording(CLIP)


@needs_clip
def test_info_of_the_clip(clip: Recording) -> None:
    found = json.loads(json.dumps(info(clip, CLIP)))
    expected = {
        "format": "aedat4",
        "width": 346,
        "height": 260,
        "events": 117_667,
        "frames": 3,
        "imu": 130,
        "triggers": 15,
        "offset_us": {"imu": 678, "frames": 2954},
        "first_t_us": 0,
        "last_t_us": 129_999,
        "duration_us": 129_999,
        "origin_us": 1_633_953_690_975_950,
        "monotonic": True,
        "frame_rate": 25.0,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["rate_mean"] == pytest.approx(117_667 / 0.129999)
    assert found["imu_rate"] == pytest.approx(1000, rel=1e-3)
    busiest = max(np.bincount(clip.events.t_us // 1000))
    assert found["rate_peak"] == busiest * 1000
    assert found["on_fraction"] == clip.events.p.sum() / 117_667


@needs_clip
def test_all_streams_share_the_events_clock(clip: Recording) -> None:
    assert clip.imu_t_us[0] == 678
    # The camera's own triggers mark the exposure: source 8 starts it, source 9 ends it.
    exposure = {source: clip.triggers["t_us"][clip.triggers["source"] == source] for source in (8, 9)}
    assert clip.frame_t_us.tolist() == exposure[8][:3].tolist() == [568, 40_568, 80_568]
    assert (clip.frame_t_us + clip.exposure_us).tolist() == exposure[9][:3].tolist()
    # The file's frame stamp, hence the offset, is mid-exposure.
    assert clip.offset_us["frames"] == clip.frame_t_us[0] + clip.exposure_us[0] // 2


@needs_clip
def test_imu_is_in_si_units(clip: Recording) -> None:
    assert clip.imu is not None and clip.imu.shape == (130, 6)
    gravity = np.linalg.norm(clip.imu[:, :3], axis=1)  # a resting arm: m/s^2, neither g nor cm/s^2
    assert np.all(np.abs(gravity - 9.8) < 0.5)
    # first sample by hand: -0.99121094 g, 6.4544673 deg/s
    assert clip.imu[0, 1] == pytest.approx(-0.99121094 * 9.80665, rel=1e-6)
    assert clip.imu[0, 3] == pytest.approx(0.11265171, rel=1e-6)


@needs_clip
def test_windows_of_the_clip_hold_every_event(clip: Recording) -> None:
    counts = [len(part.events) for part in clip.windows(1000)]
    assert sum(counts) == 117_667 and len(counts) == 135  # triggers go on until 134,794 us: five silent windows
    assert counts[130:] == [0] * 5


@needs_clip
@pytest.mark.parametrize("size", [0, 5, 16, 1000, HEADER_END, HEADER_END + 4, 100_000, 1_190_063, 1_190_062])
def test_truncated_files_say_so(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.aedat4"
    path.write_bytes(CLIP.read_bytes()[:size])
    if size == 1_190_063:  # only the index at the end is lost
        assert info(open_recording(path))["events"] == 117_667
        return
    with pytest.raises(UserError, match=r"cut\.aedat4: .*(empty|does not start with|truncated).*; "):
        open_aedat4(path)


@needs_clip
def test_a_killed_recorder_leaves_a_readable_file(tmp_path: Path) -> None:
    """Without data table (position -1 in the header) the packets are walked to the end of the file."""
    data = CLIP.read_bytes()[:1_190_063]
    position = (1_190_063).to_bytes(8, "little")
    at = data.index(position, 18, 200)
    path = tmp_path / "killed.aedat4"
    path.write_bytes(data[:at] + (-1).to_bytes(8, "little", signed=True) + data[at + 8 :])
    assert len(open_aedat4(path).events) == 117_667
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="packet at byte .* needs 77 bytes, 67 left"):
        open_aedat4(path)


DAMAGED = """
import sys
from spikeplan.eventdata.formats.aedat4 import open_aedat4
from spikeplan.core.errors import UserError
for path in sys.argv[1:]:
    try:
        open_aedat4(path)
        print("read")
    except UserError as error:
        assert str(error).startswith(path) and "\\n" not in str(error) and ";" in str(error), error
        print("refused")
"""


def damage(whole: bytes, rng: random.Random) -> bytes:
    """A byte flip where the structure is (header, packet heads) or anywhere, or a cut."""
    spots = [(14, HEADER_END), (HEADER_END, 3330), (80_228, 80_830), (166_364, 166_480), (0, len(whole))]
    at = rng.randrange(*rng.choice(spots))
    if rng.random() < 0.25:
        return whole[:at]
    value = rng.choice([0, 127, 128, 0xD0, 255, whole[at] ^ (1 << rng.randrange(8))])
    return whole[:at] + bytes([value]) + whole[at + 1 :]


@needs_clip
def test_two_hundred_damaged_files_neither_crash_nor_hang(tmp_path: Path) -> None:
    """In a process of its own: the bare decoder aborts the interpreter on some of these."""
    whole, rng = CLIP.read_bytes(), random.Random(20)
    paths = [tmp_path / f"{case}.aedat4" for case in range(200)]
    for path in paths:
        path.write_bytes(damage(whole, rng))
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DAMAGED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    verdicts = done.stdout.split()
    assert len(verdicts) == 200
    assert verdicts.count("refused") > 100  # the rest hit pixels, names or stamps, which carry no checksum


@needs_clip
def test_a_header_that_is_not_utf8_is_refused_before_the_decoder_aborts(tmp_path: Path) -> None:
    data = bytearray(CLIP.read_bytes())
    data[data.index(b"Array of events")] = 0xD0
    path = tmp_path / "name.aedat4"
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged header .*utf-8"):
        open_aedat4(path)


def clip_with(path: Path, at: int, value: int) -> Path:
    data = bytearray(CLIP.read_bytes())
    data[at] = value
    path.write_bytes(data)
    return path


@needs_clip
@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (3126, 9, "packet of undeclared stream 9 at byte 3126"),
        (3141, 0, "damaged .assertion failed"),  # an LZ4 block of size 0: the decoder panics, a BaseException
        (3180, 0, "trigger 1: stamp -1633953690975950 us follows 568 us"),
        (3199, 255, "stamp 18376320433362604971 us at row 1 exceeds int64"),
    ],
)
def test_each_kind_of_damage_is_told_apart(tmp_path: Path, at: int, value: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_aedat4(clip_with(tmp_path / "damaged.aedat4", at, value))


@needs_clip
def test_a_cut_file_says_how_much_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "cut.aedat4"
    path.write_bytes(CLIP.read_bytes()[:100_000])
    with pytest.raises(UserError, match="truncated, 100000 bytes of at least 1190063"):
        open_aedat4(path)


@needs_clip
def test_sort_reads_what_is_refused_without_it(tmp_path: Path) -> None:
    path = clip_with(tmp_path / "back.aedat4", 3193, 127)  # the second trigger's stamp: 221 us after 568 us
    with pytest.raises(UserError, match="trigger 1: stamp 221 us follows 568 us .*sort=True"):
        open_recording(path)
    assert open_recording(path, sort=True).triggers["t_us"][:2].tolist() == [221, 568]


def test_foreign_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; give the path"):
        open_recording(tmp_path / "absent.aedat4")
    with pytest.raises(UserError, match="not a regular file"):
        open_recording(tmp_path)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(UserError, match=r"unknown recording format; this build reads \.aedat4"):
        open_recording(text)
    foreign = text.rename(tmp_path / "notes.AEDAT4")
    with pytest.raises(UserError, match="does not start with #!AER-DAT4.0"):
        open_recording(foreign)


@needs_clip
def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "clip.bin"
    path.write_bytes(CLIP.read_bytes())
    assert len(open_recording(path).events) == 117_667


def test_info_of_nothing_and_of_one_hot_pixel() -> None:
    silent = json.loads(json.dumps(info(Recording(events=Events.empty(), width=8, height=8))))
    assert (silent["events"], silent["rate_mean"], silent["rate_peak"], silent["on_fraction"]) == (0, None, 0.0, None)
    hot = Events(
        x=np.full(50, 7, np.uint16),
        y=np.full(50, 0, np.uint16),
        t_us=np.arange(50) * 86_400_000_000,
        p=np.ones(50, bool),
    )  # one event a day: the peak rate must not allocate a day of bins
    found = info(Recording(events=hot, width=8, height=8))
    assert (found["hot_pixels"], found["rate_peak"], found["on_fraction"]) == (1, 1000.0, 1.0)
    busy = Events(
        x=np.append(np.tile(np.arange(3, dtype=np.uint16), 6), np.ones(40, np.uint16)),
        y=np.append(np.repeat(np.arange(3, dtype=np.uint16), 6), np.ones(40, np.uint16)),
        t_us=np.arange(58),
        p=np.ones(58, bool),
    )  # 2 events in each neighbour, 42 in the middle: above 10 * (their mean + 1), not above 10 * (their sum + 1)
    assert info(Recording(events=busy, width=3, height=3))["hot_pixels"] == 1
    row = Events(
        x=np.tile(np.arange(8, dtype=np.uint16), 50),
        y=np.zeros(400, np.uint16),
        t_us=np.arange(400),
        p=np.ones(400, bool),
    )
    assert info(Recording(events=row, width=8, height=8))["hot_pixels"] == 0
