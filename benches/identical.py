#!/usr/bin/env python3
"""Shows that the result does not depend on device, format, chunk size or threads.

    python3 benches/g1_data.py /tmp/data --rows 10000000
    python3 benches/identical.py target/release/tidemill /tmp/data/g1_10000000_100 > benches/results/identical-….txt

Runs the ten db-benchmark group-by questions over STEM.csv, .parquet and .arrow, on the CPU and on the first adapter,
with chunks of 1 MiB and 64 MiB and with 1 and 2 threads, and compares the SHA-256 of every output. Then compares float sums
with Python's math.fsum, on this data and on hostile data. Exits with 1 if anything differs.
"""
import argparse
import csv
import hashlib
import itertools
import math
import os
import platform
import random
import struct
import subprocess
import sys
import tempfile
import time

QUESTIONS = {
    "q1": (["id1"], ["sum(v1) as v1"]),
    "q2": (["id1", "id2"], ["sum(v1) as v1"]),
    "q3": (["id3"], ["sum(v1) as v1", "mean(v3) as v3"]),
    "q4": (["id4"], ["mean(v1) as v1", "mean(v2) as v2", "mean(v3) as v3"]),
    "q5": (["id6"], ["sum(v1) as v1", "sum(v2) as v2", "sum(v3) as v3"]),
    "q6": (["id4", "id5"], ["median(v3) as median_v3", "stddev_samp(v3) as sd_v3"]),
    "q7": (["id3"], ["max(v1) - min(v2) as range_v1_v2"]),
    "q8": (["id6"], ["unnest(top_k(v3, 2)) as largest2_v3"]),
    "q9": (["id2", "id4"], ["corr(v1, v2) * corr(v1, v2) as r2"]),
    "q10": (["id1", "id2", "id3", "id4", "id5", "id6"], ["sum(v3) as v3", "count() as count"]),
}


def run(binary, arguments):
    started = time.monotonic()
    process = subprocess.Popen([binary, "agg", *arguments, "--format", "csv"], stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    size = 0
    while block := process.stdout.read(1 << 20):
        digest.update(block)
        size += len(block)
    if process.wait() != 0:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(arguments)}")
    return digest.hexdigest(), size, time.monotonic() - started


def questions(options):
    failed = False
    for name in options.questions.split(","):
        keys, aggregates = QUESTIONS[name]
        digests = {}
        settings = itertools.product(options.devices.split(","), options.formats.split(","), options.chunks.split(","), options.threads.split(","))
        for device, extension, chunk, threads in settings:
            arguments = [f"{options.stem}.{extension}", "--by", ",".join(keys), *aggregates]
            arguments += ["--device", device, "--chunk-size", chunk, "--threads", threads]
            digest, size, seconds = run(options.binary, arguments)
            digests.setdefault(digest, []).append((device, extension, chunk, threads))
            print(f"{name:4} {device:4} {extension:8} chunk {chunk:6} threads {threads}  {digest[:16]}  {size:>10} bytes  {seconds:7.2f} s", flush=True)
        verdict = "identical" if len(digests) == 1 else f"{len(digests)} DIFFERENT RESULTS: {digests}"
        failed |= len(digests) != 1
        print(f"{name:4} {verdict}", flush=True)
    return failed


def bits(value):
    return struct.pack("<d", value).hex()


def sums(options, label, path, key, value, device):
    groups = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            groups.setdefault(row[key], []).append(float(row[value]))
    expected = {name: math.fsum(values) for name, values in groups.items()}
    output = subprocess.run(
        [options.binary, "agg", path, "--by", key, f"sum({value}) as s", "--schema", f"{key}:string,{value}:float64", "--device", device, "--format", "csv"],
        stdout=subprocess.PIPE, check=True, text=True,
    ).stdout
    got = {row[key]: float(row["s"]) for row in csv.DictReader(output.splitlines())}
    wrong = [name for name in expected if bits(expected[name]) != bits(got.get(name, math.nan))]
    print(f"fsum {label} {device}: {len(expected)} groups, {len(wrong)} differ {wrong[:3]}", flush=True)
    return bool(wrong) or len(got) != len(expected)


def hostile(path):
    """Cancelling pairs, subnormals, every exponent, 1e300 beside 1e-300."""
    draw = random.Random(7)
    with open(path, "w") as file:
        file.write("k,x\n")
        for group in range(200):
            values = []
            for _ in range(draw.randrange(1, 200)):
                x = struct.unpack("<d", struct.pack("<Q", draw.getrandbits(64)))[0]
                if not math.isfinite(x) or abs(x) > 1e305:
                    x = draw.choice([1e300, 1e-300, 5e-324, 2.2e-308, 0.1, -1e300])
                values.append(x)
                if draw.random() < 0.5:
                    values.append(-x)
            draw.shuffle(values)
            for x in values:
                file.write(f"g{group},{x!r}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("stem")
    parser.add_argument("--questions", default=",".join(QUESTIONS))
    parser.add_argument("--devices", default="cpu,gpu")
    parser.add_argument("--formats", default="csv,parquet,arrow")
    parser.add_argument("--chunks", default="1MiB,64MiB")
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()
    print(f"$ {' '.join(sys.argv)}")
    print(f"machine: {platform.platform()}, {os.cpu_count()} cores")
    version = subprocess.run([options.binary, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    devices = subprocess.run([options.binary, "devices"], stdout=subprocess.PIPE, text=True).stdout
    print(f"{version}\n{devices}")
    failed = questions(options)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "hostile.csv")
        hostile(path)
        for device in options.devices.split(","):
            failed |= sums(options, "hostile", path, "k", "x", device)
            failed |= sums(options, "data", f"{options.stem}.csv", "id1", "v3", device)
    raise SystemExit(1 if failed else 0)


main()
