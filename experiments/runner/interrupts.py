"""Signals that wait until the work at hand can be left without losing it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

WAITING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_wait() -> Iterator[Callable[[], bool]]:
    """Inside, a first Ctrl-C or SIGTERM only makes what this yields return True; at the end it takes its usual effect.

    A second signal takes its effect at once, for somebody who does not want to wait. Outside the main thread, where
    Python delivers no signal, nothing waits.

    with signals_wait() as asked:
        while work and not asked():
            step()
        save()
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    seen: list[int] = []
    handlers = {number: signal.getsignal(number) for number in WAITING}
    # None was set by C code and cannot be put back; what is ignored stays ignored.
    before = {number: found for number, found in handlers.items() if found not in (None, signal.SIG_IGN)}

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        put_back()

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        put_back()
        if seen:
            signal.raise_signal(seen[0])
