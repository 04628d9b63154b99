#!/usr/bin/env python3
"""tidemill's streams beside Spark Structured Streaming and Flink: one command that makes the data, measures, checks and reports.

    python3 benches/streams/run.py                                     # everything: some 30 minutes
    python3 benches/streams/run.py --rows 1e6 --runs 1 --out /tmp/try  # a quick look: some 5 minutes
    python3 benches/streams/run.py --parts drain --peers flink

Needs python3 (3.11 or newer) with venv, a JDK (17), cargo, 8 GB of memory and an idle machine. benches/README.md says how each
number is measured.

Parts:
  drain    bids in 20 files, counted and summed by auction in windows of 10 s, tumbling and every 2 s; with and without exactly-once
  latency  micro-batches of 1,000 rows
  restart  kill -9, and the time from the new process's start to its first commit: of a small state, and of one with a key a row

A run that was broken off goes on where it was when it is started again with the same --out.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import machine  # noqa: E402
import measure  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import restart  # noqa: E402

PARTS = ["drain", "latency", "restart"]
# What tidemill is asked for; the others' words for it are in spark.py and Flink.java.
WINDOWS = {"tumbling": "tumbling 10s", "hopping": "sliding 10s every 2s"}
TIMES = {"csv": "cast(ts as timestamp(ms))", "parquet": "ts"}
# The first batches of a latency run do not count.
WARM_UP = {"tidemill": 200, "spark": 50}
BATCHES = {"tidemill": 3000, "spark": 250}


def words(text):
    return [word for word in text.split(",") if word]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=words, default=PARTS, help=f"default: {','.join(PARTS)}")
    parser.add_argument("--peers", type=words, default=["spark", "flink"], help="default: spark,flink")
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10_000_000, help="bids, and keys of the large state (1e7)")
    parser.add_argument("--runs", type=int, default=3, help="measured rounds, in each every engine once (3)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="4g", help="the heap of a JVM (4g)")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds an engine may take for a round (900)")
    parser.add_argument("--data", default=str(REPOSITORY / "target/streams/data"), help="folder of the data sets")
    parser.add_argument("--out", default=str(REPOSITORY / "target/streams/run"), help="folder of measurements and reports")
    parser.add_argument("--fresh", action="store_true", help="forget what --out holds")
    parser.add_argument("--report-only", action="store_true", help="write the report of what --out holds")
    parser.add_argument("--spark-python", help="a Python that has requirements.txt (default: one is made in target/streams)")
    parser.add_argument("--flink-jars", help="the folder of Flink's jars (default: that of the package apache-flink-libraries)")
    parser.add_argument("--tidemill", help="the binary (default: cargo builds it)")
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"no part {part}: {', '.join(PARTS)}")
    return options


def call(*command):
    if subprocess.run([str(word) for word in command]).returncode:
        raise SystemExit(f"failed: {' '.join(str(word) for word in command)}")


def prepare(options):
    """The Python of Spark, the jars of Flink, the binary, the data."""
    venv = REPOSITORY / "target/streams/venv"
    if not options.spark_python or (not options.flink_jars and "flink" in options.peers):
        if not (venv / "bin/python").exists():
            call(sys.executable, "-m", "venv", venv)
        call(venv / "bin/python", "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt")
        # The jars alone: apache-flink's Python part needs apache-beam, and none of it is used here.
        call(venv / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "-r", HERE / "requirements-flink.txt")
        options.spark_python = options.spark_python or str(venv / "bin/python")
        jars = next(venv.glob("lib/python*/site-packages/pyflink/lib"), None)
        options.flink_jars = options.flink_jars or str(jars)
    if not options.tidemill:
        call("cargo", "build", "--release", "--locked", "--bin", "tidemill", "--manifest-path", REPOSITORY / "Cargo.toml")
        options.tidemill = str(REPOSITORY / "target/release/tidemill")
    call(options.spark_python, HERE / "data.py", options.data, options.rows)
    options.bids = pathlib.Path(options.data) / f"bids-{options.rows}"
    options.keys = pathlib.Path(options.data) / f"keys-{options.rows}"


def open_out(options):
    out = pathlib.Path(options.out)
    if options.fresh:
        shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    options.scratch = out / "scratch"
    path = out / "meta.json"
    if options.report_only:
        return out, json.loads(path.read_text())
    meta = machine.describe(REPOSITORY, os.sched_getaffinity(0))
    # The places of things are this machine's business.
    meta["command"] = f"python3 benches/streams/run.py --parts {','.join(options.parts)} --rows {options.rows} --runs {options.runs}"
    meta["tidemill"] = machine.text(options.tidemill, "--version")
    meta["tidemill_sha256"] = machine.sha256(options.tidemill)
    meta["spark"] = machine.text(options.spark_python, "-c", "import importlib.metadata as m; print(m.version('pyspark'))")
    jar = next(pathlib.Path(options.flink_jars).glob("flink-dist-*.jar"), None) if options.flink_jars else None
    meta["flink"] = jar.stem.removeprefix("flink-dist-") if jar else None
    java = subprocess.run(["java", "-version"], capture_output=True, text=True)
    meta["java"] = java.stderr.splitlines()[0] if java.stderr else ""
    meta["threads"], meta["memory"], meta["rows"] = options.threads, options.memory, options.rows
    meta["load_at_start"] = os.getloadavg()[0]
    meta["started"] = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if path.exists():
        before = json.loads(path.read_text())
        for what in ("tidemill_sha256", "rows", "spark", "flink", "machine"):
            if before[what] != meta[what]:
                raise SystemExit(f"{out} was measured with another {what}: give another --out, or --fresh")
        meta = {**meta, **before}
    path.write_text(json.dumps(meta, indent=1) + "\n")
    return out, meta


class Cells:
    """What has been measured, a line each; what is there is not measured again."""

    def __init__(self, out):
        self.path = out / "cells.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.cells = [json.loads(line) for line in lines]
        self.started = time.monotonic()

    def has(self, **key):
        return any(all(cell.get(name) == value for name, value in key.items()) for cell in self.cells)

    def add(self, **cell):
        self.cells.append(cell)
        with open(self.path, "a") as file:
            file.write(json.dumps(cell) + "\n")
        seconds = int(time.monotonic() - self.started)
        print(f"[{seconds // 60}:{seconds % 60:02}] {report.line(cell)}", flush=True)


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tidemill_drain(options, form, window, guarantee, scratch, sink="csv"):
    command = [options.tidemill, "stream", "--source", f"dir:{options.bids / form}/*.{form}", "--max-files", "1"]
    command += ["--by", "auction", "--window", f"{WINDOWS[window]} on {TIMES[form]}", "--watermark", "5s", "--finish"]
    command += ["--trigger", "available-now", "--device", "cpu", "--threads", str(options.threads)]
    if guarantee == "exactly-once":
        command += ["--guarantee", guarantee, "--checkpoint", str(scratch / "checkpoint")]
    return [*command, "--sink", f"{sink}:{scratch / 'out'}", "count() as bids", "sum(price) as total"]


def drain(options, cells):
    import check  # needs pyarrow: not for --report-only

    expected = check.Expected(options.bids)
    common = {"part": "drain", "rows": options.rows}
    for form in ("csv", "parquet"):
        for window in WINDOWS:
            if not cells.has(**common, engine="tidemill", format=form, window=window, run="memory"):
                scratch = emptied(options.scratch)
                done = measure.run(tidemill_drain(options, form, window, "exactly-once", scratch), options.limit, sample=True, silent=True)
                cells.add(**common, engine="tidemill", format=form, window=window, guarantee="exactly-once", run="memory", **done)
    for run in range(options.runs):
        for form in ("csv", "parquet"):
            for window in WINDOWS:
                # Twice each, in turn: the cost of exactly-once is a small difference.
                for turn, guarantee in enumerate(["exactly-once", "none"] * 2):
                    key = {**common, "engine": "tidemill", "format": form, "window": window, "guarantee": guarantee, "run": run, "turn": turn}
                    if cells.has(**key):
                        continue
                    scratch = emptied(options.scratch)
                    done = measure.run(tidemill_drain(options, form, window, guarantee, scratch), options.limit, silent=True)
                    # The answer of each once a round: the files are the same, and checking takes longer than draining.
                    right = {"right": expected.check(check.tidemill(scratch / "out"), window, finished=True)} if turn < 2 else {}
                    cells.add(**key, seconds=done["wall"], user=done["user"], system=done["system"], **right)
        key = {**common, "engine": "spark", "run": run}
        if "spark" in options.peers and not cells.has(**key, complete=True):
            scratch = emptied(options.scratch)
            tasks = [("warm-up", "small-csv", "tumbling")]
            tasks += [("measured", form, window) for form in ("csv", "parquet") for window in WINDOWS]
            with peers.Spark(options, scratch) as spark:
                for which, form, window in tasks:
                    place = scratch / f"{which}-{form}-{window}"
                    task = {"format": form.removeprefix("small-"), "input": str(options.bids / form), "window": window}
                    task |= {"store": "memory", "checkpoint": f"{place}-checkpoint", "output": f"{place}-out"}
                    done = spark.ask({"task": which, **task})
                    if which == "measured":
                        right = expected.check(check.millis(pathlib.Path(task["output"])), window, finished=False)
                        cells.add(**key, format=form, window=window, guarantee="exactly-once", right=right, **done)
            cells.add(**key, complete=True)
        key = {**common, "engine": "flink", "run": run}
        if "flink" in options.peers and not cells.has(**key, complete=True):
            scratch = emptied(options.scratch)
            tasks = [("warm-up", "small-halves", "tumbling", "exactly-once")]
            tasks += [("measured", "halves", window, "exactly-once") for window in WINDOWS]
            tasks += [("measured", "halves", "tumbling", "none")]
            with peers.Flink(options) as flink:
                for which, form, window, guarantee in tasks:
                    place = scratch / f"{which}-{window}-{guarantee}"
                    task = {"input": options.bids / form, "output": f"{place}-out", "window": window}
                    if guarantee == "exactly-once":
                        task |= {"checkpoints": f"{place}-checkpoint", "interval": "1s"}
                    done = flink.ask({"task": which, **task})
                    if which == "measured":
                        right = expected.check(check.millis(pathlib.Path(task["output"])), window, finished=True)
                        cells.add(**key, format="csv", window=window, guarantee=guarantee, right=right, **done)
            cells.add(**key, complete=True)


def latency(options, cells):
    key = {"part": "latency", "engine": "disk"}
    if not cells.has(**key):
        cells.add(**key, latencies=restart.fsyncs(emptied(options.scratch), 1000), of="4 KiB, fsync, rename, fsync of the folder")
    for run in range(options.runs):
        for what in ("none", "exactly-once"):
            key = {"part": "latency", "engine": "tidemill", "guarantee": what, "run": run}
            if cells.has(**key):
                continue
            scratch = emptied(options.scratch)
            command = [options.tidemill, "stream", "--source", f"rate:rows=1000,advance=1s,batches={BATCHES['tidemill']}"]
            command += ["--map", "auction = value % 100", "--by", "auction", "--window", "tumbling 10s on timestamp", "--watermark", "5s"]
            command += ["--progress", "--device", "cpu", "--threads", str(options.threads), "count() as bids"]
            if what == "exactly-once":
                command += ["--guarantee", what, "--checkpoint", str(scratch / "checkpoint"), "--sink", f"csv:{scratch / 'out'}"]
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=options.limit)
            lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
            if done.returncode or len(lines) < BATCHES["tidemill"]:
                raise SystemExit(f"failed: {' '.join(command)}: {done.stderr[-500:]}")
            took = [line["durationMs"]["triggerExecution"] for line in lines]
            cells.add(**key, latencies=took[WARM_UP["tidemill"] : BATCHES["tidemill"]])
        key = {"part": "latency", "engine": "spark", "run": run}
        if "spark" in options.peers and not cells.has(**key, complete=True):
            scratch = emptied(options.scratch)
            with peers.Spark(options, scratch) as spark:
                for sink in ("noop", "csv"):
                    task = {"task": sink, "format": "rate", "rows": 1000, "batches": BATCHES["spark"], "count_only": True}
                    task |= {"window": "tumbling", "store": "memory", "checkpoint": str(scratch / f"{sink}-checkpoint")}
                    if sink == "csv":
                        task["output"] = str(scratch / "out")
                    done = spark.ask(task)
                    took = done["latencies"][WARM_UP["spark"] :]
                    cells.add(**key, guarantee="none" if sink == "noop" else "exactly-once", latencies=took)
            cells.add(**key, complete=True)


def main():
    options = parse()
    if not options.report_only:
        prepare(options)
        if importlib.util.find_spec("pyarrow") is None:
            # The answers are checked with what Spark's Python has.
            os.execv(options.spark_python, [options.spark_python, *sys.argv])
    out, meta = open_out(options)
    cells = Cells(out)
    if not options.report_only:
        if meta["load_at_start"] > 0.3:
            print(f"warning: load average {meta['load_at_start']:.2f}: this machine is not idle", flush=True)
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: options.threads]))
        steal = machine.steal_seconds()
        for part in options.parts:
            {"drain": drain, "latency": latency, "restart": restart.measure}[part](options, cells)
        cells.add(part="machine", stolen_seconds=machine.steal_seconds() - steal)
        shutil.rmtree(options.scratch, ignore_errors=True)
    text = report.markdown(meta, cells.cells)
    (out / "report.md").write_text(text)
    print(text)
    wrong = [cell for cell in cells.cells if cell.get("right") is False]
    if wrong:
        raise SystemExit(f"answers that are not those of the plain recomputation: {len(wrong)}")


if __name__ == "__main__":
    main()
