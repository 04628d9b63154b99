#!/usr/bin/env python3
"""tidemill beside DuckDB, Polars, DataFusion and chDB: one command that makes the data, measures, checks and reports.

    python3 benches/peers/run.py                                     # everything for the tables: some 30 minutes
    python3 benches/peers/run.py --rows 1e6 --runs 3 --out /tmp/try  # a quick look
    python3 benches/peers/run.py --suites files --formats csv --questions q1,q5 --peers duckdb

Needs python3 with venv, and cargo. benches/README.md says how each number is measured.

Suites:
  files     q1–q10 over CSV, Parquet and Arrow IPC files
  memory    q1–q10 over Arrow tables in memory: tidemill as a library
  onebrc    the one-billion-row challenge's question over its text
  growth    tidemill alone on a table ten times as long
  variants  2 and a million of K, 5 %% nulls, skewed keys, all-unique keys, from CSV and Parquet
  sorts     tidemill's radix sort beside Rust's sorting crates

A run that was broken off goes on where it was when it is started again with the same --out.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import machine
import measure
import report
from questions import questions, tidemill_arguments

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PEERS = ["duckdb", "polars", "polars-streaming", "datafusion", "chdb"]
# Polars' two engines are one witness.
ORIGIN = {"polars-streaming": "polars"}
SUITES = ["files", "memory", "onebrc", "growth", "variants", "sorts"]
# What grows with the rows alone: q8's and q10's groups grow with them too.
GROWTH = ["q1", "q2", "q3", "q4", "q5", "q6", "q7", "q9"]
VARIANT_QUESTIONS = ["q1", "q3", "q5", "q9", "k1", "k2", "k3"]


def number(text):
    """1e7 as well as 10000000."""
    return int(float(text))


def words(text):
    return [word for word in text.split(",") if word]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what")
    what.add_argument("--suites", type=words, default=SUITES[:4], help="default: files,memory,onebrc,growth")
    what.add_argument("--formats", type=words, default=["csv", "parquet", "arrow"])
    what.add_argument("--questions", type=words, help="default: all of each data set")
    what.add_argument("--peers", type=words, default=PEERS, help=f"default: {','.join(PEERS)}")
    what.add_argument("--rows", type=number, default=10_000_000, help="rows of the tables (1e7)")
    what.add_argument("--k", type=number, default=100, help="db-benchmark's K (100)")
    what.add_argument("--onebrc-rows", type=number, help="rows of the text (ten times --rows)")
    what.add_argument("--fast-float", metavar="BINARY", help="time also tidemill against this build of it, one run of each in turn")
    what.add_argument("--data-only", action="store_true", help="make the data and stop")
    what.add_argument("--report-only", action="store_true", help="write the report of what --out holds")
    how = parser.add_argument_group("how")
    how.add_argument("--runs", type=int, default=5, help="measured runs of each engine (5)")
    how.add_argument("--growth-runs", type=int, default=3, help="runs over the long table (3)")
    how.add_argument("--threads", type=int, default=2)
    how.add_argument("--cpus", type=words, help="cores to run on: 0,1 (default: the first --threads that one may use)")
    how.add_argument("--limit", type=float, default=60.0, help="seconds a run may take (60)")
    how.add_argument(
        "--patience",
        type=float,
        default=2.0,
        help="spare a peer further runs if its warm-up and its first run took so many times the fastest peer's time; 0: never (2)",
    )
    how.add_argument("--no-check", action="store_true", help="do not compare answers (no ratio is given then)")
    where = parser.add_argument_group("where")
    where.add_argument("--data", default=str(REPOSITORY / "target/peers/data"), help="folder of the data sets")
    where.add_argument("--out", default=str(REPOSITORY / "target/peers/run"), help="folder of measurements and reports")
    where.add_argument("--fresh", action="store_true", help="forget what --out holds")
    where.add_argument("--python", help="a Python that has requirements.txt (default: one is made in target/peers/venv)")
    where.add_argument("--tidemill", help="the binary (default: built with --profile)")
    where.add_argument("--library", help="the program of benches/peers/rust (default: built with --profile)")
    where.add_argument("--profile", default="release", help="cargo's profile (release)")
    options = parser.parse_args()
    for suite in options.suites:
        if suite not in SUITES:
            parser.error(f"no suite {suite}: {', '.join(SUITES)}")
    for peer in options.peers:
        if peer not in PEERS:
            parser.error(f"no peer {peer}: {', '.join(PEERS)}")
    if options.onebrc_rows is None:
        options.onebrc_rows = 10 * options.rows
    return options


def call(*command):
    """Runs a step of the preparation, which must succeed."""
    if subprocess.run([str(word) for word in command]).returncode:
        raise SystemExit(f"failed: {' '.join(str(word) for word in command)}")


def prepare(options):
    """The Python of the peers and the binaries."""
    if not options.python:
        venv = REPOSITORY / "target/peers/venv"
        options.python = str(venv / "bin/python")
        if not os.path.exists(options.python):
            call(sys.executable, "-m", "venv", venv)
        call(options.python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt")
    if options.data_only:
        return
    built = "debug" if options.profile == "dev" else options.profile
    if not options.tidemill:
        call("cargo", "build", "--profile", options.profile, "--bin", "tidemill", "--manifest-path", REPOSITORY / "Cargo.toml")
        options.tidemill = str(REPOSITORY / "target" / built / "tidemill")
    if not options.library and {"memory", "sorts"} & set(options.suites):
        manifest, target = HERE / "rust/Cargo.toml", REPOSITORY / "target"
        call("cargo", "build", "--profile", options.profile, "--manifest-path", manifest, "--target-dir", target)
        options.library = str(target / built / "peers")


def tasks(options):
    """What is to be measured: one cell of a table each, with the engines that take part."""
    table = f"g1_{options.rows}_{options.k}"
    every = ["tidemill", *options.peers]

    def cells(suite, dataset, formats, engines, runs=options.runs, only=None):
        for form in formats:
            for name in questions(dataset):
                if name not in (options.questions or only or [name]):
                    continue
                yield {"suite": suite, "dataset": dataset, "format": form, "question": name, "engines": engines, "runs": runs}

    all_cells = []
    if "files" in options.suites:
        for cell in cells("files", table, options.formats, every):
            # With as many groups as rows, putting them in order is much of the work: show it.
            extra = ["tidemill-ordered"] if cell["question"] == "q10" else []
            all_cells.append({**cell, "engines": [*every, *extra]})
    if "memory" in options.suites:
        all_cells += cells("memory", table, ["memory"], every)
    if "onebrc" in options.suites:
        all_cells += cells("onebrc", f"onebrc_{options.onebrc_rows}", ["txt"], every)
    if "growth" in options.suites:
        formats = [form for form in options.formats if form != "arrow"]
        for rows, runs in [(options.rows, options.runs), (10 * options.rows, options.growth_runs)]:
            all_cells += cells("growth", f"g1_{rows}_{options.k}", formats, ["tidemill"], runs, GROWTH)
    if "variants" in options.suites:
        formats = [form for form in options.formats if form != "arrow"]
        tables = [f"g1_{options.rows}_{k}" for k in ("2", "1000000", "100_na5")]
        for dataset in [*tables, f"zipf_{options.rows}", f"unique_{options.rows}"]:
            all_cells += cells("variants", dataset, formats, every, only=VARIANT_QUESTIONS)
    if options.fast_float:
        all_cells += cells("fast-float", table, options.formats, ["tidemill", "fast-float"])
    return all_cells


def make_data(options, cells):
    wanted = {}
    for cell in cells:
        extension = "arrow" if cell["format"] == "memory" else cell["format"]
        wanted.setdefault(cell["dataset"], set()).add(extension)
    arguments = [word for name, extensions in wanted.items() for word in (name, ",".join(sorted(extensions)))]
    if arguments:
        call(options.python, HERE / "data.py", options.data, *arguments)


def path_of(options, cell):
    extension = "arrow" if cell["format"] == "memory" else cell["format"]
    return os.path.join(options.data, f"{cell['dataset']}.{extension}")


def warm(path):
    """Reads a file once, so that it is in the page cache."""
    with open(path, "rb", buffering=0) as file:
        block = bytearray(1 << 20)
        while file.readinto(block):
            pass


def run_once(options, cell, engine, answer=None):
    """One engine's process. With `answer` it also writes its answer there and its memory is watched."""
    path = path_of(options, cell)
    arguments = tidemill_arguments(cell["dataset"], cell["question"])
    threads = str(options.threads)
    if engine in ("tidemill", "tidemill-ordered", "fast-float"):
        if cell["format"] == "memory":
            command = [options.library, "memory", path, *arguments, "--threads", threads, "--unordered"]
            command += ["--output", answer] if answer else []
            return measure.run(command, options.limit, sample=answer is not None)
        binary = options.fast_float if engine == "fast-float" else options.tidemill
        command = [binary, "agg", path, *arguments, "--device", "cpu", "--threads", threads, "--format", "arrow"]
        command += [] if engine == "tidemill-ordered" else ["--unordered"]
        command += ["--output", answer] if answer else []
        # Without --output the answer goes to stdout, which is /dev/null: computed, encoded and written, but nowhere kept.
        measured = measure.run(command, options.limit, sample=answer is not None, silent=True)
        measured["seconds"] = measured["wall"]
        return measured
    command = [options.python, HERE / "peer.py", engine, cell["dataset"], cell["question"], cell["format"], path, threads]
    return measure.run([*command, answer] if answer else command, options.limit, sample=answer is not None)


def check(options, cell, answers):
    """Compares the answers with the first; gives for each engine None, or how it differs."""
    engines = list(answers)
    command = [options.python, HERE / "check.py", cell["dataset"], cell["question"], *answers.values()]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"the check failed: {done.stderr.strip()}")
    compared = json.loads(done.stdout)
    return compared["rows"], dict(zip(engines[1:], compared["verdicts"]))


def judge(cell, peers):
    """Whether enough peers of different origin give tidemill's answer."""
    agreeing = {ORIGIN.get(engine, engine) for engine in peers if cell["engines_measured"][engine].get("answer") == "same"}
    asked = {ORIGIN.get(engine, engine) for engine in peers}
    return len(agreeing) >= min(2, len(asked))


def measure_cell(options, cell, say):
    """A warm-up run of each engine, with memory watched and answers compared; then `runs` rounds, each engine once a round."""
    peers = [engine for engine in cell["engines"] if engine in PEERS]
    results = {engine: {"runs": []} for engine in cell["engines"]}
    cell = {**cell, "engines_measured": results}
    with tempfile.TemporaryDirectory(prefix="peers-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        answers = {}
        for engine, result in results.items():
            answer = os.path.join(folder, f"{engine}.arrow")
            try:
                result["warmup"] = run_once(options, cell, engine, answer)
                answers[engine] = answer
            except measure.Failed as failure:
                result["failed"] = str(failure)
            say(cell, engine, "warm-up", result)
        compared = not options.no_check and "tidemill" in answers and len(answers) > 1
        if compared:
            cell["rows"], verdicts = check(options, cell, answers)
            for engine, verdict in verdicts.items():
                results[engine]["answer"] = "same" if verdict is None else verdict
    for round_number in range(cell["runs"]):
        for engine, result in results.items():
            if "failed" in result or "spared" in result:
                continue
            try:
                result["runs"].append(run_once(options, cell, engine))
            except measure.Failed as failure:
                result["failed"] = str(failure)
            say(cell, engine, round_number + 1, result)
        if options.patience and round_number == 0:
            # Only a peer whose answer is right sets the pace.
            best = {}
            for engine in peers:
                if runs := results[engine]["runs"]:
                    best[engine] = min(run["seconds"] for run in [results[engine]["warmup"], *runs])
            right = [seconds for engine, seconds in best.items() if results[engine].get("answer") == "same"]
            for engine, seconds in best.items():
                if right and seconds > options.patience * min(right):
                    results[engine]["spared"] = True
    for result in results.values():
        if result["runs"] and "failed" not in result:
            seconds = [run["seconds"] for run in result["runs"]]
            result["median"], result["minimum"] = statistics.median(seconds), min(seconds)
    if peers:
        cell["agreed"] = compared and judge(cell, peers)
    return cell


def open_state(options):
    """The folder of measurements: what it was measured with must be what we have now."""
    out = pathlib.Path(options.out)
    if options.fresh and out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    meta_path = out / "meta.json"
    if options.report_only:
        if not meta_path.exists():
            raise SystemExit(f"{out} holds no measurements")
        return out, json.loads(meta_path.read_text())
    meta = machine.describe(REPOSITORY, options.cpus)
    meta["tidemill"] = {"version": machine.text(options.tidemill, "--version"), "sha256": machine.sha256(options.tidemill)}
    if options.library:
        meta["library_sha256"] = machine.sha256(options.library)
    if options.fast_float:
        meta["fast_float_sha256"] = machine.sha256(options.fast_float)
    meta["packages"] = machine.text(options.python, "-m", "pip", "list", "--format", "freeze").splitlines()
    meta["threads"] = options.threads
    meta["load_at_start"] = os.getloadavg()[0]
    meta["started"] = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if meta_path.exists():
        before = json.loads(meta_path.read_text())
        for what in ("tidemill", "packages", "threads", "machine"):
            if before[what] != meta[what]:
                raise SystemExit(f"{out} was measured with another {what}: give another --out, or --fresh")
        for what in ("library_sha256", "fast_float_sha256"):
            if what in before and what in meta and before[what] != meta[what]:
                raise SystemExit(f"{out} was measured with another {what}: give another --out, or --fresh")
        meta = {**meta, **before}
    meta_path.write_text(json.dumps(meta, indent=1) + "\n")
    return out, meta


def key(cell):
    return tuple(cell[part] for part in ("suite", "dataset", "format", "question"))


def measure_all(options, cells, out, log):
    state = out / "cells.jsonl"
    lines = state.read_text().splitlines() if state.exists() else []
    done = {key(cell): cell for cell in map(json.loads, lines)}
    started, steal = time.monotonic(), machine.steal_seconds()
    remaining = [cell for cell in cells if key(cell) not in done]

    def say(cell, engine, which, result):
        if "failed" in result:
            outcome = result["failed"]
        else:
            run = result["warmup"] if which == "warm-up" else result["runs"][-1]
            outcome = json.dumps(run)
        log.write(f"{time.strftime('%H:%M:%S')} {' '.join(key(cell))} {engine} {which}: {outcome}\n")
        log.flush()

    warmed = None
    with open(state, "a") as file:
        for at, cell in enumerate(remaining):
            if warmed != path_of(options, cell):
                warmed = path_of(options, cell)
                warm(warmed)
            cell = measure_cell(options, cell, say)
            file.write(json.dumps(cell) + "\n")
            file.flush()
            done[key(cell)] = cell
            seconds = int(time.monotonic() - started)
            print(f"[{at + 1}/{len(remaining)} {seconds // 60}:{seconds % 60:02}] {report.line(cell)}", flush=True)
    log.write(f"stolen from this machine's cores meanwhile: {machine.steal_seconds() - steal:.1f} s\n")
    return list(done.values())


def sorts(options, out, log):
    """The sorting benchmark is a program of its own: it checks its answers and prints a line of JSON a measurement."""
    state = out / "sorts.jsonl"
    if not state.exists():
        print("sorts: some minutes", flush=True)
        command = [options.library, "sorts", "--threads", str(options.threads), "--runs", str(options.runs)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit("sorts: failed")
        log.write(done.stdout)
        state.write_text(done.stdout)
    return [json.loads(line) for line in state.read_text().splitlines()]


def main():
    options = parse()
    allowed = sorted(os.sched_getaffinity(0))
    options.cpus = {int(cpu) for cpu in options.cpus} if options.cpus else set(allowed[: options.threads])
    if not options.report_only:
        prepare(options)
    cells = tasks(options)
    if not options.report_only:
        make_data(options, cells)
    if options.data_only:
        return
    out, meta = open_state(options)
    with open(out / "log.txt", "a") as log:
        if options.report_only:
            state, sorted_ = out / "cells.jsonl", out / "sorts.jsonl"
            measured = [json.loads(line) for line in state.read_text().splitlines()] if state.exists() else []
            sort_rows = [json.loads(line) for line in sorted_.read_text().splitlines()] if sorted_.exists() else []
        else:
            log.write(f"$ {meta['command']}\n{json.dumps(meta)}\n")
            if meta["load_at_start"] > 0.3:
                print(f"warning: load average {meta['load_at_start']:.2f}: this machine is not idle", flush=True)
            # Children inherit it: everybody runs on the same cores.
            os.sched_setaffinity(0, options.cpus)
            measured = measure_all(options, cells, out, log)
            sort_rows = sorts(options, out, log) if "sorts" in options.suites else []
    text = report.markdown(meta, measured, sort_rows)
    (out / "report.md").write_text(text)
    (out / "report.json").write_text(json.dumps(report.summary(meta, measured, sort_rows), indent=1) + "\n")
    print(text)
    disputed = [key(cell) for cell in measured if cell.get("agreed") is False and not options.no_check]
    if disputed:
        raise SystemExit(f"answers that too few peers confirm: {disputed}")


if __name__ == "__main__":
    main()
