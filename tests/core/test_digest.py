"""Keys of cached results: whatever module can change a result changes its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from spikeplan.core import digest
from spikeplan.evaluation import recorded_plans
from spikeplan.evaluation.shard import MADE_BY


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small copy of the package's shape, hashed in its place."""
    for name in ("core/a.py", "evaluation/recorded_plans.py", "evaluation/methods/dense.py", "snn/lif.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    digest._digest.cache_clear()
    yield tmp_path
    digest._digest.cache_clear()


def key(*packages: str) -> str:
    digest._digest.cache_clear()
    return digest.code_digest(*packages)


@pytest.mark.parametrize("name", ["core/a.py", "evaluation/recorded_plans.py", "evaluation/methods/dense.py"])
def test_a_changed_module_changes_the_key(name: str, tree: Path) -> None:
    before = key("evaluation")
    assert key("evaluation") == before
    (tree / name).write_text("# changed\n")
    assert key("evaluation") != before


def test_new_and_renamed_modules_do_too_and_strangers_do_not(tree: Path) -> None:
    before = key("evaluation")
    (tree / "snn" / "lif.py").write_text("# changed\n")
    assert key("evaluation") == before
    (tree / "evaluation" / "new.py").write_text("")
    added = key("evaluation")
    assert added != before
    (tree / "evaluation" / "new.py").rename(tree / "evaluation" / "other.py")
    assert key("evaluation") != added


def test_versions_are_part_of_it(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key("snn")
    monkeypatch.setattr(digest.metadata, "version", lambda name: "0")
    assert key("snn") != before


def test_a_package_without_modules_is_our_mistake(tree: Path) -> None:
    with pytest.raises(ValueError, match="no module in"):
        key("nowhere")


def test_what_records_calibration_voids_shards() -> None:
    """Version 0.1 resumed stale int8 shards when the recorder changed, which no key knew."""
    assert Path(recorded_plans.__file__).parent.name == "evaluation" and "evaluation" in MADE_BY
