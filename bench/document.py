"""docs/performance.md and its charts, of what the parts kept as JSON."""
import json
import os
import statistics
import sys
import textwrap
import tomllib

from bench import charts

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = """# Performance

Written by `script/bench`, which measures everything below in about half an hour. `script/bench --quick` is a trial of
two minutes, `script/bench PART` measures one part, `script/bench --render` writes this document again from what was
measured last. It needs Debian 12, Node.js with npm, Go 1.26 or newer, two cores, 20 GB of disk, and nothing else
running.

Figures are of one machine: compare ratios. Servers have core 0 to themselves, loads have core 1. A figure is the median
of {rounds} rounds, with the lowest and the highest in brackets. Rounds of what is compared alternate, and a ratio is
the median of the rounds' own ratios. Data is on the disk that the project is on. Each table's commands are below it;
`DIR` and `PORT` are new in every run.
"""
SECTIONS = {
    "ingest": ("Ingest", """The documented example is POSTed over connections that are kept alive, each request as
soon as the last one is answered. **nginx** answers 200 and does nothing else: it is the limit. The **gateway** decodes,
normalises, deduplicates and syncs each postback, and keeps its body, with one HTTP thread. **Express** with
fast-xml-parser and **Go** with net/http and encoding/xml do the same with a file and a map of ids, and sync once for
all that arrived during the last sync; a variant of Express syncs for each request. Debian's **webhook** runs
`/bin/true` for each and answers when it ends. **JetStream** has no HTTP: `nats bench` publishes 450 bytes with ids for
deduplication, waits for acknowledgements (*async*: of 500 at a time), and stores into files, synced before the
acknowledgement (`sync_interval: always`) or, by default, every two minutes. CPU is the server's with its children's,
the load's is not in it."""),
    "delivery": ("Delivery", """Stored events of about 450 bytes are streamed to one subscriber from the earliest to
the newest. *Counted* is a client that leaves frames as bytes, *parsed* one that makes messages of them. **Go**
(grpc-go) and **Python** (grpcio) stream the same messages, one a frame, to the same C++ client. **NATS** sends 450
bytes to its own client, `nats bench`: core NATS live and without storing, from a publisher on the load's core, counted
over all subscribers; JetStream from files."""),
    "growth": ("Growth", """The cost of a postback is the server's CPU time over 50,000 postbacks on 64 connections,
after a start and once the server was idle. Starts are with what the operating system has cached. 100 million is on
paper, not measured: the line through the two largest sizes where it rises, for the cost over the logarithm of the
size."""),
    "latency": ("Latency of the answer", """Postbacks are due at a fixed rate, whatever the answers take, and a
latency counts from the moment its postback was due: what waits for a free connection counts its wait. The maximum is
that of the same client without a rate. The chart says how many of the answers took longer."""),
    "decode": ("Decoding", "From the bytes of a body to a normalised message, without HTTP and disk."),
    "security": ("Security", """What is compared differs in the one thing that its table names, and takes turns for at
least seven rounds. Connections of ingest are 64, kept, and have ECDSA P-256 with TLS 1.3 where they are encrypted;
nginx answers 200 and does nothing else. New handshakes are those of `openssl s_time`, one after the other, none of them
resumed: the load's core is busier with one than the server's, so that the CPU counts."""),
    "clients": ("Client libraries", """One consumer of a named subscription, on one core, handles stored events of about
450 bytes with a handler that does nothing, one at a time, and every acknowledgement is durable before it ends. Each
program runs once before it is measured. **nats.go** and **nats.py** consume 450 bytes from a JetStream stream in files
and acknowledge each without waiting for an answer. Memory is what 10,000 deliveries in hand add to a program that has
handled as many before."""),
}


def wrapped(text):
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def spread(rounds):
    return f"{number(statistics.median(rounds))} ({number(min(rounds))}–{number(max(rounds))})"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def by_table(rows):
    tables = {}
    for row in rows:
        tables.setdefault(row["table"], []).append(row)
    return tables


def measured(title, rows):
    """A table; with a ratio after the first column where rows are compared."""
    named = {row["name"]: row for row in rows}
    columns = list(rows[0]["values"])
    compared = any(row["than"] in named for row in rows)
    lines = []
    for row in rows:
        cells = [spread(rounds) for rounds in row["values"].values()]
        if compared:
            than = named.get(row["than"])
            cells.insert(1, spread([a / b for a, b in zip(row["values"][columns[0]], than["values"][columns[0]])])
                         if than else "1")
        lines.append([row["name"], *cells])
    if compared:
        columns.insert(1, "ratio")
    return table([title, *columns], lines)


def commands(rows):
    lines = []
    for row in rows:
        if row["commands"]:
            lines += [f"# {row['name']}", *row["commands"]]
    return "<details><summary>Commands</summary>\n\n```sh\n" + "\n".join(lines) + "\n```\n\n</details>\n"


def target_lines(targets):
    return [[target["what"], f"{target['bound']} {target['unit']}".strip(), spread(target["rounds"]),
             "reached" if target["reached"] else "**not reached**"] for target in targets]


def machine(parts):
    one = next(iter(parts.values()))["machine"]
    syncs = ", ".join(f"{part['machine']['fdatasync_micros']:.0f} µs before {SECTIONS[name][0].lower()}"
                      for name, part in parts.items())
    versions = ", ".join(f"{name} {version}" for name, version in parts.get("ingest", {}).get("versions", {}).items())
    return [wrapped(f"{one['cpu']}, {one['cores']} cores, {one['kernel']}. "
                    f"fdatasync after 4 KiB, median of 200: {syncs}."),
            wrapped(f"Versions: {versions}; nats and nats-server are built by `go install`.")]


def section(name, part, directory):
    title, text = SECTIONS[name]
    lines = [f"## {title}\n", wrapped(text)]
    if part["targets"]:
        lines.append(table(["Target", "bound", "measured", ""], target_lines(part["targets"])))
    for file, description in charts.draw(name, by_table(part["rows"]), directory):
        lines.append(f"![{description}](performance/{file})\n")
    for group, rows in by_table(part["rows"]).items():
        lines += [measured(group, rows), commands(rows)]
    if part["failures"]:
        lines.append("Not measured:\n\n" + "\n".join(f"- {failure}" for failure in part["failures"]) + "\n")
    return lines


def not_reached(parts):
    with open(os.path.join(HERE, "reasons.toml"), "rb") as file:
        reasons = tomllib.load(file)
    missed = [target for part in parts.values() for target in part["targets"] if not target["reached"]]
    lines = [f"- **{target['what']}** ({target['bound']} {target['unit']}".rstrip() + f"; {spread(target['rounds'])}): "
             + reasons.get(target["what"], "no reason is known yet.").strip() for target in missed]
    return ["## Not reached, and why\n", "\n".join(lines or ["Every target was reached."]) + "\n"]


def write(results, out):
    parts = {}
    for name in SECTIONS:
        path = os.path.join(results, name + ".json")
        if os.path.exists(path):
            with open(path) as file:
                parts[name] = json.load(file)
    if not parts:
        sys.exit("nothing has been measured yet")
    directory = os.path.join(out, "performance")
    os.makedirs(directory, exist_ok=True)
    rounds = next(iter(parts.values()))["rounds"]
    lines = [HEAD.format(rounds=rounds), "## The machine\n", *machine(parts)]
    for name, part in parts.items():
        lines += section(name, part, directory)
    with open(os.path.join(out, "performance.md"), "w") as file:
        file.write("\n".join(line for line in lines + not_reached(parts) if line))
