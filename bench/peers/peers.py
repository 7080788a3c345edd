"""The servers that the gateway is compared with. Each is built on first use, below build/bench, and runs on the
server's core as long as its `with` lasts."""
import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys

from bench.server import BUILD, ROOT, SERVER_CORE, WORK, Failed, free_address, port_of, run, serving, work_directory

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(WORK, "bin")
NATS_SERVER, NATS = "github.com/nats-io/nats-server/v2@v2.15.3", "github.com/nats-io/natscli/nats@v0.5.1"


def need(command, what):
    if not shutil.which(command):
        raise Failed(f"needs {what}, which is not installed")


def copy(name):
    """The peer's sources in a folder where a package manager may add its own."""
    return shutil.copytree(os.path.join(HERE, name), os.path.join(WORK, name), dirs_exist_ok=True)


@functools.cache
def build_express():
    need("npm", "Node.js and npm")
    directory = copy("express")
    run(["npm", "ci", "--silent", "--no-fund", "--no-audit"], cwd=directory)
    return directory


@functools.cache
def build_go():
    need("go", "Go 1.26 or newer")
    run([os.path.join(ROOT, "script", "generate"), "go"])
    directory = copy("go")
    shutil.copytree(os.path.join(ROOT, "gen", "go"), os.path.join(directory, "gen", "go"), dirs_exist_ok=True)
    program = os.path.join(BIN, "peer-go")
    run(["go", "build", "-o", program, "."], cwd=directory)
    return program


@functools.cache
def install(package):
    """A Go program at its pinned version."""
    need("go", "Go 1.26 or newer")
    path, version = package.split("@")
    directory = os.path.join(BIN, version)
    program = os.path.join(directory, os.path.basename(re.sub(r"/v\d+$", "", path)))
    if not os.path.exists(program):
        run(["go", "install", package], env={**os.environ, "GOBIN": directory})
    return program


@contextlib.contextmanager
def nginx(address, tls=None, workers=1, cores=SERVER_CORE):
    """`tls`: a directory with cert and key."""
    listen = " reuseport"
    if tls:
        listen += f" ssl; ssl_certificate {tls}/cert; ssl_certificate_key {tls}/key; ssl_protocols TLSv1.3"
    with work_directory() as directory:
        config = os.path.join(directory, "nginx.conf")
        with open(os.path.join(HERE, "nginx.conf")) as template, open(config, "w") as out:
            out.write(template.read().replace("WORKERS", str(workers)).replace("PORT", port_of(address) + listen))
        with serving(["/usr/sbin/nginx", "-p", directory, "-c", config], address, directory, cores=cores) as server:
            yield server


@contextlib.contextmanager
def express(address, sync):
    program = os.path.join(build_express(), "server.js")
    with work_directory() as directory, serving(
            ["node", program, address, os.path.join(directory, "events"), sync], address, directory,
            env={**os.environ, "NODE_ENV": "production"}) as server:
        yield server


@contextlib.contextmanager
def go(http, grpc):
    program = build_go()
    with work_directory() as directory, serving(
            [program, http, grpc, os.path.join(directory, "events")], http, directory) as server:
        yield server


@contextlib.contextmanager
def python(grpc, events):
    with work_directory() as directory, serving(
            [sys.executable, os.path.join(HERE, "python", "server.py"), grpc, str(events)], grpc, directory,
            env={**os.environ, "PYTHONPATH": os.path.join(BUILD, "tests", "integration", "python")}) as server:
        yield server


@contextlib.contextmanager
def webhook(address):
    need("webhook", "Debian's package webhook")
    with work_directory() as directory, serving(
            ["webhook", "-hooks", os.path.join(HERE, "webhook", "hooks.json"), "-urlprefix", "postbacks",
             "-ip", "127.0.0.1", "-port", port_of(address)], address, directory) as server:
        yield server


@contextlib.contextmanager
def nats(synced):
    """Yields the server and the start of a `nats` command. `synced`: before the acknowledgement; otherwise by
    NATS's default, every two minutes."""
    program, client, address = install(NATS_SERVER), install(NATS), free_address()
    with work_directory() as directory:
        config = os.path.join(directory, "nats.conf")
        with open(config, "w") as out:
            out.write(f'listen: "{address}"\njetstream {{ store_dir: "{directory}"'
                      f'{", sync_interval: always" if synced else ""} }}\n')
        with serving([program, "-c", config], address, directory) as server:
            yield server, [client, "-s", f"nats://{address}", "--no-context"]


def nats_rate(output):
    """The messages a second of all clients together, which is the last line that has them."""
    return float(re.findall(r"stats: ([\d,]+) msgs/sec", output)[-1].replace(",", ""))


def versions():
    """Of what can say it."""
    with open(os.path.join(HERE, "express", "package.json")) as file:
        packages = json.load(file)["dependencies"]
    with open(os.path.join(HERE, "go", "go.mod")) as file:
        packages["grpc-go"] = re.search(r"google\.golang\.org/grpc v(\S+)", file.read())[1]
    commands = {"nginx": ["/usr/sbin/nginx", "-v"], "Node.js": ["node", "--version"], "Go": ["go", "env", "GOVERSION"],
                "webhook": ["webhook", "-version"],
                "grpcio": [sys.executable, "-c", "import grpc; print(grpc.__version__)"]}
    said = {name: subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip()
            for name, command in commands.items() if shutil.which(command[0])}
    return {name: re.search(r"[\d.]+", text)[0] for name, text in said.items()} | packages | {
        "nats-server": NATS_SERVER.split("@v")[1], "nats (natscli)": NATS.split("@v")[1]}
