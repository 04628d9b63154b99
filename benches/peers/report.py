"""Tables of what was measured."""

import math

PEERS = ["duckdb", "polars", "polars-streaming", "datafusion", "chdb"]
TITLES = {
    "files": "Files",
    "memory": "In memory",
    "onebrc": "One billion row challenge",
    "variants": "Other shapes of data",
}
# A median so far above the minimum says that something else ran on the machine.
NOISY = 1.15


def standing(result):
    """Whether an engine's time counts: it finished every run, and its answer is the one that was agreed on."""
    return "median" in result and result.get("answer", "same") == "same"


def best(cell):
    """The fastest peer whose answer was right, if the answer is agreed on."""
    results = cell["engines_measured"]
    right = [peer for peer in PEERS if peer in results and standing(results[peer])]
    if not right or not cell.get("agreed"):
        return None
    return min(right, key=lambda peer: results[peer]["median"])


def ratio(cell, of="median"):
    """tidemill's time over that of the best peer; None where one of the two has none."""
    peer, own = best(cell), cell["engines_measured"]["tidemill"]
    if peer is None or of not in own:
        return None
    results = cell["engines_measured"]
    if of == "median":
        return own["median"] / results[peer]["median"]
    return own[of] / min(result[of] for peer, result in results.items() if peer in PEERS and standing(result))


def mean(ratios):
    """Geometric mean; None if any is missing, since a missing one may be the worst."""
    if not ratios or None in ratios:
        return None
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def leanest(cell, memory):
    """tidemill's peak memory over that of the leanest peer that needs at most twice its time, and which peer."""
    results = cell["engines_measured"]
    own = results["tidemill"]
    if "median" not in own or "warmup" not in own:
        return None
    near = [peer for peer in PEERS if peer in results and standing(results[peer]) and results[peer]["median"] <= 2 * own["median"]]
    if not near:
        return None
    peer = min(near, key=lambda peer: results[peer]["warmup"][memory])
    return own["warmup"][memory] / results[peer]["warmup"][memory], peer


def show(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def seconds(result):
    """An engine's cell of a table of times."""
    if "failed" in result:
        return "stopped" if result["failed"].startswith("stopped") else "failed"
    if "median" not in result:
        return "–"
    digits = 3 if result["median"] < 10 else 1
    text = f"{result['median']:.{digits}f} ({result['minimum']:.{digits}f})"
    if result.get("answer", "same") != "same":
        return f"~~{text}~~"
    if result.get("spared"):
        return f"{text}\\*"
    return f"{text} noisy" if result["median"] > NOISY * result["minimum"] else text


def line(cell):
    """A cell in one line, for the progress."""
    results = cell["engines_measured"]
    name = " ".join(cell[part] for part in ("suite", "dataset", "format", "question"))
    times = ", ".join(f"{engine} {seconds(result)}" for engine, result in results.items())
    parts = [f"{name}: {times}"]
    if (value := ratio(cell)) is not None:
        parts.append(f"ratio {value:.2f}")
    parts += [f"{engine} failed: {result['failed']}" for engine, result in results.items() if "failed" in result]
    parts += [f"{engine} differs: {result['answer']}" for engine, result in results.items() if result.get("answer", "same") != "same"]
    return "; ".join(parts)


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def tables(cells):
    """The cells that belong in one table, in the order they were measured."""
    grouped = {}
    for cell in cells:
        grouped.setdefault((cell["suite"], cell["dataset"], cell["format"]), []).append(cell)
    return grouped


def times(cells):
    engines = list(dict.fromkeys(engine for cell in cells for engine in cell["engines_measured"]))
    rows = []
    for cell in cells:
        results = cell["engines_measured"]
        texts = [seconds(results[engine]) if engine in results else "" for engine in engines]
        texts = ["**" + text + "**" if engine == best(cell) else text for engine, text in zip(engines, texts)]
        rows.append([cell["question"], *texts, show(ratio(cell)), show(ratio(cell, "minimum"))])
    rows.append(["geometric mean", *["" for _ in engines], show(mean([ratio(cell) for cell in cells])), show(mean([ratio(cell, "minimum") for cell in cells]))])
    return table(["", *engines, "ratio", "of minima"], rows)


def megabytes(cells, memory):
    engines = list(dict.fromkeys(engine for cell in cells for engine in cell["engines_measured"]))
    rows = []
    for cell in cells:
        results = cell["engines_measured"]
        texts = []
        for engine in engines:
            warmup = results.get(engine, {}).get("warmup")
            texts.append(f"{warmup[memory] / 1e6:.0f}" if warmup else "–")
        lean = leanest(cell, memory)
        rows.append([cell["question"], *texts, f"{lean[0]:.2f} of {lean[1]}" if lean else "no peer within 2×"])
    return table(["", *engines, "tidemill / leanest near peer"], rows)


def growth(cells):
    """For each format and question the time over the long table by that over the short one."""
    spans = {}
    for cell in cells:
        rows = int(cell["dataset"].split("_")[1])
        spans.setdefault((cell["format"], cell["question"]), {})[rows] = cell["engines_measured"]["tidemill"]
    out = []
    for (form, question), by_rows in spans.items():
        short, long = by_rows[min(by_rows)], by_rows[max(by_rows)]
        whole = len(by_rows) == 2 and "median" in short and "median" in long
        grown = long["median"] / short["median"] if whole else None
        out.append({"format": form, "question": question, "short": short, "long": long, "growth": grown})
    return out


def both_builds(cells):
    rows = []
    for cell in cells:
        own, other = cell["engines_measured"]["tidemill"], cell["engines_measured"]["fast-float"]
        value = own["median"] / other["median"] if "median" in own and "median" in other else None
        rows.append((cell, value))
    return rows


def sorted_rows(rows):
    """For each shape of data: the sorts and the ratio of tidemill's to the best crate's."""
    grouped = {}
    for row in rows:
        grouped.setdefault((row["data"], row["rows"], row["keys"]), {})[row["sort"]] = row
    return grouped


def sort_ratio(sorts):
    others = [row["median"] for name, row in sorts.items() if name != "tidemill"]
    return sorts["tidemill"]["median"] / min(others) if "tidemill" in sorts and others else None


def markdown(meta, cells, sorts):
    about = meta["machine"]
    out = ["# tidemill beside its peers\n"]
    out.append(
        f"{about['cpu']}, {about['cores']} cores (cores {', '.join(map(str, about['pinned_to']))} used by {meta['threads']} threads), "
        f"{about['memory']}, {about['system']}{', virtual' if about['hypervisor'] else ''}, "
        f"load at start {meta['load_at_start']:.2f}; begun {meta['started']}.\n"
    )
    peers = [line for line in meta["packages"] if line.split("==")[0] in ("duckdb", "polars", "datafusion", "chdb", "pyarrow")]
    out.append(
        f"{meta['tidemill']['version']} at {meta['commit']} ({meta['rustc']}; sha256 {meta['tidemill']['sha256'][:16]}); "
        f"{', '.join(peers)}; Python {meta['python']}.\n\n`{meta['command']}`\n"
    )
    out.append(
        "Seconds: median (minimum). Bold: the fastest peer. \\*: spared further runs, being far from the fastest. Struck out: its "
        "answer is another, its time does not count. noisy: the median is more than 15 % above the minimum. Ratio: tidemill by "
        "the fastest peer, below 1 tidemill is faster. tidemill is a whole process, the peers are their query alone.\n"
    )
    for (suite, dataset, form), group in tables(cells).items():
        if suite in TITLES:
            out.append(f"## {TITLES[suite]}: {dataset}, {form}\n\n{times(group)}")
    grown = growth([cell for cell in cells if cell["suite"] == "growth"])
    if grown:
        rows = [[row["format"], row["question"], seconds(row["short"]), seconds(row["long"]), show(row["growth"])] for row in grown]
        out.append("## Growth: ten times the rows\n\n" + table(["format", "", "short", "long", "growth"], rows))
    builds = both_builds([cell for cell in cells if cell["suite"] == "fast-float"])
    if builds:
        rows = [[cell["format"], cell["question"], *map(seconds, cell["engines_measured"].values()), show(value)] for cell, value in builds]
        rows.append(["geometric mean", "", "", "", show(mean([value for _, value in builds]))])
        out.append("## Exact float sums against fast ones\n\n" + table(["format", "", "exact", "fast-float", "ratio"], rows))
    if sorts:
        names = list(dict.fromkeys(row["sort"] for row in sorts))
        rows = [
            [f"{rows:.0e} {keys}, {data}", *(seconds(by[name]) if name in by else "–" for name in names), show(sort_ratio(by))]
            for (data, rows, keys), by in sorted_rows(sorts).items()
        ]
        out.append("## Sorts\n\n" + table(["", *names, "ratio"], rows))
    for memory, title in [
        ("peak_anonymous", "Peak memory of its own (RssAnon), MB, mapped files not counted"),
        ("peak_rss", "Peak resident memory (ru_maxrss), MB, with mapped pages of files"),
    ]:
        text = "".join(
            f"### {suite}: {dataset}, {form}\n\n{megabytes(group, memory)}\n" for (suite, dataset, form), group in tables(cells).items() if suite in TITLES
        )
        if text:
            out.append(f"## {title}\n\n{text}")
    differ = [line(cell) for cell in cells if any("failed" in r or r.get("answer", "same") != "same" for r in cell["engines_measured"].values())]
    if differ:
        out.append("## What failed or differs\n\n" + "\n".join(f"- {text}" for text in differ) + "\n")
    return "\n".join(out)


def summary(meta, cells, sorts):
    """The same as JSON."""
    return {
        "meta": meta,
        "tables": [
            {
                "suite": suite,
                "dataset": dataset,
                "format": form,
                "geometric_mean_ratio": mean([ratio(cell) for cell in group]),
                "cells": [
                    {
                        **{part: cell[part] for part in ("question", "engines_measured")},
                        "rows": cell.get("rows"),
                        "agreed": cell.get("agreed"),
                        "best_peer": best(cell),
                        "ratio": ratio(cell),
                        "ratio_of_minima": ratio(cell, "minimum"),
                        "memory_ratio": leanest(cell, "peak_rss"),
                        "own_memory_ratio": leanest(cell, "peak_anonymous"),
                    }
                    for cell in group
                ],
            }
            for (suite, dataset, form), group in tables(cells).items()
        ],
        "growth": [{part: row[part] for part in ("format", "question", "growth")} for row in growth([c for c in cells if c["suite"] == "growth"])],
        "sorts": sorts,
    }
