#!/usr/bin/env python3
"""Compares answers: check.py DATASET QUESTION REFERENCE ANSWER …

Prints one line of JSON: for each ANSWER null if it is the reference's answer, else the first difference. Both are put
in one order of keys (and values, where a group has several rows). Keys, counts and other integers must be equal, floats equal to the
question's tolerance; a float NaN and a null are the same (engines differ in how they say that a deviation of one value is none).
"""
import json
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc

from questions import questions


def plain(column):
    """Strings as strings, all integers as one type, all floats as one type."""
    if column.dtype in (pl.Categorical, pl.Binary, pl.String) or isinstance(column.dtype, pl.Enum):
        return column.cast(pl.String)
    if column.dtype.is_float():
        return column.cast(pl.Float64).fill_nan(None)
    # Sums of integers come as decimals without fraction from some.
    return column.cast(pl.Int64)


def read(path, keys, several):
    with pa.memory_map(path) as file:
        frame = pl.from_arrow(pa.ipc.open_file(file).read_all())
    frame = frame.rename(dict(zip(frame.columns, [f"c{at}" for at in range(frame.width)])))
    frame = frame.select(plain(column) for column in frame.iter_columns())
    # By a hash of the keys: much faster than by the keys, and two keys of one hash in a wrong order are one in 300,000 at
    # ten million groups, and seen as a difference.
    values = frame.columns[keys:]
    frame = frame.with_columns(frame.select(frame.columns[:keys]).hash_rows(seed=1).alias("hash"))
    return frame.sort(["hash", *values] if several else "hash", nulls_last=True).drop("hash")


def difference(reference, answer, keys, question):
    if reference.shape != answer.shape:
        return f"{answer.shape[0]} × {answer.shape[1]} instead of {reference.shape[0]} × {reference.shape[1]}"
    for at, name in enumerate(reference.columns):
        a, b = reference[name], answer[name]
        if a.dtype != b.dtype and {a.dtype, b.dtype} == {pl.Int64, pl.Float64} and at >= keys:
            a, b = a.cast(pl.Float64), b.cast(pl.Float64)
        if a.dtype != b.dtype:
            return f"column {at}: {b.dtype} instead of {a.dtype}"
        if a.dtype == pl.Float64:
            nulls = a.is_null() != b.is_null()
            x, y = a.fill_null(0).to_numpy(), b.fill_null(0).to_numpy()
            with np.errstate(invalid="ignore"):
                far = np.abs(x - y) > question.absolute + question.relative * np.maximum(np.abs(x), np.abs(y))
            wrong = nulls.to_numpy() | far
        else:
            wrong = (~a.eq_missing(b)).to_numpy()
        if wrong.any():
            row = int(np.argmax(wrong))
            return f"{int(wrong.sum())} rows differ in column {at}: {b[row]} instead of {a[row]} in {reference.row(row)[:keys]}"
    return None


def main():
    dataset, name, first, *others = sys.argv[1:]
    question = questions(dataset)[name]
    keys = len(question.keys)
    reference = read(first, keys, question.several)
    verdicts = []
    for path in others:
        try:
            verdicts.append(difference(reference, read(path, keys, question.several), keys, question))
        except (pl.exceptions.PolarsError, OSError, TypeError) as error:
            verdicts.append(f"cannot be compared: {error}")
    print(json.dumps({"rows": reference.height, "verdicts": verdicts}))


if __name__ == "__main__":
    main()
