"""What every engine must have given: a plain recomputation of the windows, and the engines' files beside it."""

import pathlib

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

# Width and slide in milliseconds.
SPANS = {"tumbling": (10_000, 10_000), "hopping": (10_000, 2_000)}
DELAY = 5_000
NAMES = ["window_start", "window_end", "auction", "bids", "total"]
LONGS = pa.schema([(name, pa.int64()) for name in NAMES])


class Expected:
    """The windows of the bids in a folder, grouped by pyarrow."""

    def __init__(self, bids):
        self.bids, self.known = bids, {}

    def of(self, window):
        if window in self.known:
            return self.known[window]
        table = pa.concat_tables(pyarrow.parquet.read_table(path) for path in sorted((self.bids / "parquet").iterdir()))
        ts = table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64())
        width, slide = SPANS[window]
        # A row is in one window of every shift: that which began up to `width` before.
        last = pc.multiply(pc.divide(ts, slide), slide)
        parts = []
        for back in range(width // slide):
            shifted = table.select(["auction", "price"]).append_column("window_start", pc.subtract(last, back * slide))
            grouped = shifted.group_by(["window_start", "auction"]).aggregate([([], "count_all"), ("price", "sum")])
            parts.append(grouped.select(["window_start", "auction", "count_all", "price_sum"]))
        # One slide's windows may come from several shifts of different rows: added up once more.
        summed = pa.concat_tables(parts).group_by(["window_start", "auction"]).aggregate([("count_all", "sum"), ("price_sum", "sum")])
        start = summed["window_start"]
        columns = [start, pc.add(start, width), summed["auction"], summed["count_all_sum"], summed["price_sum_sum"]]
        whole = ordered(pa.table(dict(zip(NAMES, columns))))
        closed = whole.filter(pc.less_equal(whole["window_end"], pc.subtract(pc.max(ts), DELAY)))
        self.known[window] = (whole, closed)
        return self.known[window]

    def check(self, found, window, finished):
        """Whether the rows are those of all windows, or of those that the watermark has closed."""
        whole, closed = self.of(window)
        return ordered(found).equals(whole if finished else closed)


def ordered(table):
    table = table.select(NAMES).cast(LONGS).combine_chunks()
    return table.sort_by([("window_start", "ascending"), ("auction", "ascending")]).combine_chunks()


def files(folder):
    return [path for path in sorted(pathlib.Path(folder).rglob("part-*")) if not path.name.endswith(".crc") and path.stat().st_size > 0]


def millis(folder):
    """Files of CSV without a header whose columns are all integers."""
    read = pyarrow.csv.ReadOptions(column_names=NAMES)
    options = pyarrow.csv.ConvertOptions(column_types=LONGS)
    tables = [pyarrow.csv.read_csv(path, read_options=read, convert_options=options) for path in files(folder)]
    return pa.concat_tables(tables) if tables else LONGS.empty_table()


def tidemill(folder):
    """tidemill's files: a header, times as ISO 8601 has them."""
    types = {"window_start": pa.timestamp("ms"), "window_end": pa.timestamp("ms"), "auction": pa.int64(), "bids": pa.int64(), "total": pa.int64()}
    options = pyarrow.csv.ConvertOptions(column_types=types)
    tables = [pyarrow.csv.read_csv(path, convert_options=options) for path in files(folder)]
    table = pa.concat_tables(tables)
    for at in (0, 1):
        table = table.set_column(at, NAMES[at], table.column(at).cast(pa.int64()))
    return table
