"""A language's consumer: a program that takes commands and says what happens, as JSON objects, one a line.

Commands:
  {"do": "run", "subscription": "orders", "target": "127.0.0.1:9090", "plan": [RULE…], "options": {…}}
  {"do": "follow", "start": {"boundary": "EARLIEST" | "LATEST"} or {"cursor": "…"}, "target", "plan", "options"}
  {"do": "stop", "mode": "finish" | "release", "timeout_ms": 10000}
  {"do": "go"}         handlers that hold return
  {"do": "defaults"}   what client/defaults.toml has, as this language has it
  {"do": "measure", "subscription", "target", "count": 100000, "options"}   acknowledges so many as fast as it can

RULE: {"id", "attempt", "verdict": "ack" | "retry" | "retry_after" | "dead_letter" | "throw" | "exit", "after_ms",
"reason", "work_ms", "hold": true}. The first whose id and attempt are the delivery's, or are absent, counts; without
one it is acknowledged. "exit" ends the process with code 3.

Events: connected; disconnected (code); begin and end (id, attempt, end with the verdict); told (id), where a handler's
time was over before its work; ack_failed (why); caught_up; ended (code, earliest_cursor, cursor); defaults (each by its name); measured (seconds).
The process ends with 0 at the end of its standard input.
"""
import contextlib
import json
import signal
import subprocess
import threading
import time

WAIT_SECONDS = 60


class Runner:
    def __init__(self, command):
        self.command, self.runs_again = command, None
        self.events, self._changed = [], threading.Condition()
        self._closing = False
        self._start()

    def _start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process):
        for line in process.stdout:
            with self._changed:
                self.events.append({**json.loads(line), "at": time.monotonic()})
                self._changed.notify_all()
        process.wait()
        if self.runs_again and not self._closing:
            self._start()
            self.do(**self.runs_again)

    def do(self, **command):
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except OSError:
            if not self.runs_again:  # it has ended, and the next one will be told
                raise

    def said(self, event, **fields):
        with self._changed:
            return [one for one in self.events
                    if one["event"] == event and all(one.get(name) == value for name, value in fields.items())]

    def until(self, what, holds, seconds=WAIT_SECONDS):
        """Waits until `holds()`, which looks at the events, does."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not holds():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what}; it said: {self.summary()}")
                self._changed.wait(min(left, 0.05))

    def summary(self):
        return [{k: v for k, v in one.items() if k != "at"} for one in self.events[-30:]]

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        self._closing = True
        self.process.send_signal(signal.SIGCONT)
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the runner did not end with its standard input")
