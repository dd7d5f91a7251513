"""`spikeplan events ...` on made and on real files: facts, files that appear whole, refusals in one line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikeplan.eventdata import Events, Recording, open_recording
from spikeplan.eventdata.stats import MAX_BINS, pixel_intervals, stats
from spikeplan.eventdata.view import event_image, overlay
from spikeplan.experiments.cli.events_view import picture
from spikeplan.experiments.cli.main import main

CLIP = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))
needs_clip = pytest.mark.skipif(not CLIP.is_file(), reason="needs a DAVIS recording; name it in SPIKEPLAN_AEDAT4")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["events", *map(str, words)])
    return capsys.readouterr().out


def facts(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    return json.loads(run(capsys, *words, "--json"))


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["events", *map(str, words)])
    assert stop.value.code == 2
    # a busy machine says what it is doing before it refuses
    progress = re.compile(r"^\w+ing .*( \.\.\.| %)( \d+:\d\d.*)?$")
    lines = [line for line in capsys.readouterr().err.splitlines() if not progress.match(line)]
    assert len(lines) == 1
    return lines[0]


def hand_made() -> Recording:
    """Pixel (1, 0) at 0, 10, 40 us ON; pixel (2, 1) at 5, 25 us OFF."""
    events = Events(
        x=np.array([1, 2, 1, 2, 1], np.uint16),
        y=np.array([0, 1, 0, 1, 0], np.uint16),
        t_us=np.array([0, 5, 10, 25, 40]),
        p=np.array([True, False, True, False, True]),
    )
    return Recording(events=events, width=4, height=2)


def test_stats_by_hand() -> None:
    found = json.loads(json.dumps(stats(hand_made(), 20)))
    assert (found["events"], found["on"], found["off"], found["on_fraction"]) == (5, 3, 2, 0.6)
    assert found["rates"] == {"start_us": 0, "period_us": 20, "events": [3, 1, 1], "on": [2, 0, 1]}
    assert found["pixel_counts"] == {"mean": 5 / 8, "median": 0.0, "p99": pytest.approx(2.93), "max": 3, "silent": 0.75}
    assert sorted(pixel_intervals(hand_made().events).tolist()) == [10, 20, 30]
    assert found["intervals_us"]["sensor"] == {
        "count": 4,
        "mean": 10.0,
        "p1": 5.0,
        "median": 10.0,
        "p99": 15.0,
    }
    assert found["intervals_us"]["pixel"]["mean"] == 20.0


def test_stats_of_nothing_and_of_a_day() -> None:
    silent = json.loads(json.dumps(stats(Recording(events=Events.empty(), width=2, height=2))))
    assert silent["on_fraction"] is None and silent["intervals_us"] == {"sensor": None, "pixel": None}
    assert silent["rates"]["events"] == []
    day = hand_made().slice_us(0, 86_400_000_000)
    rates = stats(day, 1)["rates"]
    assert len(rates["events"]) <= MAX_BINS and sum(rates["events"]) == 5


def test_hottest_pixels_come_first() -> None:
    x = np.repeat(np.array([3, 9], np.uint16), (200, 400))
    events = Events(x=x, y=np.full(600, 4, np.uint16), t_us=np.arange(600), p=np.ones(600, bool))
    found = stats(Recording(events=events, width=16, height=16))
    assert found["hot_pixels"] == 2
    assert found["hottest"] == [{"x": 9, "y": 4, "events": 400}, {"x": 3, "y": 4, "events": 200}]


@needs_clip
def test_the_clip_through_convert_slice_and_stats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = facts(capsys, "info", CLIP)
    assert info["offset_us"] == {"imu": 678, "frames": 2954}
    for suffix in ("npz", "h5"):
        said = facts(capsys, "convert", CLIP, "--out", tmp_path / f"clip.{suffix}")
        assert (said["events"], said["lost"]) == (117_667, [])
        again = facts(capsys, "info", tmp_path / f"clip.{suffix}")
        assert {k: v for k, v in again.items() if k != "format"} == {k: v for k, v in info.items() if k != "format"}
    assert "not kept: 3 frames, 130 IMU samples" in run(capsys, "convert", CLIP, "--out", tmp_path / "clip.es")
    part = tmp_path / "part.h5"
    run(capsys, "slice", tmp_path / "clip.npz", "--out", part, "--start-us", 40_000, "--stop-us", 60_000)
    expected = open_recording(CLIP).slice_us(40_000, 60_000)
    found = open_recording(part)
    assert found.events.t_us.tolist() == expected.events.t_us.tolist() and found.span_us == (40_000, 60_000)
    assert (found.frame_t_us.tolist(), len(found.imu_t_us)) == ([40_568], 20)
    counted = facts(capsys, "stats", part)
    assert counted["rates"]["events"] == np.bincount((expected.events.t_us - 40_000) // 10_000).tolist()
    assert "▁" in run(capsys, "stats", CLIP) or "█" in run(capsys, "stats", CLIP)


@needs_clip
def test_view_draws_events_over_the_frame_of_the_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = open_recording(CLIP)
    run(capsys, "view", CLIP, "--out", tmp_path / "a.png", "--start-us", 60_000, "--stop-us", 70_000)
    with Image.open(tmp_path / "a.png") as image:
        shown = np.asarray(image)
    events = clip.slice_us(60_000, 70_000).events
    quiet = np.ones((260, 346), bool)
    quiet[events.y, events.x] = False
    assert clip.frames is not None
    assert np.array_equal(shown[quiet], np.repeat(clip.frames[1][quiet][:, None], 3, axis=1))
    assert (shown[~quiet] != clip.frames[1][~quiet][:, None]).any(axis=1).mean() > 0.99
    run(capsys, "view", CLIP, "--out", tmp_path / "a.gif", "--window-us", 20_000)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.size) == (7, (346, 260))
    before = picture(clip, 0, 500)  # no exposure has begun: white paper
    assert np.array_equal(before, event_image(clip.slice_us(0, 500).events, 260, 346))


def test_overlay_is_full_where_it_fired_often() -> None:
    frame = np.full((2, 4), 100, np.uint8)
    shown = overlay(frame, hand_made().events)
    assert shown[0, 1].tolist() == [255, 0, 0]  # three ON events
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[1, 2].tolist() == [33, 33, 203]  # two of three: 2/3 of the way from grey to blue


def test_nothing_is_overwritten_and_slips_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files
) -> None:
    path = files.make("dat", files.some(50))
    before = path.read_bytes()
    far = ("--start-us", 10**9, "--stop-us", 10**10)
    assert "cannot write this format" in refused(capsys, "convert", path, "--out", path)
    there = tmp_path / "there.npz"
    run(capsys, "convert", path, "--out", there)
    kept = there.read_bytes()
    assert "is there already" in refused(capsys, "convert", there, "--out", there)
    assert "is there already" in refused(capsys, "slice", path, "--out", there, "--start-us", 0, "--stop-us", 9)
    assert "ends before it starts" in refused(
        capsys, "slice", path, "--out", tmp_path / "b.npz", "--start-us", 9, "--stop-us", 0
    )
    assert "lies outside the recording" in refused(capsys, "slice", path, "--out", tmp_path / "b.npz", *far)
    assert "give a name that ends in .png, .gif" in refused(capsys, "view", path, "--out", tmp_path / "a.jpg")
    (tmp_path / "a.png").write_text("mine")
    assert "is there already" in refused(capsys, "view", path, "--out", tmp_path / "a.png")
    assert "pictures; give a longer --window-us" in refused(
        capsys, "view", path, "--out", tmp_path / "a.gif", "--window-us", 1
    )
    assert "lies outside the recording" in refused(capsys, "view", path, "--out", tmp_path / "b.png", *far)
    for spans, said in (((5, 5), "holds no time"), ((9, 5), "ends before it starts"), ((0, 10**30), "is no time")):
        flags = ("--start-us", spans[0], "--stop-us", spans[1])
        for name in ("b.png", "b.gif"):
            assert said in refused(capsys, "view", path, "--out", tmp_path / name, *flags)
    assert "is no time" in refused(
        capsys, "slice", path, "--out", tmp_path / "b.h5", "--start-us", 0, "--stop-us", 10**30
    )
    assert "less than 2^62" in refused(capsys, "stats", path, "--period-us", 10**30)
    assert "bins of 0 us" in refused(capsys, "stats", path, "--period-us", 0)
    assert there.read_bytes() == kept and path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.png", "dat.dat", "there.npz"]


def test_silence_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], files) -> None:
    """A recording without events has facts, a copy and a tensor of zeros, but no picture and no slice."""
    for kind in ("dat", "es", "evt2", "evt3", "dsec", "rosbag"):
        path = files.make(kind, files.some(0))
        assert facts(capsys, "info", path)["events"] == facts(capsys, "stats", path)["events"] == 0
        assert facts(capsys, "denoise", path)["kept_percent"] is None
        for suffix in ("npz", "h5", "es"):
            run(capsys, "convert", path, "--out", tmp_path / f"{kind}.copy.{suffix}")
            assert len(open_recording(tmp_path / f"{kind}.copy.{suffix}").events) == 0
        for representation in ("histogram", "voxel", "surface"):
            out = tmp_path / f"{kind}.{representation}.npz"
            run(capsys, "represent", path, "--out", out, "--kind", representation)
            assert not np.load(out)["tensor"].any()
        assert "covers no time" in refused(capsys, "view", path, "--out", tmp_path / "silent.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], files) -> None:
    path = files.make("dat", files.some(50))
    (shut := tmp_path / "shut").mkdir(mode=0o500)
    for words in (
        ("convert", path, "--out", shut / "a.npz"),
        ("view", path, "--out", shut / "a.png"),
        ("represent", path, "--out", shut / "a.npz"),
    ):
        assert "cannot be written" in refused(capsys, *words)


def test_a_disk_that_takes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], files) -> None:
    """/proc takes no file, from root neither: the name that was asked for is said, not a temporary one."""
    path = files.make("dat", files.some(50))
    for words in (
        ("convert", path, "--out", "/proc/a.npz"),
        ("view", path, "--out", "/proc/a.png"),
        ("represent", path, "--out", "/proc/a.npz"),
    ):
        said = refused(capsys, *words)
        assert f"{words[3]}" in said and ".part" not in said and "cannot" in said and "cannot be read" not in said
