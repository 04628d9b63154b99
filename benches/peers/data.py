#!/usr/bin/env python3
"""Makes the data sets that run.py measures on. run.py calls this by itself; alone:

    python3 benches/peers/data.py DIR SET EXTENSION[,EXTENSION] …      e.g. /tmp/data g1_10000000_100 csv,parquet

Sets, by name (the first number is rows):

    g1_R_K, g1_R_K_na5   db-benchmark's group-by table with K and R/K distinct keys; na5: 5 % nulls in every column
    zipf_R               keys of which the n-th most frequent has 1/n of the share of the first, out of a million
    unique_R             keys no two of which are equal, in no order
    onebrc_R             the one-billion-row challenge's text: station;temperature, no header (extension txt)

Everything is drawn with fixed seeds and written a million rows at a time. A file appears when it is whole; one that is there
is left alone.
"""
import os
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from g1_data import Files, blocks, g1, numbered  # noqa: E402

ZIPF_KEYS = 1_000_000
# Odd, so that a product with it modulo a power of two gives every number once.
SCRAMBLE = 0x9E3779B1


def keyed(rows, seed, draw):
    """An integer key, the same key as text, an integer and a float. `draw` gives numbers of keys."""
    rng = np.random.Generator(np.random.PCG64(seed))
    at = 0
    for size in blocks(rows):
        number = draw(rng, at, size)
        at += size
        yield pa.record_batch(
            {
                "key": pa.array(number),
                "name": numbered("user-", 12, number),
                "n": pa.array(rng.integers(1, 100, size, endpoint=True, dtype=np.int32)),
                "x": pa.array(np.round(rng.uniform(0, 100, size), 6)),
            }
        )


def zipf(rows):
    # 1/n is exact in every IEEE machine, and the running sum has one order: no libm decides about a draw.
    share = np.cumsum(1.0 / np.arange(1, ZIPF_KEYS + 1))

    def draw(rng, at, size):
        rank = np.searchsorted(share, rng.random(size) * share[-1], side="right").astype(np.int64)
        return np.minimum(rank, ZIPF_KEYS - 1) * SCRAMBLE % (1 << 32)

    return keyed(rows, 109, draw)


def unique(rows):
    return keyed(rows, 110, lambda rng, at, size: np.arange(at, at + size, dtype=np.int64) * SCRAMBLE % (1 << 32))


def onebrc(rows):
    lines = (HERE / "stations.txt").read_text(encoding="utf-8").splitlines()
    names = pa.array([line.split(";")[0] for line in lines])
    means = np.array([float(line.split(";")[1]) for line in lines])
    texts = pa.array([f"{tenths / 10:.1f}" for tenths in range(-999, 1000)])
    rng = np.random.Generator(np.random.PCG64(111))
    for size in blocks(rows):
        station = rng.integers(0, len(names), size, dtype=np.int32)
        degrees = means[station] + 10 * rng.standard_normal(size)
        tenths = np.clip(np.rint(degrees * 10), -999, 999).astype(np.int32)
        yield pa.record_batch({"station": names.take(pa.array(station)), "temperature": texts.take(pa.array(tenths + 999))})


def write_text(path, batches):
    options = pa.csv.WriteOptions(include_header=False, delimiter=";", quoting_style="none")
    writer = None
    for batch in batches:
        writer = writer or pa.csv.CSVWriter(path + ".part", batch.schema, write_options=options)
        writer.write_batch(batch)
    writer.close()
    os.replace(path + ".part", path)


def make(folder, name, extensions):
    """Makes those files of the set that are not there."""
    stem = os.path.join(folder, name)
    missing = [extension for extension in extensions if not os.path.exists(f"{stem}.{extension}")]
    if not missing:
        return
    print(f"making {stem}.{{{','.join(missing)}}}", flush=True)
    kind, rows, *rest = name.split("_")
    rows = int(rows)
    if kind == "onebrc" and missing == ["txt"]:
        return write_text(f"{stem}.txt", onebrc(rows))
    if kind == "g1":
        batches = g1(rows, int(rest[0]), int(rest[1].removeprefix("na")) if len(rest) > 1 else 0)
    elif kind == "zipf":
        batches = zipf(rows)
    elif kind == "unique":
        batches = unique(rows)
    else:
        raise SystemExit(f"no such data set: {name} as {missing}")
    Files(stem, missing).write(batches)


def main():
    if len(sys.argv) < 4 or len(sys.argv) % 2:
        raise SystemExit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, extensions in zip(sys.argv[2::2], sys.argv[3::2]):
        make(sys.argv[1], name, extensions.split(","))


if __name__ == "__main__":
    main()
