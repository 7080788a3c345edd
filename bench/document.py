"""docs/performance.md and its charts, of what the parts kept as JSON."""
import json
import os
import statistics
import sys
import textwrap
import tomllib

from bench import charts, cores
from bench.part import ratios

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = """Measured on one machine ({cpu}, {cores} cores, {kernel}): compare ratios. A figure is the median of {rounds}
rounds, with the lowest and the highest in brackets. Servers have one core, and loads the other."""
METHOD = """`script/bench` writes this document after about {minutes} minutes, `script/bench --quick` a trial of it
after six, and `script/bench --render` what was measured last; `script/bench PART` measures one part. It needs Debian
12, Node.js with npm, Go 1.26 or newer, two cores, 20 GB of disk, and nothing else running.

Rounds of what is compared alternate, and a ratio is the median of the rounds' own ratios. Before a server, peers as
well, is measured in a round, it answers on 64 connections for {warm_up} seconds, in which files come to their sizes and
programs are compiled. It then serves all that the round measures of it, one load after the other,
each with tracking ids of its own and once the server is idle. Only growth, handshakes and starts are measured without.
Data is on the disk that the project is on. In commands, `DIR`, `PORT` and `FIRST` are new for each, and one that stands
further up in its chapter is not repeated.
"""
# The question; part, table, columns and row (how its name begins); the row that it is compared with.
ANSWERS = (
    ("Postbacks answered a second, 64 connections", "ingest", "Server, connections", ["answers/s"],
     "gateway, XML, 64", "nginx, 64", "of nginx's `return 200`"),
    ("Postbacks answered a second, 256 connections", "ingest", "Server, connections", ["answers/s"],
     "gateway, XML, 256", "nginx, 256", "of nginx's `return 200`"),
    ("The same beside a server in Go that syncs, too", "ingest", "Other servers, 64 connections", ["answers/s"],
     "gateway", "Go", "times as many"),
    ("Latency of the answer at half of the maximum: p50, p99.9", "latency", "At a fixed rate",
     ["p50, ms", "p99.9, ms"], "50%"),
    ("From POST to delivery at 2,000/s: p50, p99", "delivery", "From POST to delivery", ["p50, ms", "p99, ms"],
     "2,000"),
    ("Deliveries a second to one subscriber, from disk", "delivery", "Streams", ["deliveries/s"],
     "gateway, from disk, parsed", "JetStream, ordered consumer", "times JetStream's"),
    ("Deliveries acknowledged durably a second", "delivery", "A named subscription", ["deliveries/s"], "acknowledged"),
    ("CPU µs of a postback with 10,000,000 stored", "growth", "Stored events", ["CPU µs/postback"], "10,000,000",
     "10,000", "of that with 10,000"),
    ("Start with 10,000,000 stored", "growth", "Stored events", ["ready after, ms"], "10,000,000"),
    ("Memory with 10,000,000 stored: idle, under load", "growth", "Stored events", ["idle, MiB", "under load, MiB"],
     "10,000,000"),
)
SECTIONS = {
    "ingest": ("Ingest", """The documented example is POSTed over kept connections, each request as soon as the last one
is answered. **nginx** answers 200 and does nothing else: it is the limit. The **gateway** decodes, normalises,
deduplicates and syncs each postback, and keeps its body, with one HTTP thread. **Express** with fast-xml-parser and
**Go** with net/http and encoding/xml do the same with a file and a map of ids, and sync once for all that arrived
during the last sync. **webhook** runs `/bin/true` for each. **JetStream** has no HTTP: `nats bench` publishes 450 bytes
with ids for deduplication and waits for acknowledgements (*async*: of 500 at a time), synced before (`sync_interval:
always`) or every two minutes, its default. CPU is the server's alone. Where *both cores* are for server and load, they
compete, nginx with two workers: the table says what a second HTTP thread changes on two cores, not how the gateway
scales, and what neither server nor load takes of the cores is their wait for each other and the disk."""),
    "delivery": ("Delivery", """Stored events of about 450 bytes are streamed to one subscriber from the earliest to
the newest. *Counted* is a client that leaves frames as bytes, *parsed* one that makes messages of them. **Go** and
**Python** stream the same messages, one a frame, to the same C++ client. **NATS** sends 450 bytes to `nats bench`: core
NATS live and without storing, JetStream from files."""),
    "growth": ("Growth", """The cost of a postback is the server's CPU time over 50,000 postbacks on 64 connections,
after a start. 100 million is on paper: the line through the two largest sizes where it rises, for the cost over the
logarithm of the size."""),
    "latency": ("Latency of the answer", """Postbacks are due at a fixed rate, whatever the answers take, and a
latency counts from then: a wait for a free connection counts. The maximum is that of the same client without a
rate."""),
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
    """Of a chapter, each once."""
    lines = []
    for row in rows:
        if new := [command for command in row["commands"] if command not in lines]:
            lines += [f"# {row['table']}: {row['name']}", *new]
    return "<details><summary>Commands</summary>\n\n```sh\n" + "\n".join(lines) + "\n```\n\n</details>\n"


def target_lines(targets):
    return [[target["what"], f"{target['bound']} {target['unit']}".strip(), spread(target["rounds"]),
             "reached" if target["reached"] else "**not reached**"] for target in targets]


def answer(parts, question, part, group, columns, name, than=None, text=""):
    """A line of the first table, or none where it was not measured."""
    rows = by_table(parts.get(part, {"rows": []})["rows"]).get(group, [])
    row, other = (next((row for row in rows if row["name"].startswith(start)), None) for start in (name, than or name))
    if not row or not other:
        return []
    beside = ratios(row["values"][columns[0]], other["values"][columns[0]])
    figures = " / ".join(number(statistics.median(row["values"][column])) for column in columns)
    return [[question, f"{figures} {columns[0].partition(', ')[2]}".strip(),
             f"{number(statistics.median(beside))} {text}" if than else ""]]


def short(parts, drawn):
    """What a reader wants to know first, and the charts."""
    targets = [target for part in parts.values() for target in part["targets"]]
    first = [line for spec in ANSWERS for line in answer(parts, *spec)]
    lines = ["## In short\n", table(["", "measured", "beside"], first)]
    missed = not_reached([target for target in targets if not target["reached"]])
    lines.append(f"{len(targets) - len(missed)} of {len(targets)} targets are reached"
                 + (". Not, and why:\n\n" + "\n".join(missed) if missed else ".") + "\n")
    return lines + [f"![{description}](performance/{file})\n" for file, description in drawn]


def not_reached(targets):
    with open(os.path.join(HERE, "reasons.toml"), "rb") as file:
        reasons = tomllib.load(file)
    return [f"- **{target['what']}** ({target['bound']} {target['unit']}".rstrip() + f"; {spread(target['rounds'])}): "
            + reasons.get(target["what"], "no reason is known yet.").strip() for target in targets]


def method(parts, rounds, warm_up):
    syncs = ", ".join(f"{part['machine']['fdatasync_micros']:.0f} µs before {SECTIONS[name][0].lower()}"
                      for name, part in parts.items())
    versions = ", ".join(f"{name} {version}" for name, version in parts.get("ingest", {}).get("versions", {}).items())
    minutes = sum(part["minutes"] for part in parts.values())
    text = METHOD.format(rounds=rounds, warm_up=warm_up, minutes=f"{minutes:.0f}")
    return ["## How it is measured\n", *map(wrapped, text.split("\n\n")),
            wrapped(f"fdatasync after 4 KiB, median of 200: {syncs}."),
            wrapped(f"Versions: {versions}; nats and nats-server are built by `go install`.")]


def section(name, part):
    title, text = SECTIONS[name]
    lines = [f"## {title}\n", wrapped(text)]
    if part["targets"]:
        lines.append(table(["Target", "bound", "measured", ""], target_lines(part["targets"])))
    lines += [measured(group, rows) for group, rows in by_table(part["rows"]).items()]
    if part["failures"]:
        lines.append("Not measured:\n\n" + "\n".join(f"- {failure}" for failure in part["failures"]) + "\n")
    return [*lines, commands(part["rows"])]


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
    one = next(iter(parts.values()))
    drawn = [chart for name, part in parts.items() for chart in charts.draw(name, by_table(part["rows"]), directory)]
    lines = ["# Performance\n", wrapped(HEAD.format(rounds=one["rounds"], **one["machine"])), *short(parts, drawn)]
    for name, part in parts.items():
        lines += section(name, part)
    sync = statistics.median(part["machine"]["fdatasync_micros"] for part in parts.values())
    for paragraph in cores.paper(by_table(parts.get("ingest", {"rows": []})["rows"]), sync, number, table):
        lines.append(paragraph.rstrip() + "\n" if paragraph[0] in "#|`" else wrapped(paragraph))
    lines += method(parts, one["rounds"], 2 * one["seconds"])
    with open(os.path.join(out, "performance.md"), "w") as file:
        file.write("\n".join(line for line in lines if line))
