"""`spikeplan events simulate | represent | denoise | validate | bench`, from the words to the files."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording
from spikeplan.experiments.bench import events as bench_events
from spikeplan.experiments.cli import events_process
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.main_study.frames import arm_frames, read_frames


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["events", *words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("spikeplan: ")
    return said


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """What open_recording gives for any file: a pair of neighbours every 5 ms, and a lonely event late."""
    t_us = np.array([0, 10, 5000, 5010, 10_000, 10_010, 29_999])
    x = np.array([1, 2, 1, 2, 1, 2, 7], np.uint16)
    events = Events(x=x, y=np.full(7, 3, np.uint16), t_us=t_us, p=np.arange(7) % 2 == 0)
    made = Recording(events=events, width=9, height=6)
    monkeypatch.setattr(events_process, "open_recording", lambda path: made)
    return made


def test_the_arm_is_simulated_and_seeded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        main(["events", "simulate", "--out", str(tmp_path / f"{name}.npz"), "--control-steps", "1", "--seed", seed])
    assert "48x48 pixels in 0.1 s" in capsys.readouterr().out
    a, b, c = (np.load(tmp_path / f"{name}.npz") for name in "abc")
    assert {"x", "y", "t_us", "p"} <= set(a.files) and len(a["t_us"]) > 300
    assert np.array_equal(a["t_us"], b["t_us"]) and not np.array_equal(a["t_us"], c["t_us"])
    assert a["t_us"].dtype == np.int64 and a["t_us"].min() >= 0 and a["t_us"].max() <= 100_000


def test_a_folder_of_frames_in_order_of_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """frame10 comes after frame9: brightness rises throughout, so every event is ON. sRGB 255 is radiance 1."""
    frames = tmp_path / "frames"
    frames.mkdir()
    for k in range(1, 12):
        Image.fromarray(np.full((4, 5), 20 * k, np.uint8)).save(frames / f"frame{k}.png")
    (frames / "notes.txt").write_text("no frame")
    values = [float(frame[0, 0]) for frame in read_frames(frames)]
    assert values == sorted(values) and len(values) == 11
    assert values[0] == pytest.approx(((20 / 255 + 0.055) / 1.055) ** 2.4, rel=1e-5)
    linear = [float(frame[0, 0]) for frame in read_frames(frames, linear=True)]
    assert linear[-1] == pytest.approx(220 / 255)
    main(
        [
            "events",
            "simulate",
            "--out",
            str(tmp_path / "o.npz"),
            "--frames",
            str(frames),
            "--rate-hz",
            "100",
            "--theta-sigma",
            "0",
            "--shot-noise-hz",
            "0",
            "--leak-hz",
            "0",
        ]
    )
    out = np.load(tmp_path / "o.npz")
    assert out["p"].all() and len(out["p"]) >= 20 * 10
    assert "5x4 pixels in 0.1 s" in capsys.readouterr().out


def test_what_was_written_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, tensor = tmp_path / "o.npz", tmp_path / "r.npz"
    main(["events", "simulate", "--out", str(out), "--control-steps", "1", "--size", "16", "--seed", "3", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["events"] == len(np.load(out)["t_us"]) > 0
    assert (facts["width"], facts["height"], facts["duration_us"], facts["seed"]) == (16, 16, 100_000, 3)
    assert facts["params"]["refractory_us"] == 500
    main(["events", "represent", str(out), "--out", str(tensor), "--window-us", "50000", "--bins", "3", "--json"])
    facts = json.loads(capsys.readouterr().out)
    stored = np.load(tensor)["tensor"]
    assert facts["shape"] == list(stored.shape) and facts["windows"] == len(stored) >= 2 and facts["kind"] == "voxel"


def test_arrays_colour_and_sixteen_bits(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.full((2, 3, 4, 3), [1.0, 0.0, 0.0], np.float32))
    assert next(read_frames(tmp_path / "f.npy"))[0, 0] == pytest.approx(0.2126)
    np.save(tmp_path / "u.npy", np.full((2, 3, 4), 65535, np.uint16))
    assert next(read_frames(tmp_path / "u.npy"))[0, 0] == pytest.approx(1.0)
    deep = tmp_path / "deep"
    deep.mkdir()
    Image.fromarray(np.full((3, 4), 65535, np.uint16)).save(deep / "0.png")
    assert next(read_frames(deep))[0, 0] == pytest.approx(1.0)
    assert len(list(arm_frames(2, 100, 16, 0))) == 21


def test_represent_puts_windows_in_a_row(
    tmp_path: Path, recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.npz"
    main(
        ["events", "represent", "clip", "--out", str(out), "--kind", "histogram", "--bins", "2", "--window-us", "10000"]
    )
    found = np.load(out)
    assert found["tensor"].shape == (3, 2, 2, 6, 9) and found["t_us"].tolist() == [0, 10_000, 20_000]
    # bins belong to the window, not to the events in it: 10,000 and 10,010 us lie in the first half of the second window
    assert found["tensor"].sum((2, 3, 4)).tolist() == [[2, 2], [2, 0], [0, 1]]
    grid = tmp_path / "grid.npz"
    main(["events", "represent", "clip", "--out", str(grid), "--window-us", "10000", "--polarity", "sum"])
    voxels = np.load(grid)["tensor"]
    assert voxels[2].sum() == voxels[2, 4, 0, 3, 7] == 1  # 29,999 us is the last instant of the third window
    for kind, shape in (("voxel", (1, 5, 1, 6, 9)), ("surface", (1, 2, 6, 9))):
        out = tmp_path / f"{kind}.npz"
        main(["events", "represent", "clip", "--out", str(out), "--kind", kind])
        assert np.load(out)["tensor"].shape == shape
    assert "tensor (3, 2, 2, 6, 9) float32" in capsys.readouterr().out


def test_denoise_prints_what_is_kept(tmp_path: Path, recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    main(["events", "denoise", "clip", "--window-us", "100"])
    assert "kept 42.9 %" in capsys.readouterr().out  # the later of each pair: 3 of 7
    out = tmp_path / "d.npz"
    main(["events", "denoise", "clip", "--window-us", "100", "--refractory-us", "20000", "--out", str(out), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["stages"] == {"refractory": pytest.approx(300 / 7), "denoise": pytest.approx(100 / 7)}
    assert (facts["events"], facts["kept"], facts["kept_percent"]) == (7, 1, pytest.approx(100 / 7))
    assert np.load(out)["t_us"].tolist() == [10]


def test_validate_prints_a_table_and_writes_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["events", "validate", "--json", str(tmp_path / "v.json")])
    assert stop.value.code == 0
    rows = json.loads((tmp_path / "v.json").read_text())
    assert all(row["holds"] for row in rows) and "simulated sensor" in capsys.readouterr().out


def test_bad_words_end_in_one_line(tmp_path: Path, recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    out, taken = str(tmp_path / "o.npz"), tmp_path / "taken.npz"
    taken.write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_text("no image")
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "loud.npy", np.full((2, 3, 3), 7.0))
    for words, said in (
        (["simulate", "--out", str(tmp_path / "o.h5")], "give a name that ends in .npz"),
        (["simulate", "--out", str(taken)], "is there already"),
        (["simulate", "--out", str(tmp_path / "no" / "o.npz")], "no folder"),
        (["simulate", "--out", out, "--frames", str(tmp_path / "empty")], "holds no image"),
        (["simulate", "--out", out, "--frames", str(tmp_path / "bad")], "1.png: cannot be read as an image"),
        (["simulate", "--out", out, "--frames", str(tmp_path / "flat.npy")], "expected frames (T, H, W)"),
        (["simulate", "--out", out, "--frames", str(tmp_path / "loud.npy")], "loud.npy: frame 0: radiance from 7 to 7"),
        (["simulate", "--out", out, "--frames", str(tmp_path / "none")], "neither a folder"),
        (["simulate", "--out", out, "--rate-hz", "0"], "must be in [1e-6, 1e6]"),
        (["simulate", "--out", out, "--rate-hz", "nan"], "must be in [1e-6, 1e6]"),
        (["simulate", "--out", out, "--rate-hz", "1"], "gives no frame"),
        (["simulate", "--out", out, "--theta", "0"], "--theta 0.0"),
        (["simulate", "--out", out, "--size", "2"], "at least 8x8"),
        (["simulate", "--out", out, "--seed", "-1"], "--seed"),
        (["represent", "clip", "--out", out, "--kind", "photo"], "use one of histogram, voxel, surface"),
        (["represent", "clip", "--out", out, "--polarity", "up"], "use one of both, signed"),
        (
            ["represent", "clip", "--out", out, "--kind", "surface", "--polarity", "on"],
            "--kind surface does not use --polarity",
        ),
        (["represent", "clip", "--out", out, "--bins", "0"], "at least 1"),
        (["represent", "clip", "--out", out, "--window-us", "0"], "at least 1"),
        (["represent", "clip", "--out", out, "--bins", "100000", "--window-us", "1"], "longer --window-us"),
        (["denoise", "clip", "--window-us", "0"], "at least 1"),
        (["denoise", "clip", "--neighbours", "5"], "use one of 4, 8"),
        (["denoise", "clip", "--out", str(taken)], "is there already"),
    ):
        assert said in refused(words, capsys), words
    assert taken.read_text() == "mine" and not Path(out).exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:(tonic|librosa|importRosbag|numba|audioread).*")
def test_the_bench_measures_both_sides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small sizes: names, sides and the rule of `holds`, not the speed."""
    pytest.importorskip("tonic")
    rows = bench_events.against_tonic(bench_events.made_events(3000), lambda: None, 600, 1)
    rows.append(bench_events.reader_row(bench_events.made_events(3000), 1))
    rows.append(bench_events.clip_row(tmp_path / "none.aedat4", 1))
    rows.append(bench_events.simulator_row(bench_events.moving_texture(4, 26, 34), 1))
    assert [row.name for row in rows] == [
        "histogram_vs_tonic",
        "voxel_vs_tonic",
        "denoise_vs_tonic",
        "refractory_vs_tonic",
        "read_vs_decoder",
        "read_vs_decoder_clip",
        "simulator_frames_per_s",
    ]
    for row in rows[:5]:
        assert row.ours > 0 < row.other and row.holds == (row.ratio >= float(row.goal[3:]))
    assert (rows[5].ours, rows[5].holds) == (None, None) and "not available" in rows[5].unit
    assert rows[6].holds == (rows[6].ours >= 150)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_frames_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each names the file, or the frame of the array, that is wrong."""
    for name, array in (
        ("object", np.array([None, 1], object)),
        ("nan", np.full((2, 3, 3), np.nan)),
        ("deep", np.full((2, 3, 3), 10**12)),
        ("signed", np.full((2, 3, 3), -5, np.int16)),
        ("wide", np.zeros((2, 1, 70_000), np.uint8)),
        ("thin", np.zeros((2, 0, 3))),
    ):
        np.save(tmp_path / f"{name}.npy", array)
    with (tmp_path / "archive.npy").open("wb") as handle:
        np.savez(handle, frames=np.zeros(3))
    for name, images in (
        ("sizes", (np.zeros((4, 4), np.uint8), np.zeros((5, 6), np.uint8))),
        ("huge", (png_that_claims(60_000, 60_000),)),
        ("large", (png_that_claims(12_000, 12_000),)),
        ("cut", (png_that_claims(4, 4)[:40],)),
    ):
        (tmp_path / name).mkdir()
        for k, image in enumerate(images):
            path = tmp_path / name / f"{k}.png"
            path.write_bytes(image) if isinstance(image, bytes) else Image.fromarray(image).save(path)
    out = tmp_path / "o.npz"
    for name, said in (
        ("object.npy", "cannot be read as .npy"),
        ("nan.npy", "nan.npy: frame 0: radiance from nan"),
        ("deep.npy", "pixels are int64"),
        ("signed.npy", "pixels are int16"),
        ("wide.npy", "at most 4096 pixels a side"),
        ("thin.npy", "thin.npy: frame 0: frame of 3x0 pixels"),
        ("archive.npy", "cannot be read as .npy"),
        ("sizes", "1.png: 6x5 after 4x4 pixels"),
        ("huge", "0.png: cannot be read as an image"),
        ("large", "0.png: cannot be read as an image"),
        ("cut", "0.png: cannot"),
    ):
        assert said in refused(["simulate", "--out", str(out), "--frames", str(tmp_path / name)], capsys), name
        assert not out.exists()


def test_numbers_no_run_could_bear(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "o.npz")
    for flag, value, said in (
        ("--control-steps", 10**30, "at most 1000000 in one recording"),
        ("--size", 65_537, "at most 4096"),
        ("--theta", "inf", "--theta inf"),
        ("--cutoff-hz", "inf", "--cutoff-hz inf"),
        ("--leak-hz", "inf", "--leak-hz inf"),
        ("--shot-noise-hz", "1e300", "--shot-noise-hz 1e+300"),
        ("--refractory-us", 10**30, "--refractory-us 1"),
        ("--rate-hz", "1e-300", "rate 1e-300 Hz"),
    ):
        assert said in refused(["simulate", "--out", out, flag, str(value)], capsys)
    assert "values" in refused(["represent", "clip", "--out", out, "--bins", str(10**30)], capsys)
    assert "exceed 64 bits" in refused(["denoise", "clip", "--window-us", str(10**30)], capsys)
    assert "exceed 64 bits" in refused(["denoise", "clip", "--refractory-us", str(10**30)], capsys)
    assert "--json ''" in refused(["validate", "--json", ""], capsys)
    assert "--json" in refused(["validate", "--json", str(tmp_path)], capsys)

    def large(*_: object) -> None:
        raise MemoryError("Unable to allocate\n9 TiB")

    monkeypatch.setattr(events_process, "open_recording", large)
    assert "out of memory (Unable to allocate 9 TiB)" in refused(["denoise", "clip"], capsys)
    assert not list(tmp_path.iterdir())


def test_frames_name_the_broken_file(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY garbage")
    with pytest.raises(UserError, match=r"x\.npy: cannot be read as \.npy"):
        read_frames(tmp_path / "x.npy")
