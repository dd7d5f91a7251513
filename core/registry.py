"""What can be added from one file: dictionaries built from the objects that files export.

    a folder of ours    each module in it that exports the attribute (TASK, METHOD, FORMAT, ...)
    a plug-in           a module or file named by `--plugin`, by the variable SPIKEPLAN_PLUGINS, or by an entry point of
                        group `spikeplan`; it may export any of the attributes in KINDS

An attribute holds one object or a tuple of them, and an object says its own `name`. Nothing is imported before the first
look-up, so a wrong word on the command line costs no torch. Workers inherit plug-ins through the variable.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from spikeplan.core.errors import UserError

T = TypeVar("T")
VARIABLE = "SPIKEPLAN_PLUGINS"
GROUP = "spikeplan"
# Attribute -> where its registry lies. Strings: core imports nothing of them.
KINDS = {
    "TASK": "spikeplan.worldmodel.tasks:TASKS",
    "PREDICTOR": "spikeplan.worldmodel.predictors:PREDICTORS",
    "PLANNER": "spikeplan.worldmodel.planning:PLANNERS",
    "POLICY": "spikeplan.worldmodel.policies:POLICIES",
    "METHOD": "spikeplan.evaluation.methods:METHODS",
    "RECIPE": "spikeplan.conversion.recipes:RECIPES",
    "FORMAT": "spikeplan.eventdata.formats:FORMATS",
    "CHIP": "spikeplan.core.chips:CHIPS",
    "COST": "spikeplan.worldmodel.planning.costs:COSTS",
    "PRICE": "spikeplan.core.prices:PRICES",
}


class Registry(Mapping[str, T], Generic[T]):
    """Name -> object, in the order of the modules' names; `what` is the word for an error ("task").

    Look-ups of an unknown name raise UserError and list what there is.

    >>> METHODS = Registry("METHOD", "spikeplan.evaluation.methods", Method, "method")
    >>> METHODS["lif"].family
    """

    def __init__(self, attribute: str, package: str, kind: type[T], what: str) -> None:
        self.attribute, self.package, self.kind, self.what = attribute, package, kind, what
        self._known: dict[str, T] = {}
        self._plugins: tuple[str, ...] | None = None

    def __getitem__(self, name: str) -> T:
        known = self._load()
        if name not in known:
            raise UserError(f"{self.what} {name!r} is unknown; use one of {', '.join(known)}")
        return known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def _load(self) -> dict[str, T]:
        plugins = plugin_names()
        if self._plugins == plugins:
            return self._known
        known: dict[str, T] = {}
        folder = importlib.import_module(self.package)
        for found in sorted(pkgutil.iter_modules(folder.__path__), key=lambda module: module.name):
            if not found.name.startswith("_"):
                self._take(known, importlib.import_module(f"{self.package}.{found.name}"), found.name)
        for name in plugins:
            self._take(known, plugin(name), name)
        self._known, self._plugins = known, plugins
        return known

    def _take(self, known: dict[str, T], module: ModuleType, source: str) -> None:
        exported = getattr(module, self.attribute, ())
        for one in exported if isinstance(exported, tuple | list) else (exported,):
            if not isinstance(one, self.kind):
                raise UserError(
                    f"plug-in {source}: {self.attribute} holds a {type(one).__name__}; export a {self.kind.__name__}"
                )
            name = str(one.name)  # type: ignore[attr-defined]
            if name in known:
                raise UserError(f"plug-in {source}: there is a {self.what} {name!r} already; give yours another name")
            known[name] = one


def load_plugins(names: Sequence[str]) -> None:
    """Make plug-ins known here and in workers started from now on.

    `names`: importable modules, or paths of .py files. Raises UserError, in one line, for one that fails to import, exports
    none of the attributes in KINDS, or uses a name that is taken.

    >>> load_plugins(["my_tasks.py"])
    """
    before = os.environ.get(VARIABLE)
    kept = [] if not before else before.split(os.pathsep)
    new = [os.path.realpath(name) if name.endswith(".py") else name for name in names]
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*kept, *new]))
    try:
        for name in new:
            exported = [attribute for attribute in KINDS if hasattr(plugin(name), attribute)]
            if not exported:
                raise UserError(f"plug-in {name}: exports nothing; give it one of {', '.join(KINDS)}")
            for attribute in exported:
                where, _, registry = KINDS[attribute].partition(":")
                len(getattr(importlib.import_module(where), registry))
    except BaseException:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
        raise


def plugin_names() -> tuple[str, ...]:
    """Of entry points first, then of the variable, each once."""
    named = os.environ.get(VARIABLE, "")
    return tuple(dict.fromkeys([*_entry_points(), *(name for name in named.split(os.pathsep) if name)]))


@lru_cache(maxsize=1)
def _entry_points() -> tuple[str, ...]:
    return tuple(point.value for point in metadata.entry_points(group=GROUP))


def plugin(name: str) -> ModuleType:
    """The plug-in's module, imported once. Raises UserError with the cause in one line."""
    is_file = name.endswith(".py")
    key = _key(name)
    if key in sys.modules:
        return sys.modules[key]
    if is_file and not Path(name).is_file():
        raise UserError(f"plug-in {name}: no such file; give a module's name or the path of a .py file")
    try:
        if not is_file:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(key, name)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[key] = module
        spec.loader.exec_module(module)
        return module
    except UserError:
        sys.modules.pop(key, None)
        raise
    except (Exception, SystemExit) as error:
        sys.modules.pop(key, None)
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"plug-in {name}: cannot be imported ({detail[:200]}); mend it, or leave it out") from error


def plugin_fault(error: BaseException) -> str | None:
    """One line that names the plug-in in whose code an exception arose, and the line; None where none was running. What a
    worker process reports is searched too."""
    told = "".join(traceback.format_exception(error))
    for name in plugin_names():
        module = sys.modules.get(_key(name))
        source = getattr(module, "__file__", None)
        lines = re.findall(rf'File "{re.escape(source)}", line (\d+)', told) if source else []
        if lines:
            detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            return f"plug-in {name}, line {lines[-1]}: {detail}; mend it, or leave it out"
    return None


def _key(name: str) -> str:
    """Of the plug-in's module in sys.modules."""
    if not name.endswith(".py"):
        return name
    return f"spikeplan_plugin_{Path(name).stem}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def plugin_digest() -> str:
    """Of the plug-ins' source files: part of the key of whatever they can change."""
    sha = hashlib.sha256()
    for name in plugin_names():
        source = plugin(name).__file__
        sha.update(name.encode())
        sha.update(Path(source).read_bytes() if source else b"")
    return sha.hexdigest()
