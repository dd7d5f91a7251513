"""The report is a function of a results directory: built here from the schema, with nulls and gaps."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.evaluation.results import load
from spikeplan.experiments.report import print_table, write_report
from spikeplan.experiments.report.captions import SECTION
from spikeplan.experiments.report.front import comparisons, equivalents, pareto
from spikeplan.experiments.report.html import SECTIONS
from spikeplan.experiments.report.markup import energy, number, points, text
from spikeplan.experiments.report.terminal.run import numbers

TASK = "two-room"
REFERENCES = ("zero", "previous_step", "previous_candidate", "mean_candidate", "previous_iteration")
LAYERS = ("input", "h1", "h2", "out")
DENSITY = {
    "zero": 0.521,
    "previous_step": 0.447,
    "previous_candidate": 0.402,
    "mean_candidate": 0.383,
    "previous_iteration": 0.284,
}


def method(success: float | None, **fields: object) -> dict:
    keys = [
        "episodes",
        "success",
        "ci95",
        "paired_vs_dense",
        "latent_nmse",
        "density",
        "spearman",
        "topk_overlap",
        "macs_per_action",
        "synops_per_action",
        "neuron_updates_per_action",
        "synop_equivalents_per_action",
        "values_compared",
        "values_different",
    ]
    row = dict.fromkeys(keys)
    if success is not None:
        row |= {"episodes": 100, "success": success, "ci95": [max(0.0, success - 0.07), min(1.0, success + 0.06)]}
    return row | fields


def front_row(
    name: str, budget: str, success: float, cost: float, device: str, joules: float, **fields: object
) -> dict:
    band = {device: {"low": joules / 4, "nominal": joules, "high": joules * 2}}
    ends = [max(0.0, success - 0.06), min(1.0, success + 0.05)]
    row = {"kind": "front", "task": TASK, "method": name, "budget": budget, "reference": "zero", "threshold": None}
    return row | {"success": success, "ci95": ends, "synop_equivalents": cost, "joules": band} | fields


def front() -> list[dict]:
    budgets = [("64x4 H12", 0.88, 1.0), ("32x4 H12", 0.85, 0.5), ("32x3 H12", 0.81, 0.38), ("16x3 H8", 0.62, 0.14)]
    rows = [front_row("int8", b, s, 2.9e8 * c, "orin_nano", 1.1e-3 * c, schedule="batched") for b, s, c in budgets]
    rows += [
        front_row("narrow-96", b, s - 0.02, 1.1e8 * c, "orin_nano", 6e-4 * c, schedule="batched") for b, s, c in budgets
    ]
    rows.append(front_row("greedy", "64x4 H1", 0.11, 2.5e7, "orin_nano", 1e-4, schedule="batched"))
    for factor, loss, share in ((1.0, 0.0, 0.45), (1.5, 0.03, 0.36), (2.0, 0.1, 0.30)):
        for schedule, cost in (("sequential", 1.6), ("interleaved", 1.0)):
            for budget, success, c in budgets[:3]:
                fields = {"reference": "previous_iteration", "threshold": factor, "schedule": schedule}
                at = (success - loss, 2.9e8 * c * cost * share, "loihi2", 6e-3 * c * cost)
                rows.append(front_row("sigma_delta", budget, *at, **fields))
    rows.append(front_row("lif", "64x4 H12", 0.71, 4.1e8, "loihi2", 2.2e-2, schedule="interleaved"))
    for reference, success in (
        ("zero", 0.88),
        ("previous_step", 0.31),
        ("mean_candidate", 0.4),
    ):  # cheap and, on `none`, as good as full
        for factor in (1.0, 0.25):
            fields = {"reference": reference, "threshold": factor, "schedule": "interleaved", "role": "sweep"}
            rows.append(front_row("sigma_delta", "64x4 H12", success, 1e7 / factor, "loihi2", 1e-5, **fields))
    return rows


def energies() -> list[dict]:
    rows = []
    methods = [
        ("int8", "orin_nano", "batched", 1e-3),
        ("dense", "h100", "batched", 2e-3),
        ("int8", "cpu", "batched", 0.4),
    ]
    methods += [("sigma_delta", "loihi2", "sequential", 9e-3), ("sigma_delta", "loihi2", "interleaved", 5e-3)]
    for name, device, schedule, joules in methods:
        for scope, factor in (("compute", 0.2), ("chip", 0.35), ("system", 1.0)):
            for extent, part in (("predictor", 0.8), ("loop", 1.0)):
                nominal = joules * factor * part
                row = {
                    "kind": "energy",
                    "task": TASK,
                    "device": device,
                    "method": name,
                    "scope": scope,
                    "extent": extent,
                }
                row |= {"schedule": schedule, "low": nominal / 8, "nominal": nominal, "high": 1.6 * nominal}
                rows.append(row | {"unit": "J/action", "evidence": "D,R; simulated counts", "latency_s": 0.021})
    return rows


def metrics() -> list[dict]:
    rng = np.random.default_rng(0)
    rows = front() + energies()
    for name, reference in [
        ("dense", "zero"),
        ("int8", "zero"),
        *(("sigma_delta", reference) for reference in REFERENCES),
        ("lif", "zero"),
    ]:
        spiking = name in ("sigma_delta", "lif")
        total = 2.9e8 * (DENSITY[reference] if spiking else 1.0)
        whole = {"interleaved": total, "sequential": 1.6 * total} if spiking else {"batched": total}
        phases = {"encoder": 1.2e7, "predictor": total - 1.6e7, "evaluation": 3e6, "selection": 1e6}
        operations = {"macs": 1.2e7, "acs": 0, "synops": total / 2, "updates": 8e6, "updates_active": 2e6}
        operations |= {"state_restores": 1e6, "messages": 2e6, "host_words": 6144}
        row = {
            "kind": "method",
            "task": TASK,
            "method": name,
            "reference": reference,
            "threshold": 1.0 if spiking else None,
        }
        row |= {"per_action": operations, "equivalents": whole, "equivalents_predictor": whole, "by_phase": phases}
        rows.append(row | {"success": 0.87, "floor": 8e7 if spiking else 0.0})
        density = {
            "total": DENSITY[reference],
            "by_iteration_step": (DENSITY[reference] * rng.uniform(0.6, 1.3, (4, 12))).tolist(),
            "messages_per_update": dict(zip(LAYERS[:3], rng.uniform(0.1, 0.6, 3).tolist(), strict=True)),
            "saturated": dict.fromkeys(LAYERS, 0),
        }
        row = {
            "kind": "agreement",
            "task": TASK,
            "method": name,
            "reference": reference,
            "spearman": 0.96,
            "topk_overlap": 0.81,
        }
        drift = (0.01 * np.arange(1, 13) * rng.uniform(0.5, 1.5)).tolist()
        if name != "dense":
            rows.append(row | {"latent_nmse": 0.05, "nmse_by_step": drift, "density": density if spiking else None})
    budgets = [("full", "64x4 H12", 0.88), ("5 % budget", "16x2 H5", 0.41), ("greedy", "64x4 H1", 0.11)]
    levels = [{"name": n, "budget": b, "success": s, "ci95": [s - 0.05, s + 0.05]} for n, b, s in budgets]
    rows.append({"kind": "admission", "task": TASK, "rows": levels, "holds": True})
    layer = {"nmse": 0.012, "density": 0.4, "saturated": 0, "threshold_lsb": 96, "threshold": 0.11}
    rows.append(
        {"kind": "layers", "task": TASK, "layers": {n: layer | {"nmse": 0.004 * 3**i} for i, n in enumerate(LAYERS)}}
    )
    table = [
        {
            "reference": a,
            "factor": f,
            "success": 0.9 - 0.1 * i * i / 4,
            "density": DENSITY[a] / (1 + i / 2),
            "equivalents": 1e8,
        }
        for a in REFERENCES
        for i, f in enumerate((0.5, 1.0, 1.5, 2.0))
    ]
    rows.append({"kind": "thresholds", "task": TASK, "dense_success": 0.9, "table": table, "chosen": table[-3]})
    gates = {"probe_r2": 0.99, "effective_rank": 21.0, "std_min": 0.4, "rollout_nmse_1": 0.02, "distance_rank": 0.93}
    bad = {"probe_r2": 0.02, "effective_rank": 1.3, "std_min": 1e-5, "rollout_nmse_1": 1.4, "distance_rank": 0.1}
    won = {"trained": 0.88, "untrained": 0.07, "shuffled_actions": 0.05, "collapsed": 0.02}
    rows.append({"kind": "gates", "task": TASK, "trained": gates, "untrained": bad, "collapsed": bad, "success": won})
    raster = {n: (rng.random((49, k)) < p).astype(int).tolist() for n, k, p in (("input", 66, 0.6), ("h1", 256, 0.2))}
    lava = {"kind": "lava", "task": TASK, "reference": "mean_candidate", "passes": 3072, "values_compared": 4_521_984}
    lava |= {"values_different": 0, "nonzero_share": {"input": 0.61, "h1": 0.2}, "positive_crossed": {"input": True}}
    rows.append(lava | {"negative_crossed": {"input": True, "h1": True}, "raster": raster, "seconds": 61.2})
    for device, first, static in (("orin_nano", 0.084, 0.4), ("h100", 0.040, 0.4)):
        terms = {"first_term": first, "update_term": 0.058, "static_term": static, "s_star": first - 0.058 - static}
        rows.append({"kind": "break_even", "task": TASK, "device": device} | terms)
    way = np.stack([np.linspace(0.2, 0.8, 26), np.linspace(0.3, 0.5, 26)], 1)
    for name in ("dense", "sigma_delta"):
        episode = {"kind": "episode", "task": TASK, "method": name, "poses": way.tolist(), "goal": [0.8, 0.5]}
        rows.append(episode | {"start": [0.2, 0.3], "layout": [0.51], "success": name == "dense"})
    return rows


def brief(*kinds: str) -> list[dict]:
    """The first row of each kind: enough for every section, drawn quickly."""
    first = {row["kind"]: row for row in reversed(metrics())}
    return [row for kind, row in first.items() if not kinds or kind in kinds]


def summary() -> dict:
    dense = {"macs_per_action": 2.9e8, "synop_equivalents_per_action": 2.9e8}
    spikes = {"synops_per_action": 1.1e8, "neuron_updates_per_action": 8e6, "synop_equivalents_per_action": 1.9e8}
    methods = {
        "random": method(0.03),
        "oracle": method(0.97),
        "dense": method(0.88, **dense),
        "int8": method(
            0.8731, paired_vs_dense=[-0.02, 0.006], latent_nmse=0.002, spearman=0.991, topk_overlap=0.94, **dense
        ),
        "sigma_delta": method(
            0.871,
            paired_vs_dense=[-0.029, 0.011],
            latent_nmse=0.05,
            reference="previous_iteration",
            density=DENSITY,
            spearman=0.96,
            **spikes,
        ),
        "lif": method(0.71, paired_vs_dense=[-0.23, -0.11], density={"zero": 0.22}, **spikes),
        "lava": method(None, values_compared=4_521_984, values_different=0),
    }
    targets = [
        {"name": "dense success", "goal": ">= .85", "value": 0.88, "holds": True},
        {"name": "int8 paired lower bound", "goal": ">= -.03", "value": -0.02, "holds": True},
        {"name": "synops of dense MACs, best reference", "goal": "<= .30", "value": 0.38, "holds": False},
        {"name": "training seeds", "goal": 3, "value": None, "holds": None},
    ]
    task = {"admission": {"full": 0.88, "budget5": 0.41, "greedy": 0.11}, "methods": methods, "targets": targets}
    task |= {"verdict": "Dense int8 needs less energy at every success rate & the chip is <simulated>."}
    keys = ("method", "budget", "threshold", "success", "synop_equivalents")
    task["front"] = [{key: row[key] for key in keys} for row in front()]
    task["energy"] = {
        "loihi2": {"sigma_delta": {"scope": "system", "low": 1e-3, "nominal": 5e-3, "high": 9e-3, "unit": "J/action"}}
    }
    return {"episodes": 100, "seeds": [0], "seconds": 212.5, "tasks": {TASK: task}}


def store(out: Path, *, rows: list[dict] | None = None, found: dict | None = None, events: bool = True) -> Path:
    out.mkdir(exist_ok=True, parents=True)
    config = {"episodes": 100, "task": TASK, "planner": {"samples": 64}, "versions": {"torch": "2.13.0"}}
    (out / "config.json").write_text(json.dumps(config))
    (out / "summary.json").write_text(json.dumps(summary() if found is None else found))
    (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (metrics() if rows is None else rows)))
    if events:
        rng = np.random.default_rng(1)
        frame = np.clip(np.linspace(0, 1, 48)[None] * np.ones((48, 1)), 0, 1).astype(np.float32)
        shot = np.where(rng.random((48, 48, 1)) < 0.1, [255, 0, 0], [255, 255, 255]).astype(np.uint8)
        np.savez(out / "events.npz", frame=frame, events=shot, caption=np.array("the arm, 10 ms"))
    return out


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> tuple[Path, str]:
    out = store(tmp_path_factory.mktemp("results"))
    path = write_report(out)
    assert path == out / "report.html"
    return out, path.read_text(encoding="utf-8")


def test_the_page_stands_alone(report):
    out, page = report
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    files = [link for link in links if link.startswith("figures/")]
    assert files and all((out / link).is_file() for link in files)
    assert all(link.startswith(("data:image/", "#", "figures/")) for link in links)
    assert (
        page.count("<script>") == page.count("<script") == 1 and "@import" not in page and "<!DOCTYPE svg" not in page
    )
    assert not re.search(r"url\((?!#)", page)
    assert [path.name for path in out.iterdir() if path.suffix == ".part"] == []


def test_every_section_is_there_in_order_and_was_run(report):
    _, page = report
    places = [page.index(f'<section id="{key}">') for key in SECTION]
    assert places == sorted(places)
    assert len(places) == len(SECTIONS)
    assert "not run" not in page


def test_figures_are_xml_with_text_as_text(report):
    out, page = report
    files = {path.stem: path.read_text(encoding="utf-8") for path in (out / "figures").glob("*.svg")}
    names = "headline success phases front front-joules admission density references heat layers agreement thresholds gates raster energy"
    assert set(files) == {f"{name}-{TASK}" for name in (*names.split(), "break-even")}
    for name, drawn in files.items():
        root = ElementTree.fromstring(drawn)
        words = "".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
        assert words, name
    inline = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(inline) == len(files)
    for drawn in inline:
        ElementTree.fromstring(drawn)
    ids = re.findall(r'\bid="([^"]+)"', page)
    used = re.findall(r'(?:url\(|xlink:href=")#([^")]+)', page)
    assert set(used) <= set(ids)
    density = "".join(ElementTree.fromstring(files[f"density-{TASK}"]).itertext())
    assert "int8 dense = 1.0" in density and "0.28" in density


def test_same_files_same_page(tmp_path):
    once, again = (write_report(store(tmp_path / name, rows=brief("lava", "front", "layers"))) for name in "ab")
    assert once.read_bytes() == again.read_bytes()


def test_numbers_come_from_the_files(report, tmp_path):
    assert '<td class="number">0.873</td>' in report[1]
    assert "4\u2009521\u2009984 values compared, 0 different" in report[1]
    found, rows = summary(), brief("lava", "front", "energy", "layers")
    found["tasks"][TASK]["methods"]["int8"]["success"] = 0.4567
    for row in rows:
        if row["kind"] == "lava":
            row["values_different"] = 17
        elif row["kind"] == "front":
            row["success"] = 0.6543
        elif row["kind"] == "energy":
            row["nominal"] = 1.2345e-5
        elif row["kind"] == "layers":
            row["layers"]["h1"]["nmse"] = 0.0777
    page = write_report(store(tmp_path, found=found, rows=rows)).read_text(encoding="utf-8")
    for figure in (">0.457<", "values compared, 17 different.<", ">0.654<", ">12.3 µJ<", ">0.0777<"):
        assert figure in page and figure not in report[1]
    drawn = (tmp_path / "figures" / f"front-{TASK}.svg").read_text(encoding="utf-8")
    assert drawn != (report[0] / "figures" / f"front-{TASK}.svg").read_text(encoding="utf-8")


def test_text_is_escaped(report):
    assert "&amp; the chip is &lt;simulated&gt;." in report[1]
    assert text('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in metrics()}))
def test_a_missing_kind_is_said_and_crashes_nothing(kind, tmp_path):
    out = store(tmp_path, found={"tasks": {TASK: {}}}, rows=brief(kind), events=False)
    assert "not run" in write_report(out).read_text(encoding="utf-8")


def test_without_metrics_every_part_is_not_run(tmp_path):
    store(tmp_path, found={"tasks": {TASK: None}}, rows=[], events=False)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "config.json").unlink()
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert page.count(">not run<") == len(SECTION) - 1  # the caveats stand always
    assert list((tmp_path / "figures").iterdir()) == []


def emptied(value: object, keep: tuple[str, ...], depth: int = 0) -> object:
    """The same structure with every leaf null, down to where `depth` runs out."""
    if isinstance(value, dict) and depth >= 0:
        return {k: v if k in keep else emptied(v, keep, depth - 1) for k, v in value.items()}
    return [emptied(v, keep, depth - 1) for v in value] if isinstance(value, list) and depth >= 0 else None


@pytest.mark.parametrize("depth", [0, 1, 2, 9])
def test_nulls_crash_nothing(depth, tmp_path):
    keep = ("kind", "task", "method", "reference")
    rows = [emptied(row, keep, depth) for row in brief()]
    found = emptied(summary(), keep, depth + 2)
    page = write_report(store(tmp_path, rows=rows, found=found)).read_text(encoding="utf-8")  # type: ignore[arg-type]
    print_table(found, Console(file=io.StringIO()))  # type: ignore[arg-type]
    assert page.endswith("</html>\n")


KINDS = ("front", "gates", "episode", "thresholds", "lava")


def test_hostile_names_and_numbers(tmp_path):
    rows = [row | {"task": task} for task in ("a $x</svg> [b]", "a-x-svg-b") for row in brief(*KINDS)]
    for row in rows:
        row.update({key: float("nan") for key, value in row.items() if isinstance(value, float)})
        if row["kind"] == "front":
            row["synop_equivalents"] = 0
    page = write_report(store(tmp_path, rows=rows, found={"tasks": {}})).read_text(encoding="utf-8")
    assert "a $x&lt;/svg&gt; [b]" in page and "a $x</svg>" not in page
    for path in (tmp_path / "figures").glob("*.svg"):
        ElementTree.parse(path)


def test_stale_figures_go(tmp_path):
    store(tmp_path, rows=[], events=False)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.svg").write_text("<svg/>")
    (tmp_path / "figures" / "mine.txt").write_text("kept")
    write_report(tmp_path)
    assert not (tmp_path / "figures" / "old.svg").exists() and (tmp_path / "figures" / "mine.txt").exists()


def test_the_verdict_says_dense_first_where_dense_is_ahead(report):
    out, page = report
    found = comparisons(load(out), TASK)
    assert [c.what.split(",")[0] for c in found] == ["synop-equivalents", "loihi2 against orin_nano"]
    # success >= .88 - .03: narrow 64x4 (.86) at 1.1e8; delta iteration θ x 1 (.85), interleaved, at .45 x .5 x 2.9e8.
    count, joules = found
    assert count.dense_cost == 1.1e8 and count.spiking_cost == pytest.approx(0.45 * 0.5 * 2.9e8)
    assert count.ahead == "spiking" and joules.ahead == "dense" and joules.ratio == pytest.approx(3e-3 / 5.5e-4)
    section = page[page.index('<section id="verdict">') : page.index('<section id="targets">')]
    assert (
        section.index("Dense planning is ahead")
        < section.index("Dense int8 needs")
        < section.index("Spiking planning is")
    )


def test_the_front_drops_what_a_cheaper_point_equals():
    rows = [
        {"success": s, "synop_equivalents": c}
        for s, c in ((0.5, 1), (0.5, 2), (0.9, 3), (0.8, 4), (None, 1), (1, None))
    ]
    assert [row["synop_equivalents"] for row in pareto(rows, equivalents)] == [1, 3]


def test_damaged_files_are_errors_of_one_line(tmp_path):
    for name, content, expected in (
        ("summary.json", "{", "truncated or not JSON"),
        ("metrics.jsonl", '{"kind": "method"}\n{"kind', "line 2: not JSON"),
        ("events.npz", "PK", "truncated or foreign"),
    ):
        out = store(tmp_path / name.split(".")[0])
        (out / name).write_text(content)
        with pytest.raises(UserError, match=expected) as error:
            write_report(out)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"holds no summary\.json"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("width", [80, 130])
def test_a_run_ends_with_four_numbers_and_their_intervals_on_one_screen(width):
    found = summary()
    found["tasks"] = {name: found["tasks"][TASK] for name in ("two-room", "planar-reach", "two-room-random")}
    console = Console(record=True, width=width, file=io.StringIO())
    print_table(found, console)
    printed = console.export_text()
    assert len(printed.splitlines()) <= 24, "the path of the report makes 25"
    assert "`spikeplan results` decides" not in printed, "no interval was missed"
    for word in ("two-room-random", "0.880", "mJ", "simulated", "6 of 12 targets hold, 3 do not", "goal <= .30"):
        assert word in " ".join(printed.split())


def test_the_four_numbers_of_a_task_and_what_is_missing():
    dense = {"success": 0.9, "ci95": [0.8, 0.95]}
    band = {"low": 1e-3, "nominal": 2e-3, "high": 4e-3}
    machines = {
        "loihi2": {"sigma_delta": band},
        "h100": {"int8": band},
        "orin_nano": {"int8": {**band, "nominal": 1.5e-3}},
    }
    found = {"methods": {"dense": dense, "sigma_delta": {"paired_vs_dense": [-0.04, 0.02]}}, "energy": machines}
    assert numbers(found) == (
        "0.900 [0.800, 0.950]",
        "\u22121.0 [\u22124.0, +2.0]",
        "2.00 mJ [1.00 mJ, 4.00 mJ] loihi2",
        "1.50 mJ [1.00 mJ, 4.00 mJ] orin_nano, int8",
    )
    assert numbers({}) == ("\u2013 \u2013", "\u2013", "\u2013", "\u2013")


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (number(None), "–"),
        (number(float("nan")), "–"),
        (number(0), "0"),
        (number(2.9e8), "290 M"),
        (number(12_345), "12.3 k"),
        (number(3072), "3072"),
        (number(0.05), "0.0500"),
        (energy(5.5e-4), "550 µJ"),
        (energy(1.2), "1.20 J"),
        (points([-0.029, 0.011]), "−0.9 [−2.9, +1.1]"),
        (points([None, 1]), "–"),
    ],
)
def test_numbers_as_text(made, shown):
    assert made == shown


def test_an_method_is_filmed_too_and_what_cannot_be_filmed_is_said(tmp_path):
    method_row = {"kind": "episode", "task": "planar-reach", "method": "dense", "success": None, "layout": []}
    method_row |= {"poses": [[0.0, 0.1 * t] for t in range(21)], "goal": [0.0, 2.0], "start": [0.0, 0.0]}
    rows = [
        method_row,
        method_row | {"method": "int8", "goal": [0.0]},
        method_row | {"method": "sigma_delta", "poses": None},
    ]
    page = write_report(store(tmp_path, rows=rows, found={"tasks": {}})).read_text(encoding="utf-8")
    assert page.count("data:image/gif") == 1 and "dense: outcome not recorded" in page
    assert "int8: no picture" in page and "delta: no picture" in page
