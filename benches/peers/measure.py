"""One process, run and measured."""

import json
import os
import subprocess
import tempfile
import threading
import time

# Memory is looked at so often: a process of 70 ms is seen 35 times.
SAMPLE_SECONDS = 0.002


class Failed(Exception):
    """A process that did not do what it was to do, and its last words."""


def anonymous(pid):
    """Bytes of memory a process has to itself: no pages of mapped files."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            for line in status:
                if line.startswith(b"RssAnon"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run(command, limit, sample=False, silent=False):
    """Runs a command to its end; gives wall and CPU seconds, its peak memory and the JSON on the last line of its stdout (with
    `silent` stdout is /dev/null).

    The process and what it starts are killed at `limit` seconds. With `sample` the peak of its own (anonymous) memory is looked for,
    until it has printed its line; this costs CPU, so do not use the times.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        timed_out = threading.Event()
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if silent else out,
            stderr=err,
            start_new_session=True,
        )

        def stop():
            timed_out.set()
            os.killpg(process.pid, 9)

        timer = threading.Timer(limit, stop)
        timer.daemon = True
        timer.start()
        peak = 0
        try:
            if sample:
                alive = os.WEXITED | os.WNOHANG | os.WNOWAIT
                while os.waitid(os.P_PID, process.pid, alive) is None and os.fstat(out.fileno()).st_size == 0:
                    peak = max(peak, anonymous(process.pid))
                    time.sleep(SAMPLE_SECONDS)
            # Until it is waited for, the id is the process's: the timer never kills a stranger.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            wall = time.perf_counter() - started
            timer.cancel()
            timer.join()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            timer.cancel()
            os.killpg(process.pid, 9)
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        words = err.read().decode(errors="replace").strip().splitlines()
        if timed_out.is_set():
            raise Failed(f"stopped after {limit:g} s")
        if process.returncode:
            raise Failed(f"exit code {process.returncode}: {words[-1] if words else ''}")
        lines = out.read().decode(errors="replace").strip().splitlines()
        measured = {
            "wall": wall,
            "user": usage.ru_utime,
            "system": usage.ru_stime,
            "peak_rss": usage.ru_maxrss * 1024,
        }
        if sample:
            measured["peak_anonymous"] = peak
        if lines:
            try:
                measured.update(json.loads(lines[-1]))
            except ValueError as error:
                raise Failed(f"no JSON: {lines[-1][:200]}") from error
        return measured
