"""Words, flags and names: every argument has a text, old words name the new ones, a slip is answered without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.cli.parse import COMMANDS, GROUPS, arguments, filled, overview
from spikeplan.experiments.cli.words.common import Command

ROOT = Path(__file__).resolve().parents[2]


def commands() -> Iterator[tuple[str, Command]]:
    yield from COMMANDS.items()
    for group, found in GROUPS.items():
        for name, command in found.commands.items():
            yield f"{group} {name}", command


ALL = dict(commands())


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("spikeplan: ") and line.count("\n") == 1
    return line.removeprefix("spikeplan: ").rstrip()


@pytest.mark.parametrize("name", ALL)
def test_every_argument_has_a_text_and_every_command_a_line(name: str) -> None:
    command = ALL[name]
    assert 10 < len(command.line) <= 110 and command.line[0].isupper(), command.line
    for argument in arguments(command.run):
        assert len(argument.help) > 8, f"{name} {argument.name}"
        assert "{" not in filled(argument.help), f"{name} {argument.name}: no such kind of name"


@pytest.mark.parametrize("name", ALL)
def test_one_convention_for_outputs_json_chip_and_task(name: str) -> None:
    found = {argument.name: argument for argument in arguments(ALL[name].run)}
    assert not found.keys() & {"target", "arm", "axis", "ledgers", "output", "method_name"}
    for shared in ("out", "json", "chip", "task"):
        if shared in found:
            assert not found[shared].positional and found[shared].kind is str, shared
    if "json" in found:
        assert not found["json"].required


@pytest.mark.parametrize("name", ALL)
def test_the_help_of_each_command_is_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert not stop.value.code
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: spikeplan {name} ") and " ".join(ALL[name].line.split()[:3]) in said
    assert "STR" not in said and "{None}" not in said
    for argument in arguments(ALL[name].run):
        assert argument.shown in said or argument.positional


def test_the_overview_has_a_line_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name in (*ALL, *GROUPS):
        assert sum(line.startswith(f"  {name} ") for line in lines) >= 1, name
    assert all(len(line) <= 132 for line in lines)
    main(["events", "--help"])
    said = capsys.readouterr().out
    assert GROUPS["events"].about in said and "energy" not in said
    assert overview("lava").count("\n") < 10


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fuse --episodes 3", "`spikeplan fuse` is called `spikeplan fusion` now"),
        ("plan --task two-room --arm dense", "plan: --arm is called --method now"),
        ("plan --task two-room --method delta --axis none", "plan: --axis is called --reference now"),
        ("check a.safetensors --target loihi2", "check: --target is called --chip now"),
        ("energy report runs --ledgers x", "energy report: --ledgers is called --counts-files now"),
        ("train two-room", "train: 'two-room' goes by --task now; write --task two-room"),
        ("events convert a.raw b.npz", "events convert: 'b.npz' goes by --out now; write --out b.npz"),
        ("events view a.raw b.png", "write --out b.png"),
        ("events slice a.raw b.npz --start-us 1 --stop-us 2", "write --out b.npz"),
        ("events represent a.raw b.npz", "write --out b.npz"),
        ("events simulate b.npz", "write --out b.npz"),
        ("plan --task two-room --method sigma_delta --out o --reference rollout", "use --reference previous_step"),
        ("plan --task two-room --method sigma_delta --out o --reference none", "use --reference zero"),
    ],
)
def test_old_words_name_the_new_one(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in refused(words.split(), capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pln", "unknown command 'pln'; did you mean plan? expected one of demo, results,"),
        ("frobnicate", "bench, list, completion, doctor, events, lava, energy"),
        ("events", "events: no command; use one of info, stats"),
        ("lava rum", "lava: unknown command 'rum'; did you mean run? expected one of run"),
        ("--colour demo", "unknown option --colour before the command"),
        ("place", "place: FILE is missing (sigma-delta or LIF network"),
        ("place a --spred 3", "place: unknown option --spred; did you mean --spread?"),
        ("place a --spread", "place: --spread needs a value (cores a layer"),
        ("place a --spread --sweep", "place: --spread needs a value"),
        ("place a --spread=x", "place: --spread 'x' is not a whole number"),
        ("place a b", "place: one word too many, 'b'"),
        ("place a --chip loihi3", "chip 'loihi3' is unknown; did you mean loihi2? use one of loihi1, loihi2"),
        ("train --task two_room", "task 'two_room' has no training recipe; did you mean two-room?"),
        ("energy measure --seconds soon", "energy measure: --seconds 'soon' is not a number"),
        ("events view a --out b.png --no-frame", "events view: unknown option --no-frame"),
        ("bench speed", "bench 'speed' is unknown; use one of plan, lava, events, energy"),
        ("list method", "list: 'method' is unknown; did you mean methods?"),
        ("completion fish", "use one of bash, zsh"),
        ("--plugin", "--plugin: name a module"),
    ],
)
def test_a_slip_is_named_and_the_remedy_too(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in refused(words.split(), capsys)


@pytest.mark.parametrize(
    "words",
    [
        "pln",
        "plan --foo",
        "plan --task two-rom --method dense --out o",
        "plan --task two-room --method dens --out o",
        "train --task maze",
        "check a --chip loihi3",
        "energy measure --task maze",
        "fusion --episodes many",
    ],
)
def test_a_wrong_word_takes_less_than_a_second_and_no_torch(words: str) -> None:
    script = (
        "import sys, time\nfrom spikeplan.experiments.cli.main import main\n"
        f"try: main({words.split()!r})\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules, time.process_time())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    code, torch, seconds = done.stdout.split()
    assert (code, torch) == ("2", "False") and float(seconds) < 1.0


@pytest.mark.parametrize("kind", names.SHIPPED)
def test_the_names_that_are_checked_early_are_those_of_the_registry(kind: str) -> None:
    assert names.SHIPPED[kind] == names.KINDS[kind](), "experiments/cli/names.py lists what ships"
    assert names.ABOUT.keys() == names.KINDS.keys()


def test_list_names_everything_and_one_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "formats", "--json"])
    assert "aedat4 (.aedat4)" in json.loads(capsys.readouterr().out)["formats"]
    main(["list"])
    said = capsys.readouterr().out
    assert all(word in said for word in ("planar-reach-near", "delta-mad", "loihi1", "orin_nano", "speed x8"))


def test_json_goes_to_stdout_or_to_a_file_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "devices.json"
    for words in (["--json"], ["--json", "-"], ["--json=-"]):
        main(["energy", "devices", *words])
        assert "loihi2" in json.loads(capsys.readouterr().out)["devices"]
    main(["energy", "devices", "--json", str(file)])
    assert "loihi2" in capsys.readouterr().out, "the table is there too"
    assert "loihi2" in json.loads(file.read_text())["devices"]
    assert "no file that can be written" in refused(["list", "chips", "--json", str(tmp_path)], capsys)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.startswith("spikeplan ")


def test_completion_knows_the_commands_of_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["completion", "bash"])
    said = capsys.readouterr().out
    assert not stop.value.code and "denoise" in said and "--refractory-us" in said and "fusion" in said


def test_plugins_are_loaded_before_the_command_and_bring_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from dataclasses import replace\nfrom spikeplan.core.chips import LOIHI2\nCHIP = replace(LOIHI2, name='mine')\n"
    )
    monkeypatch.setenv("SPIKEPLAN_PLUGINS", "")
    main(["--plugin", str(mine), "list", "chips", "--json"])
    assert json.loads(capsys.readouterr().out)["chips"][-1] == "mine"
    names.check("chips", "mine")
    assert "use one of loihi1, loihi2, mine" in refused(["check", "a", "--chip", "yours"], capsys)
    assert "no such file" in refused(["--plugin", str(tmp_path / "absent.py"), "list"], capsys)


@pytest.mark.slow
def test_the_doctor_uses_every_part_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert stop.value.code == 0 and facts["works"]
    checks = {check["part"]: check for check in facts["checks"]}
    assert "planned" in checks["planning"]["says"] and checks["planning"]["core"]
    if checks["lava"]["works"]:
        assert "114 values equal to the reference" in checks["Lava worker"]["says"]
    assert all(check["says"] for check in facts["checks"]) and facts["versions"]["numpy"] and facts["machine"]["cores"]
