"""Tonic's data sets from small synthetic trees in their layouts: labels, splits, partial copies, sensor clocks.

Bags and HDF5 are skipped where their libraries are missing.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import readers
from spikeplan.eventdata.datasets import LAYOUTS, TonicView, open_dataset
from spikeplan.eventdata.transforms import Histogram

ROOT = Path(__file__).resolve().parents[2]
START_S = 1_468_941_032  # of the bags: an absolute clock, far beyond 2^31 us
IMU_LATE_US, FRAMES_LATE_US = 678, 2954

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(tonic|librosa|importRosbag|numba|audioread).*")


def read(dataset: Any, index: int) -> Any:
    try:
        return dataset[index]
    except UserError as error:
        if "is missing; pip install" in str(error):
            pytest.skip(str(error))
        raise


def nmnist_bytes(events: list[tuple[int, int, int, int]]) -> bytes:
    """x, y, then polarity and 23 bits of time, high byte first."""
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, t, p in events)


@pytest.fixture
def nmnist(tmp_path: Path) -> Path:
    for split, digits in (("Train", (3, 0)), ("Test", (7,))):
        for digit in digits:
            folder = tmp_path / "NMNIST" / split / str(digit)
            folder.mkdir(parents=True)
            for number in (1, 2):
                rows = [(digit, 4, 937 + number, 1), (5, 240, 0, 0), (6, 7, 20, 0)]  # y = 240: add 2^13 from here on
                (folder / f"0000{number}.bin").write_bytes(nmnist_bytes(rows))
    (tmp_path / "NMNIST" / "Train" / "readme.txt").write_text("not an event file")
    return tmp_path


def test_nmnist(nmnist: Path) -> None:
    train = open_dataset("NMNIST", nmnist, split="train", allow_partial=True)
    assert [sample.label for sample in train.samples] == [0, 0, 3, 3]
    assert len(open_dataset("NMNIST", nmnist / "NMNIST", allow_partial=True)) == 6
    recording, label = read(train, 2)
    assert (recording.width, recording.height, label) == (34, 34, 3)
    assert recording.events.x.tolist() == [3, 6] and recording.events.p.tolist() == [True, False]
    assert (recording.events.t_us + recording.origin_us).tolist() == [938, 20 + 2**13]
    assert len(train[1:3]) == 2 and train[1:3][1][1] == 3


def test_nmnist_equals_tonics_reader(nmnist: Path) -> None:
    io = pytest.importorskip("tonic.io")
    dataset = open_dataset("NMNIST", nmnist, allow_partial=True)
    view = TonicView(dataset)
    array, _ = read(view, 0)
    theirs = io.read_mnist_file(str(dataset.samples[0].path), dtype=np.dtype([(n, int) for n in "xytp"]))
    for name in "xytp":
        assert np.array_equal(array[name], theirs[name])
    frames, label = TonicView(dataset, Histogram((34, 34, 2), 2))[0]
    assert frames.shape == (2, 2, 34, 34) and frames.sum() == 2 and label == dataset.samples[0].label


def test_dvs_gesture_in_microseconds(tmp_path: Path) -> None:
    folder = tmp_path / "ibmGestureTest" / "user24_fluorescent_led"
    folder.mkdir(parents=True)
    for label in (10, 2):
        np.save(folder / f"{label}.npy", np.array([[1, 2, 1, 5], [3, 4, 0, 7]], np.float64))
    dataset = open_dataset("DVSGesture", tmp_path, split="test", allow_partial=True)
    assert sorted(sample.label for sample in dataset.samples if sample.label is not None) == [2, 10]
    recording, _ = read(dataset, 0)
    assert (recording.events.t_us + recording.origin_us).tolist() == [5000, 7000]
    assert recording.events.p.tolist() == [True, False] and recording.width == 128


def test_dsec_finds_both_layouts_and_keeps_its_offset(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for place in ("thun_00_a/events_left", "thun_00_a/events_right", "test/thun_01_a/events/left"):
        folder = tmp_path / "DSEC" / place
        folder.mkdir(parents=True)
        with h5py.File(folder / "events.h5", "w") as file:
            for name, values in (("x", [1, 639]), ("y", [2, 479]), ("t", [3, 9]), ("p", [0, 1])):
                file[f"events/{name}"] = np.array(values, np.uint32 if name == "t" else np.uint16)
            file["t_offset"], file["ms_to_idx"] = np.int64(START_S * 10**6), np.array([0], np.uint64)
    dataset = open_dataset("DSEC", tmp_path, allow_partial=True)
    assert [sample.split for sample in dataset.samples] == ["test", "train"]
    assert len(open_dataset("DSEC", tmp_path, camera="right", allow_partial=True)) == 1
    pytest.importorskip("hdf5plugin")
    recording, label = read(dataset, 0)
    assert (recording.width, recording.height, label) == (640, 480, None)
    assert recording.events.t_us.tolist() == [0, 6] and recording.origin_us == START_S * 10**6 + 3


DVS_EVENT = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
DVS_ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"


def write_bag(path: Path, prefixes: tuple[str, ...]) -> None:
    """Two packets of events, an IMU sample and an image a camera; IMU and images start late, as in davis.aedat4."""
    rosbag1, typesys = pytest.importorskip("rosbags.rosbag1"), pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC)
    for name, text in (("dvs_msgs/msg/Event", DVS_EVENT), ("dvs_msgs/msg/EventArray", DVS_ARRAY)):
        store.register(typesys.get_types_from_msg(text, name))
    types = store.types

    def stamp(us: int) -> Any:
        return types["builtin_interfaces/msg/Time"](sec=START_S, nanosec=us * 1000)

    def header(us: int) -> Any:
        return types["std_msgs/msg/Header"](seq=0, stamp=stamp(us), frame_id="cam")

    def vector(*xyz: float) -> Any:
        return types["geometry_msgs/msg/Vector3"](**dict(zip("xyz", xyz, strict=True)))

    path.parent.mkdir(parents=True, exist_ok=True)
    with rosbag1.Writer(path) as writer:
        for camera, prefix in enumerate(prefixes):
            made: list[tuple[str, str, int, Any]] = []
            for us in (10, 3000):
                rows = [
                    types["dvs_msgs/msg/Event"](x=camera, y=k, ts=stamp(us + k), polarity=bool(k % 2)) for k in range(3)
                ]
                array = types["dvs_msgs/msg/EventArray"](header=header(us), height=180, width=240, events=rows)
                made.append(("events", "dvs_msgs/msg/EventArray", us, array))
            us = 10 + IMU_LATE_US
            imu = types["sensor_msgs/msg/Imu"](
                header=header(us),
                orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
                orientation_covariance=np.zeros(9),
                angular_velocity=vector(0.1, 0.2, 0.3),
                angular_velocity_covariance=np.zeros(9),
                linear_acceleration=vector(1.0, 2.0, 9.8),
                linear_acceleration_covariance=np.zeros(9),
            )
            made.append(("imu", "sensor_msgs/msg/Imu", us, imu))
            us = 10 + FRAMES_LATE_US
            image = types["sensor_msgs/msg/Image"](
                header=header(us),
                height=180,
                width=240,
                encoding="mono8",
                is_bigendian=0,
                step=240,
                data=np.full(180 * 240, 7, np.uint8),
            )
            made.append(("image_raw", "sensor_msgs/msg/Image", us, image))
            topics = {
                topic: writer.add_connection(f"{prefix}{topic}", kind, typestore=store) for topic, kind, *_ in made[1:]
            }
            for topic, kind, us, message in made:
                writer.write(topics[topic], START_S * 10**9 + us * 1000, store.serialize_ros1(message, kind))


def assert_clocks(recording: Any) -> None:
    """One clock: Tonic would put all three streams at zero."""
    assert recording.origin_us == START_S * 10**6 + 10
    assert recording.events.t_us.tolist() == [0, 1, 2, 2990, 2991, 2992]
    assert recording.imu_t_us.tolist() == [IMU_LATE_US] and recording.frame_t_us.tolist() == [FRAMES_LATE_US]
    assert recording.imu[0].tolist() == pytest.approx([1, 2, 9.8, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("name", "file"), [("DAVISDATA", "shapes_6dof.bag"), ("VPR", "dvs_vpr_2020-04-21-17-03-03.bag")]
)
def test_bags_keep_the_sensors_clocks(tmp_path: Path, name: str, file: str) -> None:
    write_bag(tmp_path / name / file, ("/dvs/",))
    recording, label = read(open_dataset(name, tmp_path, allow_partial=True), 0)
    assert label is None
    assert_clocks(recording)


def test_mvsec_chooses_a_camera(tmp_path: Path) -> None:
    write_bag(tmp_path / "MVSEC" / "indoor_flying" / "indoor_flying1_data.bag", ("/davis/left/", "/davis/right/"))
    (tmp_path / "MVSEC" / "indoor_flying" / "indoor_flying1_gt.bag").write_bytes(b"")
    for number, camera in enumerate(("left", "right")):
        dataset = open_dataset("MVSEC", tmp_path, split="indoor_flying", camera=camera, allow_partial=True)
        assert len(dataset) == 1
        recording, _ = read(dataset, 0)
        assert_clocks(recording)
        assert recording.events.x.tolist() == [number] * 6


def test_partial_copies_and_wrong_roots(nmnist: Path, tmp_path: Path) -> None:
    for call, words in (
        (lambda: open_dataset("NMNIST", nmnist), "6 of 70000 files of NMNIST; complete it, or pass allow_partial=True"),
        (lambda: open_dataset("NMNIST", nmnist, split="test"), "2 of 10000"),
        (lambda: open_dataset("VPR", nmnist, allow_partial=True), "holds no file of VPR"),
        (lambda: open_dataset("NMNIST", tmp_path / "none"), "no such folder"),
        (lambda: open_dataset("SHD", nmnist), "unknown; use one of NMNIST"),
        (lambda: open_dataset("NMNIST", nmnist, split="dev"), "use one of train, test"),
        (lambda: open_dataset("NMNIST", nmnist, camera="right"), "use left$"),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_a_data_set_opens_no_file_and_writes_none(nmnist: Path) -> None:
    """Paths alone: a broken file is found when it is asked for, and then named."""
    before = sorted(nmnist.rglob("*"))
    broken = nmnist / "NMNIST" / "Train" / "0" / "00001.bin"
    broken.write_bytes(b"\x01\x02\x03")
    dataset = open_dataset("NMNIST", nmnist, split="train", allow_partial=True)
    with pytest.raises(UserError, match="00001.bin"):
        read(dataset, 0)
    assert sorted(nmnist.rglob("*")) == before


def test_trap_disk_cache_reorders_long_tuples(nmnist: Path, tmp_path: Path) -> None:
    """Tonic's cache sorts members as words (0, 1, 10, 11, 2); our items have two, so they come back as they went in."""
    tonic = pytest.importorskip("tonic")
    view = TonicView(open_dataset("NMNIST", nmnist, allow_partial=True))
    read(view, 0)
    cached = tonic.DiskCachedDataset(view, cache_path=str(tmp_path / "cache"))
    for _ in range(2):  # the second time from the disk
        array, label = cached[3]
        assert np.array_equal(array, view[3][0]) and label == view[3][1]


def test_bags_never_go_through_importrosbag() -> None:
    """It raises OverflowError on numpy 2, and its streams lose their offsets."""
    for path in (ROOT / "eventdata").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith("importRosbag") for name in names), path.name


def test_layouts_name_readers_that_exist() -> None:
    assert {"NMNIST", "DVSGesture", "DAVISDATA", "DSEC", "MVSEC", "VPR"} == LAYOUTS.keys()
    assert "sort" in inspect.signature(readers.open_recording).parameters
