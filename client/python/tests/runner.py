"""The consumer that tests/clients drives, by threads or with --asyncio: commands come as JSON objects on standard
input, one a line, and what happens goes to standard output likewise. tests/clients/runner.py says what the
commands are."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import threading
import time

import mmsmo
import mmsmo.aio
from mmsmo import defaults

EXIT_OF_HANDLER = 3
_saying = threading.Lock()


def say(event, **fields):
    with _saying:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()


class Planned(Exception):
    pass


class Says(mmsmo.Observer):
    def connected(self):
        say("connected")

    def disconnected(self, error):
        say("disconnected", code=error.code)

    def caught_up(self):
        say("caught_up")

    def ack_failed(self, failure):
        say("ack_failed", id="", why=failure.why)


class Rules:
    def __init__(self, rules):
        self._rules = rules

    def rule(self, name, attempt):
        for rule in self._rules:
            if rule.get("id", name) == name and rule.get("attempt", attempt) == attempt:
                return rule
        return {}

    def begin(self, delivery):
        name = delivery.event.mms_mo.tracking_id
        say("begin", id=name, attempt=delivery.attempt)
        return self.rule(name, delivery.attempt)

    def end(self, delivery, rule, told):
        name = delivery.event.mms_mo.tracking_id
        if told:
            say("told", id=name)
        said = "retry" if told else rule.get("verdict", "ack")
        if said == "exit":
            os._exit(EXIT_OF_HANDLER)
        say("end", id=name, attempt=delivery.attempt, verdict=said)
        if said == "throw":
            raise Planned
        if said == "retry":
            return mmsmo.Retry
        if said == "retry_after":
            return mmsmo.RetryAfter(rule.get("after_ms", 0) / 1000)
        return mmsmo.DeadLetter(rule.get("reason", "")) if said == "dead_letter" else mmsmo.Ack


def options_of(command):
    wanted, options = command.get("options", {}), {"observer": Says()}
    for name, value in wanted.items():
        if name.endswith("_ms"):
            options[name[: -len("_ms")]] = value / 1000
        else:
            options[name] = value
    return options


def start_of(start):
    if "cursor" in start:
        return mmsmo.after_cursor(start["cursor"])
    return mmsmo.from_latest() if start.get("boundary") == "LATEST" else mmsmo.from_earliest()


def say_end(error, cursor):
    code = "OK" if error is None else getattr(error, "code", "INTERNAL")
    say("ended", code=code, earliest_cursor=getattr(error, "earliest_cursor", ""), cursor=cursor)


def say_defaults():
    say("defaults", **{name.lower(): value for name, value in vars(defaults).items() if name.isupper()})


def mode_of(command):
    return mmsmo.StopMode(command.get("mode", "release")), command.get("timeout_ms", defaults.STOP_TIMEOUT_MS) / 1000


class ThreadsRun:
    def __init__(self, command):
        self._command, self._rules = command, Rules(command.get("plan", []))
        self._changed, self._held = threading.Condition(), True
        self._subscriber = mmsmo.Subscriber(command["target"], **options_of(command))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        error = None
        try:
            if self._command["do"] == "run":
                self._subscriber.run(self._command["subscription"], self._handle)
            else:
                self._subscriber.follow(start_of(self._command["start"]), self._handle)
        except Exception as raised:
            error = raised
        say_end(error, self._subscriber.cursor)

    def _handle(self, delivery):
        rule = self._rules.begin(delivery)
        if rule.get("hold"):
            with self._changed:
                # The handler is told by an event, which wakes nobody here.
                while self._held and not delivery.cancelled.is_set():
                    self._changed.wait(0.01)
        delivery.cancelled.wait(rule.get("work_ms", 0) / 1000)
        return self._rules.end(delivery, rule, delivery.cancelled.is_set())

    def go(self):
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def stop(self, command):
        self._subscriber.stop(*mode_of(command))

    def close(self):
        self._subscriber.stop()
        self.go()
        self._thread.join()


class Counting:
    """Stops after so many."""

    def __init__(self, command, subscriber):
        self._left, self._subscriber = command["count"], subscriber
        self._begin = time.perf_counter()

    def count(self):
        self._left -= 1
        if self._left == 0:
            self._subscriber.stop(mmsmo.StopMode.FINISH)
        return mmsmo.Ack

    def say(self):
        say("measured", code="OK", seconds=time.perf_counter() - self._begin)


def measure(command):
    subscriber = mmsmo.Subscriber(command["target"])
    counting = Counting(command, subscriber)
    subscriber.run(command["subscription"], lambda delivery: counting.count())
    counting.say()


async def measure_asyncio(command):
    subscriber = mmsmo.aio.Subscriber(command["target"])
    counting = Counting(command, subscriber)

    async def handle(delivery):
        return counting.count()

    await subscriber.run(command["subscription"], handle)
    counting.say()


def main():
    run = None
    for line in sys.stdin:
        command = json.loads(line)
        what = command["do"]
        if what == "defaults":
            say_defaults()
        elif what == "measure":
            measure(command)
        elif what in ("run", "follow"):
            if run:
                run.close()
            run = ThreadsRun(command)
        elif what == "stop" and run:
            run.stop(command)
        elif what == "go" and run:
            run.go()
    if run:
        run.close()


class AsyncioRun:
    def __init__(self, command):
        self._command, self._rules = command, Rules(command.get("plan", []))
        self._released = asyncio.Event()
        self._subscriber = mmsmo.aio.Subscriber(command["target"], **options_of(command))
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        error = None
        try:
            if self._command["do"] == "run":
                await self._subscriber.run(self._command["subscription"], self._handle)
            else:
                await self._subscriber.follow(start_of(self._command["start"]), self._handle)
        except Exception as raised:
            error = raised
        say_end(error, self._subscriber.cursor)

    async def _handle(self, delivery):
        rule = self._rules.begin(delivery)
        try:
            if rule.get("hold"):
                await self._released.wait()
            if rule.get("work_ms"):
                await asyncio.sleep(rule["work_ms"] / 1000)
        except asyncio.CancelledError:
            self._rules.end(delivery, rule, True)
            raise
        return self._rules.end(delivery, rule, False)

    def go(self):
        self._released.set()

    def stop(self, command):
        self._subscriber.stop(*mode_of(command))

    async def close(self):
        self._subscriber.stop()
        self.go()
        await self._task


async def main_asyncio():
    run = None
    loop, lines = asyncio.get_running_loop(), asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        command = json.loads(line)
        what = command["do"]
        if what == "defaults":
            say_defaults()
        elif what == "measure":
            await measure_asyncio(command)
        elif what in ("run", "follow"):
            if run:
                await run.close()
            run = AsyncioRun(command)
        elif what == "stop" and run:
            run.stop(command)
        elif what == "go" and run:
            run.go()
    if run:
        await run.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--asyncio", action="store_true")
    logging.basicConfig(level=logging.ERROR)
    if parser.parse_args().asyncio:
        asyncio.run(main_asyncio())
    else:
        main()
