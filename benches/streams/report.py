"""From measured cells to tables."""

import statistics


def percentile(values, of):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * of / 100))]


def line(cell):
    """A cell in one line, for who watches."""
    parts = [str(cell[name]) for name in ("part", "engine", "format", "window", "guarantee", "state", "run") if name in cell]
    if "latencies" in cell:
        parts.append(f"p50 {percentile(cell['latencies'], 50):.2f} ms, p99 {percentile(cell['latencies'], 99):.2f} ms")
    elif isinstance(cell.get("seconds"), list):
        parts.append(", ".join(f"{seconds:.3f} s" for seconds in cell["seconds"]))
    elif "seconds" in cell:
        parts.append(f"{cell['seconds']:.3f} s")
    if "failed" in cell:
        parts.append(cell["failed"])
    if cell.get("right") is False:
        parts.append("WRONG")
    return " ".join(parts)


def pick(cells, **key):
    return [cell for cell in cells if all(cell.get(name) == value for name, value in key.items())]


def million(value):
    return f"{value / 1e6:.2f}"


def mebibytes(value):
    return f"{value / 2**20:.0f}"


class Drain:
    """The drain's cells, by engine, format, window and guarantee."""

    def __init__(self, cells):
        self.cells = [cell for cell in pick(cells, part="drain") if "seconds" in cell]

    def runs(self, engine, form, window, guarantee):
        return [cell["seconds"] for cell in pick(self.cells, engine=engine, format=form, window=window, guarantee=guarantee)]

    def rate(self, rows, *key):
        runs = self.runs(*key)
        return rows / statistics.median(runs) if runs else None

    def spread(self, *key):
        runs = self.runs(*key)
        return max(runs) / min(runs) if runs else None

    def right(self, *key):
        names = ("engine", "format", "window", "guarantee")
        found = [cell["right"] for cell in pick(self.cells, **dict(zip(names, key))) if "right" in cell]
        return bool(found) and all(found)


def drain_table(cells, rows):
    drain = Drain(cells)
    out = ["## Drain", "", "Million bids a second (median; in brackets slowest by fastest run). The ratio is over the better peer.", ""]
    out += ["| windows | files | guarantee | tidemill | Spark | Flink | ratio |", "|---|---|---|---|---|---|---|"]
    for window in ("tumbling", "hopping"):
        for form in ("csv", "parquet"):
            for guarantee in ("exactly-once", "none"):
                rates, shown = {}, []
                for engine in ("tidemill", "spark", "flink"):
                    key = (engine, form, window, guarantee)
                    rates[engine] = drain.rate(rows, *key)
                    if rates[engine] is None:
                        shown.append("–")
                    elif not drain.right(*key):
                        shown.append("wrong")
                        rates[engine] = None
                    else:
                        shown.append(f"{million(rates[engine])} ({drain.spread(*key):.2f})")
                best = max((rates[peer] for peer in ("spark", "flink") if rates[peer]), default=None)
                ratio = f"{rates['tidemill'] / best:.1f}" if best and rates["tidemill"] else "–"
                out.append(f"| {window} | {form} | {guarantee} | {' | '.join(shown)} | {ratio} |")
    return out


def cost_table(cells):
    drain = Drain(cells)
    out = ["", "## What exactly-once costs", "", "Median time with it over median time without, less one.", ""]
    out += ["| windows | files | tidemill | Flink |", "|---|---|---|---|"]
    for window in ("tumbling", "hopping"):
        for form in ("csv", "parquet"):
            shown = []
            for engine in ("tidemill", "flink"):
                with_it = drain.runs(engine, form, window, "exactly-once")
                without = drain.runs(engine, form, window, "none")
                both = with_it and without
                shown.append(f"{100 * (statistics.median(with_it) / statistics.median(without) - 1):.1f} %" if both else "–")
            out.append(f"| {window} | {form} | {' | '.join(shown)} |")
    return out


def memory_table(cells):
    out = ["", "## Memory", "", "Peak MiB over the drains (of tidemill's own run for this: anonymous, and with the pages of mapped files;"]
    out += ["of a JVM VmHWM after the drain named).", ""]
    out += ["| windows | files | tidemill own | tidemill in all | Spark | Flink |", "|---|---|---|---|---|---|"]
    for window in ("tumbling", "hopping"):
        for form in ("csv", "parquet"):
            key = {"part": "drain", "format": form, "window": window}
            own = pick(cells, **key, engine="tidemill", run="memory")
            shown = [mebibytes(own[0][name]) if own else "–" for name in ("peak_anonymous", "peak_rss")]
            for engine in ("spark", "flink"):
                peaks = [cell["peak_rss"] for cell in pick(cells, **key, engine=engine, guarantee="exactly-once")]
                shown.append(mebibytes(statistics.median(peaks)) if peaks else "–")
            out.append(f"| {window} | {form} | {' | '.join(shown)} |")
    return out


def latency_table(cells):
    out = ["", "## Micro-batches of 1,000 rows", "", "Milliseconds of a batch, median of the runs' percentiles.", ""]
    out += ["| | p50 | p99 | longest |", "|---|---|---|---|"]
    rows = [
        ("tidemill, no checkpoint", {"engine": "tidemill", "guarantee": "none"}),
        ("tidemill, exactly-once, files", {"engine": "tidemill", "guarantee": "exactly-once"}),
        ("Spark, its checkpoint (without fsync), no sink", {"engine": "spark", "guarantee": "none"}),
        ("Spark, its checkpoint (without fsync), files", {"engine": "spark", "guarantee": "exactly-once"}),
        ("the disk: 4 KiB, fsync, rename, fsync of the folder", {"engine": "disk"}),
    ]
    for name, key in rows:
        found = [cell["latencies"] for cell in pick(cells, part="latency", **key) if "latencies" in cell]
        if found:
            shown = [statistics.median(percentile(some, of) for some in found) for of in (50, 99)]
            out.append(f"| {name} | {shown[0]:.2f} | {shown[1]:.2f} | {max(max(some) for some in found):.2f} |")
    return out


def restart_table(cells, rows):
    out = ["", "## After kill -9", "", "Seconds from the start of the new process to its first commit: median (slowest).", ""]
    out += ["| state | tidemill | Spark | Flink |", "|---|---|---|---|"]
    for state, name in (("small", "20 files of 1,000 bids"), ("keys", f"{rows:,} keys")):
        shown = []
        for engine in ("tidemill", "spark", "flink"):
            found = pick(cells, part="restart", engine=engine, state=state)
            if found and "failed" in found[0]:
                shown.append(found[0]["failed"])
            else:
                shown.append(f"{statistics.median(found[0]['seconds']):.3f} ({max(found[0]['seconds']):.3f})" if found else "–")
        out.append(f"| {name} | {' | '.join(shown)} |")
    return out


def markdown(meta, cells):
    host = meta["machine"]
    out = ["# tidemill's streams beside Spark and Flink", ""]
    out += [f"- {meta['started']}, commit {meta['commit']}, `{meta['command']}`"]
    out += [f"- {host['cpu']}, pinned to {meta['threads']} cores, {host['memory']}, {host['system']}; load at the start {meta['load_at_start']:.2f}"]
    out += [f"- tidemill {meta['tidemill']}; Spark {meta['spark']}; Flink {meta['flink']}; {meta['java']}; heap {meta['memory']}"]
    parts = {cell["part"] for cell in cells}
    wrong = [cell for cell in cells if cell.get("right") is False]
    checked = [cell for cell in cells if cell.get("right")]
    out += [f"- answers that are those of the plain recomputation: {len(checked)}; others: {len(wrong)}", ""]
    if "drain" in parts:
        out += drain_table(cells, meta["rows"]) + cost_table(cells) + memory_table(cells)
    if "latency" in parts:
        out += latency_table(cells)
    if "restart" in parts:
        out += restart_table(cells, meta["rows"])
    return "\n".join(out) + "\n"
