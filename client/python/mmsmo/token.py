"""What a client shows to be let in: a token, sent with every call as "authorization: Bearer TOKEN"."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, List, Tuple, Union

from .errors import Unauthenticated


def _checked(text: str, source: str) -> str:
    text = text[:-1] if text.endswith("\n") else text
    text = text[:-1] if text.endswith("\r") else text
    if text and all(" " < character <= "~" for character in text):
        return text
    raise ValueError(f"{source}: a token has one line of visible ASCII characters, without spaces")


class TokenFile:
    """What a file holds, without the newline that may end it. Calls take what it holds when they begin, so that a token
    can be exchanged; one that is broken by then changes nothing. OSError or ValueError where it cannot be read, or
    holds no token, to begin with. Thread-safe."""

    def __init__(self, path: str) -> None:
        self._path, self._lock = path, threading.Lock()
        self._seen = self._look()
        self._text = self._read()

    def __call__(self) -> str:
        with self._lock:
            try:
                now = self._look()
                if now != self._seen:
                    self._seen = now
                    self._text = self._read()
            except (OSError, ValueError):
                pass  # the last one that was good
            return self._text

    def _look(self) -> Tuple[int, ...]:
        found = os.stat(self._path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _read(self) -> str:
        with open(self._path, encoding="utf-8") as file:
            return _checked(file.read(), self._path)


class Token:
    """Of any source: a text, or what returns one."""

    def __init__(self, source: Union[str, Callable[[], str]]) -> None:
        if isinstance(source, str):
            text = _checked(source, "token")
            self._get: Callable[[], str] = lambda: text
        else:
            self._get = source

    def get(self) -> str:
        return _checked(self._get(), "token")

    def metadata(self) -> List[Tuple[str, Any]]:
        """Unauthenticated where the source has none."""
        try:
            return [("authorization", f"Bearer {self.get()}")]
        except Exception as error:
            raise Unauthenticated(f"the source of the token failed: {error}") from error
