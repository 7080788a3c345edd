"""The charts of docs/performance.md, as SVG."""
import os
import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "mmsmo", "svg.fonttype": "none", "font.size": 10, "axes.grid": True,
                            "grid.alpha": 0.3, "axes.axisbelow": True, "axes.spines.top": False,
                            "axes.spines.right": False})

from matplotlib import pyplot, ticker  # noqa: E402

THOUSANDS = ticker.FuncFormatter(lambda value, _: f"{value:,.10g}")


def points(rows, column, axis):
    """For errorbar: places, medians, and how far the lowest and the highest are from them."""
    rounds = [row["values"][column] for row in rows]
    medians = [statistics.median(values) for values in rounds]
    below = [median - min(values) for median, values in zip(medians, rounds)]
    above = [max(values) - median for median, values in zip(medians, rounds)]
    return [row[axis] for row in rows], medians, [below, above]


def line(axes, rows, column, axis, label=None):
    x, y, error = points(rows, column, axis)
    axes.errorbar(x, y, yerr=error, marker="o", markersize=4, capsize=3, label=label)


def scales(axes, label, values, y):
    axes.set_yscale(y)
    if y == "linear":
        axes.set_ylim(bottom=0)
    axes.set_xscale("log")
    axes.set_xticks(values)
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel(label)
    axes.yaxis.set_major_formatter(THOUSANDS)


def limit(rows, figure):
    axes = figure.subplots()
    for server in ("nginx", "gateway, XML", "gateway, JSON"):
        line(axes, [row for row in rows if row["name"].startswith(server)], "answers/s", "connections", server)
    scales(axes, "connections", [row["connections"] for row in rows], "linear")
    axes.set_ylabel("answers/s")
    axes.legend()


def bars(rows, figure):
    """The first column of each row, on a logarithmic axis."""
    axes = figure.subplots()
    column = next(iter(rows[0]["values"]))
    _, medians, error = points([row | {"at": 0} for row in rows], column, "at")
    drawn = axes.barh([row["name"] for row in rows], medians, xerr=error, capsize=3,
                      color=["C0" if row["name"].startswith("gateway") else "C7" for row in rows])
    axes.bar_label(drawn, [f"{median:,.0f}" for median in medians], padding=6)
    axes.set_xscale("log")
    axes.set_xlim(min(medians) / 3, max(medians) * 4)
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set_xlabel(column)
    axes.invert_yaxis()


def growth(rows, figure):
    for axes, column in zip(figure.subplots(1, 3), ("CPU µs/postback", "ready after, ms", "idle, MiB")):
        line(axes, rows[:-1], column, "events", "measured")
        line(axes, rows[-1:], column, "events", "on paper")
        scales(axes, "events stored", [row["events"] for row in rows], "linear" if column.startswith("CPU") else "log")
        axes.tick_params("x", rotation=30)
        axes.set_title(column)
    axes.legend()


def streams(rows, figure):
    axes = figure.subplots()
    line(axes, rows, "KiB each", "streams")
    scales(axes, "idle streams", [row["streams"] for row in rows], "log")
    axes.set_ylabel("KiB each")


def latency(rows, figure):
    """Over how rare it is: 1 in 10, 1 in 100, … of the answers took longer."""
    axes = figure.subplots()
    for row in rows:
        curve = [(1 / (1 - share), millis) for share, millis in row["curve"] if share < 1]
        axes.plot(*zip(*curve), marker="o", markersize=4, label=row["name"])
    scales(axes, "of the answers took longer", [2, 10, 100, 1_000, 10_000], "log")
    axes.set_xticklabels(["50%", "10%", "1%", "0.1%", "0.01%"])
    axes.set_ylabel("ms")
    axes.legend()


# Of each part: the table, the file, how it is drawn, what it shows, and its size in inches.
CHARTS = {
    "ingest": [("Server, connections", "ingest.svg", limit, "Answers a second over connections", (7, 4)),
               ("Other servers, 64 connections", "servers.svg", bars, "Answers a second of other servers", (8, 4))],
    "delivery": [("Streams", "delivery.svg", bars, "Deliveries a second", (8, 4))],
    "growth": [("Stored events", "growth.svg", growth, "Cost, start and memory over stored events", (10, 3.6)),
               ("Idle streams over at most 100 connections", "streams.svg", streams, "Memory of an idle stream",
                (6, 3.4))],
    "latency": [("At a fixed rate", "latency.svg", latency, "Latency at fixed rates", (7, 4))],
}


def draw(part, tables, directory):
    """Names and descriptions of the charts that were drawn."""
    drawn = []
    for table, name, function, description, size in CHARTS.get(part, ()):
        if table in tables:
            figure = pyplot.figure(figsize=size, layout="constrained")
            function(tables[table], figure)
            figure.savefig(os.path.join(directory, name), metadata={"Date": None})
            pyplot.close(figure)
            drawn.append((name, description))
    return drawn
