#!/usr/bin/env python3
"""Makes the bids that run.py measures on. run.py calls this by itself; alone:

    python3 benches/streams/data.py FOLDER ROWS

Columns auction, bidder, price: int64, and ts: milliseconds since 1970, in CSV an integer, in Parquet a timestamp. Drawn as Nexmark's
generator draws its bids: of 50 events 46 are bids, 3 new auctions and 1 a new person; half of the bids are for the hot auction (the
last whose number is a multiple of 100), the others for one of the last hundred and some; three in four are by the hot bidder; prices
are 10^(6u) dollars in cents. 10,000 bids come in a second of event time, in windows of 10 s some 6,500 auctions. Event times rise, and each is
up to 4.5 s behind where its row stands: within a watermark of 5 s no row is late, whatever the batches.

    bids-R/csv/bids-00.csv …     20 files with a header
    bids-R/parquet/bids-00.parquet …   the same rows (Snappy, dictionaries: pyarrow's defaults)
    bids-R/halves/even.csv, odd.csv    the same rows for Flink, one file for each of two readers, which then move on through
                                 event time side by side; without a header, which Flink's CSV format cannot skip
    bids-R/small-csv/, small-halves/   the first tenth, for warming up
    keys-R/parquet/keys-00.parquet …   10 files of rows whose key comes once, all within one day; and a small one
"""
import os
import pathlib
import shutil
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

FILES = 20
BIDS_PER_SECOND = 10_000
JITTER_MS = 4_500
# 2026-01-01T00:00:00Z
BEGIN_MS = 1_767_225_600_000
IN_FLIGHT_AUCTIONS, ACTIVE_PEOPLE = 100, 1_000


def bids(rows, at, size):
    """Rows `at` to `at + size`: a function of their numbers, drawn block by block."""
    rng = np.random.Generator(np.random.PCG64([20261201, at]))
    number = np.arange(at, at + size, dtype=np.int64)
    # The bids among the events: 46 after 1 person and 3 auctions.
    epoch = number // 46
    last_auction = epoch * 3 + 2
    last_person = epoch
    hot = rng.integers(0, 2, size) == 0
    recent = last_auction - rng.integers(0, IN_FLIGHT_AUCTIONS + 1, size)
    auction = np.where(hot, last_auction // 100 * 100, np.maximum(recent, 0)) + 1000
    hot = rng.integers(0, 4, size) != 0
    recent = last_person - rng.integers(0, ACTIVE_PEOPLE, size)
    bidder = np.where(hot, last_person // 100 * 100 + 1, np.maximum(recent, 0)) + 1000
    price = np.rint(10 ** (rng.random(size) * 6) * 100).astype(np.int64)
    ts = BEGIN_MS + JITTER_MS + number * 1000 // BIDS_PER_SECOND - rng.integers(0, JITTER_MS + 1, size)
    return pa.table({"auction": auction, "bidder": bidder, "price": price, "ts": ts})


def with_times(table):
    # Microseconds: what Spark reads without a cast.
    times = table["ts"].cast(pa.timestamp("ms")).cast(pa.timestamp("us", tz="UTC"))
    return table.set_column(table.schema.get_field_index("ts"), "ts", times)


def write_csv(path, table, header=True):
    options = pa.csv.WriteOptions(include_header=header, quoting_style="none", quoting_header="none")
    pa.csv.write_csv(table, path, options)


def make_bids(folder, rows):
    """The files, if they are not there."""
    if folder.exists():
        return
    print(f"making {folder.name}", flush=True)
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("csv", "parquet", "halves", "small-csv", "small-halves"):
        (part / name).mkdir(parents=True)
    size = -(-rows // FILES)
    halves = [open(part / "halves" / name, "wb") for name in ("even.csv", "odd.csv")]
    for i, at in enumerate(range(0, rows, size)):
        table = bids(rows, at, min(size, rows - at))
        write_csv(part / "csv" / f"bids-{i:02}.csv", table)
        pa.parquet.write_table(with_times(table), part / "parquet" / f"bids-{i:02}.parquet")
        for half, file in enumerate(halves):
            rows_of = pa.array(np.arange(half, table.num_rows, 2))
            write_csv(file, table.take(rows_of), header=False)
        if i < FILES // 10:
            shutil.copy(part / "csv" / f"bids-{i:02}.csv", part / "small-csv")
            if i == FILES // 10 - 1:
                for file in halves:
                    file.flush()
                    shutil.copy(file.name, part / "small-halves")
    for file in halves:
        file.close()
    os.rename(part, folder)


def make_keys(folder, rows, files=10):
    """`rows` keys that come once each, within one day of event time, and a small file of later rows."""
    if folder.exists():
        return
    print(f"making {folder.name}", flush=True)
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)

    def table(at, size):
        number = np.arange(at, at + size, dtype=np.int64)
        # An odd factor modulo a power of two gives each number once, in no order.
        auction = number * 0x9E3779B1 % (1 << 32)
        return with_times(pa.table({"auction": auction, "price": number % 1000, "ts": BEGIN_MS + number // 1000}))

    for i in range(files):
        size = rows // files
        pa.parquet.write_table(table(i * size, size), part / f"keys-{i:02}.parquet")
    pa.parquet.write_table(table(rows, 1000), part / "later.parquet")
    os.rename(part, folder)


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    folder, rows = pathlib.Path(sys.argv[1]), int(float(sys.argv[2]))
    folder.mkdir(parents=True, exist_ok=True)
    make_bids(folder / f"bids-{rows}", rows)
    make_keys(folder / f"keys-{rows}", rows)


if __name__ == "__main__":
    main()
