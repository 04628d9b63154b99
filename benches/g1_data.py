#!/usr/bin/env python3
"""Makes the db-benchmark group-by table G1 (https://github.com/h2oai/db-benchmark, shape of _data/groupby-datagen.R)
as CSV, Parquet and Arrow IPC files with the same rows.

    python3 -m pip install numpy pyarrow
    python3 benches/g1_data.py DIR --rows 10000000 --k 100

The numbers are drawn by numpy's PCG64 with a fixed seed, so every machine makes the same bytes.
"""
import argparse
import os

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet


def table(rows, k, seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    groups = max(rows // k, 1)

    def strings(width, n):
        names = pa.array([f"id{i:0{width}d}" for i in range(1, n + 1)])
        return names.take(pa.array(rng.integers(0, n, rows, dtype=np.int32)))

    return pa.table(
        {
            "id1": strings(3, k),
            "id2": strings(3, k),
            "id3": strings(10, groups),
            "id4": pa.array(rng.integers(1, k, rows, endpoint=True, dtype=np.int32)),
            "id5": pa.array(rng.integers(1, k, rows, endpoint=True, dtype=np.int32)),
            "id6": pa.array(rng.integers(1, groups, rows, endpoint=True, dtype=np.int32)),
            "v1": pa.array(rng.integers(1, 5, rows, endpoint=True, dtype=np.int32)),
            "v2": pa.array(rng.integers(1, 15, rows, endpoint=True, dtype=np.int32)),
            "v3": pa.array(np.round(rng.uniform(0, 100, rows), 6)),
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--seed", type=int, default=108)
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    stem = os.path.join(args.folder, f"g1_{args.rows}_{args.k}")
    data = table(args.rows, args.k, args.seed)
    pa.csv.write_csv(data, stem + ".csv", pa.csv.WriteOptions(quoting_style="none"))
    pa.parquet.write_table(data, stem + ".parquet", row_group_size=1_000_000)
    with pa.ipc.new_file(stem + ".arrow", data.schema) as sink:
        sink.write_table(data, max_chunksize=1_000_000)
    print(stem)


main()
