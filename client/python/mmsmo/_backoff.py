"""How long to wait before another attempt."""

from __future__ import annotations

import random
from typing import Callable


class Backoff:
    """Full jitter below a ceiling, in seconds, that doubles from attempt to attempt."""

    def __init__(self, least: float, most: float, draw: Callable[[], float] = random.random) -> None:
        self._least, self._most, self._draw = min(least, most), most, draw
        self._ceiling = self._least

    def next(self) -> float:
        wait = self._draw() * self._ceiling
        self._ceiling = min(self._ceiling * 2, self._most)
        return wait

    def reset(self) -> None:
        self._ceiling = self._least
