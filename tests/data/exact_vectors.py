#!/usr/bin/env python3
"""Writes exact_vectors.txt: sums and moments by Python's math.fsum, fractions and statistics.

Run from this directory: python3 exact_vectors.py > exact_vectors.txt (Python 3.11 or later; it has its own seed).

float lines:   float <inputs> <sum> <mean> <var_pop> <var_samp> <stddev_pop> <stddev_samp>
pair lines:    pair <xs> <ys> <covar_pop> <covar_samp> <corr>
decimal lines: decimal <scale> <unscaled inputs> <mean> <var_pop> <var_samp> <stddev_pop> <stddev_samp>
Floats are the hexadecimal of their 64 bits; `null` is SQL's null.
"""
import math
import random
import struct
from fractions import Fraction
from statistics import _float_sqrt_of_frac, stdev


def bits(x):
    return "null" if x is None else "%016x" % struct.unpack("<Q", struct.pack("<d", x))


def value(word):
    return struct.unpack("<d", struct.pack("<Q", word))[0]


def rounded(q):
    """A fraction to the nearest float; Python's int / int is correctly rounded, but refuses to overflow."""
    if q is None:
        return None
    try:
        return q.numerator / q.denominator
    except OverflowError:
        return math.inf if q > 0 else -math.inf


def root(q):
    if q is None or q == 0:
        return None if q is None else 0.0
    try:
        return _float_sqrt_of_frac(q.numerator, q.denominator)
    except OverflowError:
        return math.inf


def covariances(xs, ys):
    n = len(xs)
    spread = n * sum(x * y for x, y in zip(xs, ys)) - sum(xs) * sum(ys)
    return spread, spread / Fraction(n * n), spread / Fraction(n * (n - 1)) if n > 1 else None


def moments(xs):
    _, pop, samp = covariances(xs, xs)
    return [rounded(pop), rounded(samp), root(pop), root(samp)]


def join(values):
    return ",".join(values)


def floats(xs):
    exact = [Fraction(x) for x in xs]
    total = rounded(sum(exact)) + 0.0
    try:
        assert math.fsum(xs) == total, xs
    except OverflowError:
        pass
    results = [total, rounded(sum(exact) / len(xs)), *moments(exact)]
    print("float", join(map(bits, xs)), *map(bits, results))


def pairs(xs, ys):
    x, y = [Fraction(v) for v in xs], [Fraction(v) for v in ys]
    spread, pop, samp = covariances(x, y)
    both = covariances(x, x)[0] * covariances(y, y)[0]
    corr = None if both == 0 else root(spread * spread / both) * (-1 if spread < 0 else 1)
    print("pair", join(map(bits, xs)), join(map(bits, ys)), bits(rounded(pop)), bits(rounded(samp)), bits(corr))


def decimals(scale, xs):
    exact = [Fraction(x, 1) / Fraction(10) ** scale for x in xs]
    results = [rounded(sum(exact) / len(xs)), *moments(exact)]
    print("decimal", scale, join(map(str, xs)), *map(bits, results))


def main():
    rng = random.Random(20130101)

    def any_float():
        while True:
            x = value(rng.getrandbits(64))
            if math.isfinite(x):
                return x

    prices = lambda n: [round(rng.uniform(0, 100), 6) for _ in range(n)]
    floats([1e300, 1e-300, -1e300])
    floats([0.1] * 10)
    floats([1e16, 1.0, 1e-16, -1e16])
    floats([2.0**53, 1.0, 2.0**-60])
    floats([2.0**53, 1.0])
    floats([5e-324, 5e-324, -5e-324])
    floats([5e-324, 0.0, 0.0])
    floats([1.7976931348623157e308] * 3)
    floats([1.7976931348623157e308, 1.7976931348623157e308, -1.7976931348623157e308])
    floats([-0.0, -0.0])
    floats([7.5])
    floats([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])
    for n in (2, 3, 10, 40):
        for _ in range(4):
            floats(prices(n))
            floats([any_float() for _ in range(n)])
            floats([x * s for x in [any_float() for _ in range(n)] for s in (1, -1)] + [rng.random()])
            floats([value(rng.getrandbits(53)) for _ in range(n)])
            floats([float(rng.randrange(-10**6, 10**6)) for _ in range(n)])
            pairs(prices(n), prices(n))
            pairs([any_float() for _ in range(n)], [any_float() for _ in range(n)])
            pairs([float(rng.randrange(9)) for _ in range(n)], [float(rng.randrange(9)) for _ in range(n)])
            decimals(2, [rng.randrange(-10**6, 10**6) for _ in range(n)])
            decimals(rng.randrange(39), [rng.randrange(-10**38 + 1, 10**38) for _ in range(n)])
            decimals(0, [rng.randrange(-2**63, 2**63) for _ in range(n)])
            decimals(-3, [rng.randrange(-10**6, 10**6) for _ in range(n)])
    xs = prices(6)
    pairs(xs, xs)
    pairs(xs, [-x for x in xs])
    pairs(xs, [2.5] * 6)
    pairs([1.0], [2.0])
    assert stdev([Fraction(1), Fraction(2)]) == root(Fraction(1, 2))


main()
