"""Security: what checks, encryption and tokens cost, each beside the same without it, round by round."""
import base64
import contextlib
import functools
import os
import re

from bench.ingest.ingest import measure, measure_gateway, warm_gateway, warm_up
from bench.part import ratios
from bench.peers import peers
from bench.server import Failed, Gateway, free_address, load, load_command, on_load_core, run, work_directory

CLIENTS = 64
LEAST_ROUNDS = 7  # of what is compared: some targets are a few parts in a hundred
PASSWORD, TOKEN = "a-password-of-the-bench", "a-token-of-the-bench-0123456789"
AUTHORIZATION = "Authorization: Basic " + base64.b64encode(f"bench:{PASSWORD}".encode()).decode()
CHECKED = """
[[endpoint]]
name = "mms-mo"
path = "/postbacks/mms-mo"
basic = {{ user = "bench", password-file = ["{directory}/password"] }}
allow-from = ["192.0.2.0/24", "2001:db8::/32", "127.0.0.0/8"]
"""
IDENTIFIED = """
[[identity]]
name = "bench"
token-file = ["{directory}/token"]
allow = ["consume", "manage"]
"""


@contextlib.contextmanager
def files():
    """A directory with a certificate (ECDSA P-256) and its key, secrets, and what names them."""
    with work_directory() as directory:
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             f"{directory}/key", "-out", f"{directory}/cert", "-subj", "/CN=localhost", "-days", "2"])
        texts = {"password": PASSWORD, "token": TOKEN, "checked.toml": CHECKED, "identified.toml": IDENTIFIED}
        for name, text in texts.items():
            with open(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text.format(directory=directory))
        yield directory


def flags_of_tls(directory):
    return "--http-tls-cert", f"{directory}/cert", "--http-tls-key", f"{directory}/key"


def postbacks(seconds, *flags, **how):
    """The gateway's answers a second, CPU µs an answer, and the commands."""
    with warm_gateway(seconds, "--http-threads", "1", *flags, **how) as gateway:
        return figures(measure_gateway(gateway, CLIENTS, seconds, **how))


def nginx(seconds, tls=None):
    address, how = free_address(), {"tls": tls is not None}
    with peers.nginx(address, tls) as server:
        warm_up(server, address, seconds, **how)
        return figures(measure(server, address, CLIENTS, seconds, **how))


def figures(measured):
    return measured["answers/s"], measured["CPU µs/answer"], measured["commands"]


def handshakes(server, address, seconds):
    """New ones a second, one after the other and none resumed; the server's CPU µs for each."""
    command = ["openssl", "s_time", "-connect", address, "-new", "-tls1_3", "-time", str(seconds)]
    before = server.cpu_seconds()
    found = re.search(r"(\d+) connections in (\d+) real seconds", on_load_core(command))
    if not found or int(found[1]) == 0:
        raise Failed("no handshake")
    return int(found[1]) / int(found[2]), (server.cpu_seconds() - before) / int(found[1]) * 1e6, command


def gateway_handshakes(seconds, directory):
    with Gateway("--http-threads", "1", *flags_of_tls(directory)) as gateway:
        rate, cpu, command = handshakes(gateway.server, gateway.http, seconds)
        return rate, cpu, [gateway.server.command, command]


def nginx_handshakes(seconds, directory):
    address = free_address()
    with peers.nginx(address, directory) as server:
        rate, cpu, command = handshakes(server, address, seconds)
        return rate, cpu, [server.command, command]


def compare(part, table, unit, measurements):
    """Rates and CPU by name; the first is what the others are compared with."""
    if not part.options.quick:
        part.options.rounds = part.data["rounds"] = max(part.options.rounds, LEAST_ROUNDS)
    results = part.interleave(measurements)
    first = next(iter(measurements))
    plural = "deliveries" if unit == "delivery" else unit + "s"
    for name, measured in results.items():
        rates, cpus, commands = zip(*measured)
        part.row(table, name, {f"{plural}/s": rates, f"CPU µs/{unit}": cpus}, commands[0],
                 first if name != first and first in results else None)
    return {name: tuple(zip(*measured))[:2] for name, measured in results.items()}


def checks(part):
    with files() as directory:
        results = compare(part, "Ingest, checks", "answer", {
            "none": functools.partial(postbacks, part.options.seconds),
            "basic and address": functools.partial(postbacks, part.options.seconds, "--config",
                                                   f"{directory}/checked.toml", header=AUTHORIZATION)})
    part.target("CPU of ingest with basic and address checks, of that without", "",
                ratios(results["basic and address"][1], results["none"][1]), at_most=1.03)


def tls(part):
    seconds = part.options.seconds
    with files() as directory:
        results = compare(part, "Ingest, TLS 1.3, kept connections", "answer", {
            "gateway, plain": functools.partial(postbacks, seconds),
            "gateway, TLS": functools.partial(postbacks, seconds, *flags_of_tls(directory), tls=True),
            "nginx, plain": functools.partial(nginx, seconds),
            "nginx, TLS": functools.partial(nginx, seconds, directory)})
    rates = {name: rate for name, (rate, _) in results.items()}
    part.target("Ingest over TLS, of plain", "", ratios(rates["gateway, TLS"], rates["gateway, plain"]), at_least=0.7)
    plain = ratios(rates["gateway, plain"], rates["nginx, plain"])
    encrypted = ratios(rates["gateway, TLS"], rates["nginx, TLS"])
    part.target("To nginx over TLS, of what it is in plain", "", ratios(encrypted, plain), at_least=1)


def new_connections(part):
    with files() as directory:
        results = compare(part, "New handshakes, TLS 1.3", "handshake", {
            "nginx": functools.partial(nginx_handshakes, part.options.seconds, directory),
            "gateway": functools.partial(gateway_handshakes, part.options.seconds, directory)})
    part.target("CPU of a handshake, of nginx's", "", ratios(results["gateway"][1], results["nginx"][1]), at_most=1.1)


def acknowledged(gateway, events, *flags):
    gateway.mmsmo(*flags, "subscription", "create", "all", "--from", "earliest")
    command = load_command("acknowledged", gateway.grpc, "--subscription", "all", "--count", events, *flags)
    before = gateway.server.cpu_seconds()
    result = load(command)
    cpu = (gateway.server.cpu_seconds() - before) / events * 1e6
    gateway.mmsmo(*flags, "subscription", "delete", "all")
    if result["failed"]:
        raise Failed(f"{result['failed']} acknowledgements failed")
    return result["per_second"], cpu, [gateway.server.command, command]


def token(part):
    events = part.options.events // 2
    with files() as directory, Gateway() as open_to_all, \
            Gateway("--config", f"{directory}/identified.toml") as identified:
        for gateway in (open_to_all, identified):
            gateway.fill(events)
        results = compare(part, "Acknowledged deliveries", "delivery", {
            "no token": functools.partial(acknowledged, open_to_all, events),
            "a token": functools.partial(acknowledged, identified, events, "--token-file", f"{directory}/token")})
    part.target("CPU of acknowledged deliveries with a token, of those without", "",
                ratios(results["a token"][1], results["no token"][1]), at_most=1.03)


STEPS = {"checks": checks, "tls": tls, "handshakes": new_connections, "token": token}
