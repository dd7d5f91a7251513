"""The `spikeplan` command: reads what stands before the command, runs it, and turns what goes wrong into one line.

Bad input ends in one line (what, where, remedy) on stderr and exit code 2.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from spikeplan.core.errors import UserError
from spikeplan.experiments.cli.parse import parse

_kept = "nothing was begun"  # by the command that runs: said when it is interrupted


def before_command(words: Sequence[str]) -> list[str] | None:
    """Takes --version and --plugin; the rest names a command. None: --version was printed."""
    rest = list(words)
    plugins = []
    while rest and rest[0].split("=")[0] in ("--version", "--plugin"):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name == "--version":
            from spikeplan.experiments.runner.output import own_version

            print(f"spikeplan {own_version()}")
            return None
        if not equals:
            if not rest:
                raise UserError("--plugin: name a module (my_package.tasks) or a file (mine.py)")
            value = rest.pop(0)
        plugins.append(value)
    if plugins:
        load(plugins)
    return rest


def load(plugins: Sequence[str]) -> None:
    """Runs each plug-in; what it exports can be named by the command."""
    from spikeplan.core.registry import load_plugins

    load_plugins(plugins)


class Ended(SystemExit):
    """A signal: unwinds, so that children are ended and temporary files go; what was kept is said after that."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


def ended_by(number: int, frame: FrameType | None) -> None:
    raise Ended(number)


def main(args: list[str] | None = None) -> None:
    """Entry point of the `spikeplan` command."""
    # What is ignored stays ignored: nohup means it.
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ended_by) for number in numbers}
    try:
        _main(sys.argv[1:] if args is None else args)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _main(args: Sequence[str]) -> None:
    global _kept
    _kept = "nothing was begun"
    try:
        words = before_command(args)
        chosen = None if words is None else parse(words)
        if chosen is not None:
            _kept = chosen.command.kept
            chosen.run()
    except Ended as end:
        print(f"spikeplan: ended by {end.name}; {_kept}", file=sys.stderr)
        raise
    except BrokenPipeError:  # `spikeplan ... | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (UserError, OSError) as error:
        print(f"spikeplan: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(f"spikeplan: out of memory ({' '.join(str(error).split())}); give a smaller job", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"spikeplan: interrupted; {_kept}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        from spikeplan.core.registry import plugin_fault

        fault = plugin_fault(error)
        if fault is not None:
            print(f"spikeplan: {fault}", file=sys.stderr)
            sys.exit(2)
        if not is_lava_error(error):
            raise
        print(f"spikeplan: {error}", file=sys.stderr)  # the log's tail stays readable: several lines
        sys.exit(1)


def is_lava_error(error: Exception) -> bool:
    """Without importing lava_procs: a command that ran no Lava has no such error."""
    module = sys.modules.get("spikeplan.lava_procs.child")
    return module is not None and isinstance(error, module.LavaError)


if __name__ == "__main__":
    main()
