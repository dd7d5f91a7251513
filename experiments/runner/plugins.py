"""What `--plugin` names: loaded in this process, and again in every worker process, which starts with nothing."""

from __future__ import annotations

from collections.abc import Sequence

from spikeplan.core.errors import UserError

loaded: list[str] = []


def load(plugins: Sequence[str]) -> None:
    """Runs each module or file once; what it exports can then be named like what ships. Raises UserError."""
    new = [plugin for plugin in plugins if plugin not in loaded]
    if not new:
        return
    try:
        from spikeplan.core.registry import load_plugins  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UserError(f"--plugin {new[0]}: this version of spikeplan loads no plugins ({error})") from error
    load_plugins(new)
    loaded.extend(new)
