#!/usr/bin/env python3
"""Makes the db-benchmark group-by table G1 (https://github.com/h2oai/db-benchmark, shape of _data/groupby-datagen.R)
as CSV, Parquet and Arrow IPC files with the same rows.

    python3 -m pip install numpy pyarrow
    python3 benches/g1_data.py DIR --rows 10000000 --k 100

The numbers are drawn by numpy's PCG64 with a fixed seed, so every machine makes the same bytes. Rows are drawn and written
a million at a time: memory does not grow with --rows. With --nulls 5, five of a hundred values of every column are null.
"""
import argparse
import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

BLOCK = 1_000_000


def blocks(rows):
    """The sizes of the blocks that make up `rows`."""
    return [min(BLOCK, rows - at) for at in range(0, rows, BLOCK)]


def numbered(prefix, width, numbers):
    """`numbers` as texts: id001, id002 …"""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, pa.scalar(""))


class Columns:
    """Columns drawn one after the other from one stream of random numbers, but handed out in blocks of rows.

    A first pass walks over the whole stream and notes where each column begins.
    """

    def __init__(self, rows, seed, draws):
        self.draws = draws
        stream = np.random.Generator(np.random.PCG64(seed))
        self.streams = {}
        for name, draw in draws.items():
            own = np.random.PCG64()
            own.state = stream.bit_generator.state
            self.streams[name] = np.random.Generator(own)
            for size in blocks(rows):
                draw(stream, size)

    def next(self, size):
        return {name: draw(self.streams[name], size) for name, draw in self.draws.items()}


def g1(rows, k, nulls=0, seed=108):
    """The table's blocks."""
    groups = max(rows // k, 1)

    def integers(low, high):
        return lambda rng, size: rng.integers(low, high, size, endpoint=True, dtype=np.int32)

    draws = {
        # A text is drawn by its index from 0 on, a number from 1 on.
        "id1": integers(0, k - 1),
        "id2": integers(0, k - 1),
        "id3": integers(0, groups - 1),
        "id4": integers(1, k),
        "id5": integers(1, k),
        "id6": integers(1, groups),
        "v1": integers(1, 5),
        "v2": integers(1, 15),
        "v3": lambda rng, size: np.round(rng.uniform(0, 100, size), 6),
    }
    widths = {"id1": 3, "id2": 3, "id3": 10}
    columns = Columns(rows, seed, draws)
    masks = {name: np.random.Generator(np.random.PCG64([seed, at])) for at, name in enumerate(draws)}
    for size in blocks(rows):
        arrays = {}
        for name, values in columns.next(size).items():
            array = numbered("id", widths[name], values + 1) if name in widths else pa.array(values)
            if nulls:
                keep = masks[name].random(size) >= nulls / 100
                array = pc.if_else(pa.array(keep), array, pa.scalar(None, array.type))
            arrays[name] = array
        yield pa.record_batch(arrays)


class Files:
    """One table, written block by block as STEM.csv, STEM.parquet, STEM.arrow. They appear under their names when they
    are whole."""

    def __init__(self, stem, formats):
        self.stem, self.formats = stem, formats
        self.writers = []

    def path(self, extension):
        return f"{self.stem}.{extension}"

    def write(self, batches):
        for batch in batches:
            if not self.writers:
                self.writers = [self.open(extension, batch.schema) for extension in self.formats]
            for writer in self.writers:
                if isinstance(writer, pa.parquet.ParquetWriter):
                    writer.write_batch(batch, row_group_size=BLOCK)
                else:
                    writer.write_batch(batch)
        for writer in self.writers:
            writer.close()
        for extension in self.formats:
            os.replace(self.path(extension) + ".part", self.path(extension))

    def open(self, extension, schema):
        path = self.path(extension) + ".part"
        if extension == "csv":
            return pa.csv.CSVWriter(path, schema, write_options=pa.csv.WriteOptions(quoting_style="none"))
        if extension == "parquet":
            return pa.parquet.ParquetWriter(path, schema)
        if extension == "arrow":
            return pa.ipc.new_file(path, schema)
        raise SystemExit(f"no such format: {extension}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--k", type=lambda text: int(float(text)), default=100)
    parser.add_argument("--nulls", type=int, default=0, help="null values of every column, in percent")
    parser.add_argument("--seed", type=int, default=108)
    parser.add_argument("--formats", default="csv,parquet,arrow")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    stem = os.path.join(args.folder, f"g1_{args.rows}_{args.k}" + (f"_na{args.nulls}" if args.nulls else ""))
    Files(stem, args.formats.split(",")).write(g1(args.rows, args.k, args.nulls, args.seed))
    print(stem)


if __name__ == "__main__":
    main()
