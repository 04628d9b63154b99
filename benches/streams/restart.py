"""kill -9, and how long the next process takes to its first commit."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import peers

# How often a folder is looked into: what is measured is so much too long at most.
POLL_SECONDS = 0.0002
SMALL_FILES, SMALL_ROWS = 20, 1000
LIMIT = 600.0


def fsyncs(folder, count):
    """What the disk alone takes for a small durable file, in milliseconds."""
    took = []
    fd = os.open(folder, os.O_RDONLY)
    for i in range(count):
        started = time.perf_counter()
        with open(folder / ".part", "wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        os.rename(folder / ".part", folder / str(i % 100))
        os.fsync(fd)
        took.append((time.perf_counter() - started) * 1e3)
    os.close(fd)
    return took


def numbers(folder):
    """The names in a folder that are numbers: the commits of tidemill and of Spark."""
    try:
        return {int(name) for name in os.listdir(folder) if name.isdigit()}
    except FileNotFoundError:
        return set()


def completed(folder):
    """Flink's checkpoints that are whole, by their paths."""
    return {path.parent for path in folder.glob("*/chk-*/_metadata")}


def wait_for(found, alive, limit=LIMIT):
    until = time.monotonic() + limit
    while not found():
        if not alive() or time.monotonic() > until:
            raise SystemExit(f"the query ended, or had not committed after {limit:.0f} s")
        time.sleep(POLL_SECONDS)


def settled(what, alive, least, quiet=3.0):
    """Waits until there are `least`, and no more come."""
    wait_for(lambda: len(what()) >= least, alive)
    seen, since = what(), time.monotonic()
    while time.monotonic() - since < quiet:
        time.sleep(0.05)
        if (now := what()) != seen:
            seen, since = now, time.monotonic()
    return seen


def place(source, folder, name):
    """A file appears whole."""
    shutil.copy(source, folder / f".{name}")
    os.rename(folder / f".{name}", folder / name)


def small_files(options, folder, count, header, at=0):
    """Files of 1,000 bids, in the order of event time."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(options.bids / "csv/bids-00.csv") as file:
        head = next(file)
        lines = file.readlines()
    for i in range(at, at + count):
        some = lines[i * SMALL_ROWS : (i + 1) * SMALL_ROWS]
        path = folder / f".f-{i:03}.csv"
        path.write_text("".join([head if header else "", *some]))
        # Flink and Spark read what is new; none of them reads names that begin with a dot.
        os.rename(path, folder / f"f-{i:03}.csv")


def tidemill_command(options, scratch, pattern, window, time_of, *more):
    command = [options.tidemill, "stream", "--source", f"dir:{pattern}", "--max-files", "1", "--by", "auction"]
    command += ["--window", f"{window} on {time_of}", "--watermark", "5s", "--device", "cpu", "--threads", str(options.threads)]
    command += ["--checkpoint", str(scratch / "checkpoint"), "--sink", f"csv:{scratch / 'out'}", *more]
    return [*command, "count() as bids", "sum(price) as total"]


def tidemill(options, scratch, what):
    """Times of restarts, and whether every row is counted once at the end."""
    folder = scratch / "in"
    folder.mkdir()
    if what == "small":
        small_files(options, folder, SMALL_FILES, header=True)
        command = tidemill_command(options, scratch, f"{folder}/*.csv", "tumbling 10s", "cast(ts as timestamp(ms))")
    else:
        for path in sorted(options.keys.glob("keys-*.parquet")):
            place(path, folder, path.name)
        command = tidemill_command(options, scratch, f"{folder}/*.parquet", "tumbling 1d", "ts")
    commits = scratch / "checkpoint/commits"
    files = len(list(folder.iterdir()))
    log = open(pathlib.Path(options.out) / "tidemill.log", "ab")
    running = subprocess.Popen(command, stdout=log, stderr=log)
    wait_for(lambda: files - 1 in numbers(commits), lambda: running.poll() is None)
    took, rows = [], files * SMALL_ROWS if what == "small" else options.rows
    for i in range(options.runs):
        running.send_signal(signal.SIGKILL)
        running.wait()
        if what == "small":
            small_files(options, folder, 1, True, at=files + i)
        else:
            place(options.keys / "later.parquet", folder, f"later-{i}.parquet")
        rows += 1000
        started = time.perf_counter()
        running = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: files + i in numbers(commits), lambda: running.poll() is None)
        took.append(time.perf_counter() - started)
    running.send_signal(signal.SIGKILL)
    running.wait()
    # Close all windows: every row must be counted once.
    at = command.index("--sink")
    done = subprocess.run([*command[:at], "--trigger", "available-now", "--finish", *command[at:]], stdout=log, stderr=log)
    counted = 0
    for path in (scratch / "out").glob("part-*"):
        with open(path) as file:
            next(file)
            counted += sum(int(line.split(",")[3]) for line in file)
    size = sum(path.stat().st_size for path in (scratch / "checkpoint").rglob("*") if path.is_file())
    return {"seconds": took, "right": done.returncode == 0 and counted == rows, "checkpoint_bytes": size}


def spark(options, scratch, what):
    folder = scratch / "in"
    folder.mkdir()
    if what == "small":
        small_files(options, folder, SMALL_FILES, header=True)
        task = {"format": "csv", "window": "tumbling", "store": "memory"}
    else:
        for path in sorted(options.keys.glob("keys-*.parquet")):
            place(path, folder, path.name)
        # A state of so many rows does not fit into the heap of the other store.
        task = {"format": "keys", "window": "day", "store": "rocksdb"}
    task |= {"task": "go on", "input": str(folder), "checkpoint": str(scratch / "checkpoint"), "output": str(scratch / "out")}
    commits = scratch / "checkpoint/commits"
    files = len(list(folder.iterdir()))
    running = peers.Spark(options, scratch)
    running.ask(task)
    alive = lambda: running.process.poll() is None  # noqa: E731
    seen = settled(lambda: numbers(commits), alive, files)
    took = []
    for i in range(options.runs):
        running.kill()
        if what == "small":
            small_files(options, folder, 1, True, at=files + i)
        else:
            place(options.keys / "later.parquet", folder, f"later-{i}.parquet")
        started = time.perf_counter()
        running = peers.Spark(options, scratch)
        running.say(task)
        wait_for(lambda: numbers(commits) - seen, alive)
        took.append(time.perf_counter() - started)
        seen = settled(lambda: numbers(commits), alive, 1)
    running.kill()
    return {"seconds": took}


def flink(options, scratch, what):
    """Of a small state: a checkpoint 200 ms after the last, the first after the restart is what is waited for."""
    folder = scratch / "in"
    folder.mkdir()
    small_files(options, folder, SMALL_FILES, header=False)
    checkpoints = scratch / "checkpoint"
    task = {"task": "go on", "input": folder, "output": scratch / "out", "window": "tumbling", "monitor": "100ms"}
    task |= {"checkpoints": checkpoints, "interval": "200ms"}
    running = peers.Flink(options)
    running.say(task)
    alive = lambda: running.process.poll() is None  # noqa: E731
    wait_for(lambda: len(completed(checkpoints)) > 0, alive)
    time.sleep(5)
    took = []
    for i in range(options.runs):
        running.kill()
        seen = completed(checkpoints)
        last = max(seen, key=lambda path: path.stat().st_mtime)
        small_files(options, folder, 1, False, at=SMALL_FILES + i)
        started = time.perf_counter()
        running = peers.Flink(options)
        running.say({**task, "recover": last})
        wait_for(lambda: completed(checkpoints) - seen, alive)
        took.append(time.perf_counter() - started)
        time.sleep(2)
    running.kill()
    return {"seconds": took}


def measure(options, cells):
    engines = {"tidemill": tidemill, "spark": spark, "flink": flink}
    for what in ("small", "keys"):
        for engine in ("tidemill", *options.peers):
            key = {"part": "restart", "engine": engine, "state": what}
            if cells.has(**key) or (engine == "flink" and what == "keys"):
                continue
            scratch = options.scratch
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            try:
                cells.add(**key, rows=options.rows, **engines[engine](options, scratch, what))
            except SystemExit as error:
                # Part of what is to be known; the others are measured all the same.
                cells.add(**key, rows=options.rows, failed=str(error))
            finally:
                for running in list(peers.Asked.alive):
                    running.kill()


