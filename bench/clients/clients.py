"""The client libraries: how many deliveries of a named subscription each acknowledges a second on one core, and what
10,000 in hand take."""
import contextlib
import functools
import json
import os
import subprocess
import sys
import time

from bench.peers import peers
from bench.server import BUILD, EVENT_BYTES, ROOT, WORK, Failed, Gateway, on_load_core, run, running_on_load_core

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT = os.path.join(ROOT, "client")
HELD = 10_000
NATS_PY = "nats-py==2.16.0"
# A second, on the core of the client.
GOALS = {"Go": 100_000, "Java": 100_000, "Node.js": 40_000, "Python, threads": 15_000, "Python, asyncio": 15_000}


def has(language):
    return subprocess.run([os.path.join(ROOT, "script", "has"), language]).returncode == 0


def cpp():
    return [os.path.join(BUILD, "tests", "clients", "client_runner")]


def go():
    program = os.path.join(WORK, "bin", "client-go")
    run(["go", "build", "-o", program, "./internal/runner"], cwd=os.path.join(CLIENT, "go"))
    return [program]


def java():
    run(["mvn", "-q", "-B", "process-test-classes"], cwd=os.path.join(CLIENT, "java"))
    classes = os.path.join(CLIENT, "java", "target")
    with open(os.path.join(classes, "test.classpath")) as others:
        path = f"{classes}/test-classes:{classes}/classes:{others.read().strip()}"
    # With the compiler that a service has, which a short-lived test does without.
    return ["java", "-XX:+UseSerialGC", "-cp", path, "io.github.mmsmo.gateway.runner.Runner"]


def node():
    run(["npm", "run", "--silent", "runner"], cwd=os.path.join(CLIENT, "node"))
    return ["node", os.path.join(CLIENT, "node", "dist-tests", "runner.js")]


def python(*flags):
    run([os.path.join(CLIENT, "python", "generate")])
    return ["env", f"PYTHONPATH={CLIENT}/python", sys.executable, os.path.join(CLIENT, "python", "tests", "runner.py"), *flags]


def runners(part):
    """The languages that are here, and what is said of those that are not."""
    made = {"C++": cpp, "Go": go, "Java": java, "Node.js": node, "Python, threads": python,
            "Python, asyncio": functools.partial(python, "--asyncio")}
    for name, needs in (("Go", "go"), ("Java", "java"), ("Node.js", "node")):
        if not has(needs):
            print(f"  {name} is left out: script/has finds no toolchain", flush=True)
            del made[name]
    commands = {}
    for name, make in made.items():
        with part.attempt(name):
            commands[name] = make()
    return commands


class Runner:
    """A program that tests/clients/runner.py describes, on the load's core."""

    def __init__(self, process):
        self.process = process

    def do(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def until(self, event):
        for line in self.process.stdout:
            said = json.loads(line)
            if said["event"] == event:
                return said
        raise Failed(f"it ended before it said {event}")

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


def acknowledged(gateway, runner, count, numbers=iter(range(1_000_000))):
    name = f"acknowledged-{next(numbers)}"
    gateway.mmsmo("subscription", "create", name, "--from", "earliest", "--max-outstanding", str(HELD))
    try:
        runner.do(do="measure", subscription=name, target=gateway.grpc, count=count)
        measured = runner.until("measured")
        if measured["code"] != "OK":
            raise Failed(f"it ended with {measured['code']}")
        return count / float(measured["seconds"])
    finally:
        gateway.mmsmo("subscription", "delete", name)


def held_mib(gateway, command):
    """More memory, after the runner has handled some and with 10,000 in hand."""
    with running_on_load_core(command, stderr=subprocess.DEVNULL) as process:
        runner = Runner(process)
        acknowledged(gateway, runner, HELD)
        before = runner.resident_mib()
        gateway.mmsmo("subscription", "create", "held", "--from", "earliest", "--max-outstanding", str(HELD))
        try:
            runner.do(do="run", subscription="held", target=gateway.grpc, plan=[{"hold": True}],
                      options={"max_outstanding_messages": HELD})
            runner.until("begin")
            deadline = time.monotonic() + 30
            while gateway.metric('mmsmo_subscription_in_flight{subscription="held"}') < HELD:
                if time.monotonic() > deadline:
                    raise Failed("it does not take 10,000")
                time.sleep(0.01)
            time.sleep(0.5)  # until it has parsed what it was sent
            return runner.resident_mib() - before
        finally:
            gateway.mmsmo("subscription", "delete", "held")


def nats_py():
    environment = os.path.join(WORK, "nats-py")
    if not os.path.exists(os.path.join(environment, "bin", "pip")):
        run([sys.executable, "-m", "venv", environment])
    run([os.path.join(environment, "bin", "pip"), "install", "-q", NATS_PY])
    return [os.path.join(environment, "bin", "python"), os.path.join(HERE, "nats", "consume.py")]


def nats_go():
    program = os.path.join(WORK, "bin", "consume-nats-go")
    run(["go", "build", "-o", program, "."], cwd=os.path.join(HERE, "nats"))
    return [program]


def consumed(command, nats, count):
    address = nats[nats.index("-s") + 1]
    return count / json.loads(on_load_core([*command, address, str(count)]))["seconds"]


def speed(part):
    events = part.options.events // 5
    measurements = {}
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway("--newest-bytes", "0"))
        gateway.fill(events)
        commands = runners(part)
        for name, command in commands.items():
            process = stack.enter_context(running_on_load_core(command, stderr=subprocess.DEVNULL))
            runner = Runner(process)
            acknowledged(gateway, runner, events)  # Java and Node.js compile what runs often
            measurements[name] = functools.partial(acknowledged, gateway, runner, events)
        with part.attempt("NATS"):
            _, nats = stack.enter_context(peers.nats(synced=False))
            on_load_core([*nats, "bench", "js", "pub", "async", "--no-progress", "--create", "--msgs", str(events), "--size",
                          str(EVENT_BYTES), "stored"])
            for name, make in (("JetStream, nats.go", nats_go), ("JetStream, nats.py", nats_py)):
                with part.attempt(name):
                    commands[name] = make()
                    measurements[name] = functools.partial(consumed, commands[name], nats, events)
        results = part.interleave(measurements)
    for name, rates in results.items():
        part.row("One consumer on one core", name, {"acknowledged/s": rates}, [commands[name]])
        if name in GOALS:
            part.target(f"{name}: acknowledged", "/s", rates, at_least=GOALS[name])


def memory(part):
    commands = runners(part)
    with Gateway() as gateway:
        gateway.fill(2 * HELD)
        results = part.interleave({name: functools.partial(held_mib, gateway, command)
                                   for name, command in commands.items()})
    for name, mib in results.items():
        part.row(f"{HELD:,} in hand", name, {"more memory, MiB": mib}, [commands[name]])


STEPS = {"speed": speed, "memory": memory}
