"""Files written whole or not at all."""

import os
from pathlib import Path

import pytest

from spikeplan.core.files import write_whole


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")

    def break_off(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(target, break_off)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_others_may_read_the_file_as_the_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "shared.npz", lambda part: part.write_bytes(b"whole"))
    finally:
        os.umask(before)
    assert (tmp_path / "shared.npz").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "shared.npz").read_bytes() == b"whole"
