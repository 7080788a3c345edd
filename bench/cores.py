"""bench/cores.md, what limits many cores, with the figures that were measured."""
import os
import statistics

HERE = os.path.dirname(os.path.abspath(__file__))
CORES = (1, 2, 4, 8, 32)


def paper(rows, sync, number, table):
    """Its paragraphs. `rows` of ingest by table; the disk's sync in µs."""
    threads = rows.get("The gateway's threads, an answer", [])
    if len(threads) < 2:
        return []
    medians = [{name: statistics.median(rounds) for name, rounds in row["values"].items()} for row in threads]
    sizes = [m["postbacks/sync"] for m in medians]
    each, group = statistics.linear_regression(sizes, [m["writer, µs"] * m["postbacks/sync"] for m in medians])

    at = max((row["connections"] for row in threads if row["connections"] <= 256), default=threads[0]["connections"])
    cost = next(m for m, row in zip(medians, threads) if row["connections"] == at)
    http, writer = cost["HTTP, µs"], cost["writer, µs"]
    background = sum(cost[f"{name}, µs"] for name in ("flush", "compaction", "others"))
    everything, ceiling = http + each + background, 1e6 / each
    written = cost["log, bytes"] + cost["other files, bytes"]

    def measured(name, of="Server, connections", column="answers/s"):
        return statistics.median(next((row["values"][column] for row in rows.get(of, []) if row["name"] == name), [0]))

    def in_flight(share, wait):
        return share / (1 - share) * (group + wait) / each

    request = os.path.getsize(os.path.join(HERE, "ingest", "postback.xml")) + 150  # with its headers
    nginx = measured(f"nginx, {at:,}", column="CPU µs/answer")
    values = {
        "connections": at, "http": http, "writer": writer, "background": background, "each": each, "group": group,
        "nginx": nginx, "network": min(http, nginx), "ceiling": ceiling, "all": everything, "enough": everything / each,
        "measured": measured(f"gateway, XML, {at:,}"), "sync": sync, "half": in_flight(0.5, sync),
        "most": in_flight(0.8, sync), "slow": in_flight(0.8, 2_000), "log": cost["log, bytes"],
        "other": cost["other files, bytes"], "disk": written * ceiling / 1e6, "volume": 125e6 / written,
        "request": request, "gigabits": request * ceiling * 8 / 1e9, "above": 1.2 * ceiling,
        "stored": measured("JetStream, not synced, async", "Other servers, 64 connections"),
        "synced": measured("JetStream, synced, async", "Other servers, 64 connections")}
    lines = [[str(n), number(min(n * 1e6 / everything, ceiling)), number(1e6 / (writer + (http + background) / n))]
             for n in CORES]
    with open(os.path.join(HERE, "cores.md")) as file:
        return file.read().format(table=table(["Cores", "everything overlaps, /s", "nothing overlaps, /s"], lines),
                                  **{name: number(value) for name, value in values.items()}).split("\n\n")
