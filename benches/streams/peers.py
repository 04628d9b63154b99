"""Spark and Flink as processes of their own, which are asked one task after the other."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


class Asked:
    """A process that answers each line with a line of JSON."""

    # Those that run, to be ended when something else fails.
    alive = []

    def __init__(self, command, log):
        Asked.alive.append(self)
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True)

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        for line in self.process.stdout:
            if line.startswith(b"{"):
                return json.loads(line)
        raise SystemExit(f"{type(self).__name__} has ended: see {self.log.name}")

    def kill(self):
        """As kill -9 does, with what it has started."""
        if self in Asked.alive:
            Asked.alive.remove(self)
        # Until it is waited for, the id is the process's.
        if self.process.returncode is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Spark(Asked):
    def __init__(self, options, scratch):
        words = {"threads": options.threads, "memory": options.memory, "scratch": str(scratch)}
        super().__init__([options.spark_python, str(HERE / "spark.py"), json.dumps(words)], pathlib.Path(options.out) / "spark.log")

    def say(self, task):
        super().say(json.dumps(task))

    def ask(self, task):
        self.say(task)
        return self.answer()


class Flink(Asked):
    def __init__(self, options):
        command = ["java", f"-Xmx{options.memory}", "-cp", f"{options.flink_jars}/*", str(HERE / "Flink.java")]
        super().__init__(command, pathlib.Path(options.out) / "flink.log")

    def say(self, task):
        name, *rest = task.items()
        super().say("\t".join([str(name[1]), *(f"{key}={value}" for key, value in rest)]))

    def ask(self, task):
        self.say(task)
        return self.answer()
