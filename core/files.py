"""Files written whole or not at all: under a temporary name beside the target, then renamed; names refused before any work.
And what reading a damaged NumPy file can raise."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

from spikeplan.core.errors import UserError

# Found by damaging files: headers, archives, compressed members, sizes that no memory holds.
NUMPY_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    SyntaxError,
    TokenError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    BadZipFile,
    zlib.error,
)


def new_file(name: str | os.PathLike[str], suffixes: Sequence[str], *, replace: bool = False) -> Path:
    """A file of one of these suffixes (".npz") that can be written and, unless `replace`, is not there; else a UserError."""
    target = Path(name)
    if target.suffix.lower() not in suffixes:
        raise UserError(f"{target}: cannot write this format; give a name that ends in {', '.join(suffixes)}")
    if target.exists() and not replace:
        raise UserError(f"{target}: is there already; remove it, or give another name")
    if not target.parent.is_dir():
        raise UserError(f"{target}: there is no folder {target.parent}; create it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UserError(f"{target}: the folder {target.parent} cannot be written; choose another")
    return target


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """`write(temporary)` fills the file; what goes wrong there leaves `target` as it was and nothing beside it."""
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is there and is no regular file")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=f".part{target.suffix}")
    except OSError as error:  # names the file that was asked for, not the temporary one
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(target)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _umask() -> int:
    """The process's mask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
