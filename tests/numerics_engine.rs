//! The lines of docs/numerics.md that are about whole jobs, one test each, on the oracle and on every device.

#![cfg(not(feature = "fast-float"))]

mod support;

use support::run_script;

/// A table and jobs over it, as the files in tests/conformance/cases.
macro_rules! lines {
    ($($name:ident $script:literal)+) => {
        $(#[test]
        fn $name() {
            run_script(stringify!($name), $script);
        })+
    };
}

lines! {
n101_aggregates_skip_nulls "
table t
x:int64 y:float64 b:bool
null 1 true
2 null null
4 4 false

job a: t
agg count() as n
agg count(x) as c
agg sum(x) as s
agg mean(x) as m
agg min(y) as low
agg max(y) as high
agg median(x) as mid
agg var_pop(x) as v
agg count_distinct(x) as d
agg top_k(x, 9) as t
agg bool_and(b) as every
agg bool_or(b) as any
= rows
n:int64 c:int64 s:int64 m:float64 low:float64 high:float64 mid:float64 v:float64 d:int64 t:list(int64) every:bool any:bool
3 2 6 3 1 4 3 1 2 [4,2] false true
"
n102_counts_of_nulls_are_zero "
table t
k:string x:float64
a null
a null

job a: t
by k
agg count(x) as n
agg count_distinct(x) as d
agg count() as rows
= rows
k:string n:int64 d:int64 rows:int64
a 0 0 2
"
n103_of_no_values_is_null "
table t
k:string x:float64 d:decimal(5,2) b:bool s:string
a null null null null

job a: t
by k
agg sum(x) as a
agg mean(d) as b
agg min(s) as c
agg max(d) as d
agg any_value(s) as e
agg median(x) as f
agg quantile(d, 0.5) as g
agg bool_and(b) as h
agg bool_or(b) as i
agg sum(d) as j
= rows
k:string a:float64 b:float64 c:string d:decimal(5,2) e:string f:float64 g:float64 h:bool i:bool j:decimal(38,2)
a null null null null null null null null null null
"
n104_lists_of_no_values_are_empty "
table t
k:string x:float64
a null

job a: t
by k
agg top_k(x, 3) as t
agg bottom_k(x, 3) as b
= rows
k:string t:list(float64) b:list(float64)
a [] []
"
n105_without_keys_there_is_one_row "
table t
x:float64 s:string

job a: t
agg count() as n
agg count(s) as c
agg sum(x) as s
agg corr(x, x) as r
agg count_distinct(x) as d
agg bottom_k(s, 2) as b
= rows
n:int64 c:int64 s:float64 r:float64 d:int64 b:list(string)
0 0 null null 0 []

table full
x:float64
1

job filtered to nothing: full
where x > 1
agg count() as n
agg max(x) as m
= rows
n:int64 m:float64
0 null
"
n106_with_keys_nothing_has_no_rows "
table t
k:int32 x:float64

job a: t
by k
agg count() as n
agg sum(x) as s
= rows
k:int32 n:int64 s:float64

job distinct: t
by k
= rows
k:int32
"
n107_pairs_skip_a_row_with_a_null "
table t
x:float64 y:float64
1 2
null 1e300
1e300 null
2 4
3 6
null null

job a: t
agg covar_pop(x, y) as p
agg covar_samp(x, y) as s
agg corr(x, y) as r
= rows
p:float64 s:float64 r:float64
1.3333333333333333 2 1
"
n108_null_is_a_key_and_comes_last "
table t
k:int8 x:int64
null 1
127 2
null 4
-128 8

job a: t
by k
agg sum(x) as s
= rows
k:int8 s:int64
-128 8
127 2
null 5
"
n504_correlation_with_itself "
table t
x:float64
0.1
1e300
-3

job a: t
agg corr(x, x) as one
agg corr(x, -x) as minus
= rows
one:float64 minus:float64
1 -1
"
n508_pairs_of_integers_and_decimals_are_exact "
table t
x:int64 d:decimal(20,2) u:uint64
9007199254740993 0.01 18446744073709551615
9007199254740992 0.02 18446744073709551614
9007199254740991 0.03 18446744073709551613

job a: t
agg covar_samp(x, d) as a
agg covar_samp(u, x) as b
agg corr(d, u) as c
= rows
a:float64 b:float64 c:float64
-0.01 1 -1
"
n601_sums_of_integers_are_int64 "
table t
a:int8 b:uint32 c:int64
127 4294967295 9223372036854775806
127 4294967295 1

job fits: t
agg sum(a) as a
agg sum(b) as b
agg sum(c) as c
= rows
a:int64 b:int64 c:int64
254 8589934590 9223372036854775807

job does not fit: t
agg sum(c + cast(c = 1 as int64)) as c
= error the exact sum 9223372036854775808 does not fit int64
"
n602_sums_of_uint64_are_uint64 "
table t
k:int8 u:uint64
0 18446744073709551614
0 1
1 18446744073709551615
1 1

job fits: t
where k = 0
agg sum(u) as s
= rows
s:uint64
18446744073709551615

job does not fit: t
by k
agg sum(u) as s
= error sum(u): the exact sum 18446744073709551616 does not fit uint64 for key (1)
"
n603_sums_of_decimals_have_38_digits "
table t
k:int8 d:decimal(38,2)
0 999999999999999999999999999999999999.98
0 0.01
1 999999999999999999999999999999999999.99
1 0.01

job fits: t
where k = 0
agg sum(d) as s
= rows
s:decimal(38,2)
999999999999999999999999999999999999.99

job does not fit: t
by k
agg sum(d) as s
= error sum(d): the exact sum 1000000000000000000000000000000000000.00 does not fit decimal(38,2) for key (1)
"
n604_only_the_final_sum_must_fit "
table t
x:int64
9223372036854775807
1
-1
9223372036854775807
-9223372036854775807

job a: t
agg sum(x) as s
= rows
s:int64
9223372036854775807
"
n606_the_error_names_column_and_key "
table t
k:string d:date x:int64
a 2024-02-29 9223372036854775807
a 2024-02-29 1
null null 1

job a: t
by k, d
agg sum(x) as total
= error sum(x): the exact sum 9223372036854775808 does not fit int64 for key (a, 2024-02-29)

job a null key: t
by nullif(k, 'a') as k
agg sum(x) as total
= error for key (null)
"
n701_floats_have_one_order "
table t
x:float64
NaN
0
inf
-0.0
-1
-inf
1

job a: t
agg min(x) as low
agg max(x) as high
agg quantile(x, 1/6) as second
agg quantile(x, 5/6) as sixth
agg median(x) as middle
= rows
low:float64 high:float64 second:float64 sixth:float64 middle:float64
-inf NaN -1 inf 0
"
n702_max_is_nan_if_any_is "
table t
x:float64
inf
NaN
null

job a: t
agg max(x) as m
= rows
m:float64
NaN
"
n703_min_is_nan_only_if_all_are "
table t
k:string x:float64
a NaN
a inf
b NaN
b null

job a: t
by k
agg min(x) as m
= rows
k:string m:float64
a inf
b NaN
"
n704_the_zeros_have_an_order "
table t
x:float64
0
-0.0
0

job a: t
agg min(x) as low
agg max(x) as high
= rows
low:float64 high:float64
-0.0 0.0
"
n705_any_value_is_the_minimum "
table t
x:float64 s:string
2 b
1 a
null null

job a: t
agg any_value(x) as x
agg any_value(s) as s
= rows
x:float64 s:string
1 a
"
n706_a_quantile_reads_at_a_float_product "
table t
i:int64 x:float64
0 0
1 1
2 2
3 3
4 4
5 5
6 6
7 7
8 8
9 9
10 inf

job a: t
agg quantile(i, 0.1) as a
agg quantile(x, 0.9) as b
agg median(x) as c
agg quantile(x, 0.25) as d
= rows
a:float64 b:float64 c:float64 d:float64
1 9 5 2.5
"
n801_the_zeros_are_one_key "
table t
k:float64
-0.0
0

job a: t
by k
agg count() as n
= rows
k:float64 n:int64
0.0 2
"
n802_nans_are_one_key_after_infinity "
table t
k:float32
NaN
inf
NaN
-inf

job a: t
by k
agg count() as n
= rows
k:float32 n:int64
-inf 1
inf 1
NaN 2

job made by arithmetic: t
by k - k as k
agg count() as n
= rows
k:float64 n:int64
NaN 4
"
n803_distinct_zeros_and_nans "
table t
x:float64
-0.0
0
NaN
NaN
1

job a: t
agg count_distinct(x) as d
agg count_distinct(sqrt(-1 - abs(x))) as one
= rows
d:int64 one:int64
3 1
"
n804_lists_have_the_order_of_keys "
table t
x:float64
-0.0
NaN
inf
-inf
0

job a: t
agg top_k(x, 3) as t
agg bottom_k(x, 9) as b
= rows
t:list(float64) b:list(float64)
[NaN,inf,0.0] [-inf,0.0,0.0,inf,NaN]
"
n805_bools_skip_nulls "
table t
k:string b:bool
a true
a null
b false
b null
c null

job a: t
by k
agg bool_and(b) as every
agg bool_or(b) as any
= rows
k:string every:bool any:bool
a true true
b false false
c null null
"
n806_groups_come_in_key_order "
table t
b:bool s:string
true b
null a
false é
true null
false Z
true ''
false a

job a: t
by b, s
= rows
b:bool s:string
false Z
false a
false é
true ''
true b
true null
null a
"
n901_float_arithmetic_is_ieee_and_never_fused "
table t
x:float64 y:float64 z:float64
1.0000000000000002 1.0000000000000002 -1.0000000000000004
5e-324 0.5 0
0.1 3 -0.3
2.2250738585072014e-308 0.5 0

job a: t
by x
agg sum(x * y + z) as s
agg sum(sqrt(y)) as r
agg sum(cast(9007199254740993 as float64)) as c
= rows
x:float64 s:float64 r:float64 c:float64
5e-324 0.0 0.7071067811865476 9007199254740992
2.2250738585072014e-308 1.1125369292536007e-308 0.7071067811865476 9007199254740992
0.1 5.551115123125783e-17 1.7320508075688772 9007199254740992
1.0000000000000002 0.0 1 9007199254740992
"
n902_overflow_is_an_error_of_its_row "
table t
x:int64 d:decimal(38,0)
1 1
9223372036854775807 99999999999999999999999999999999999999

job integers: t
agg max(x + 1) as m
= error row 2: 9223372036854775807 + 1 overflows int64

job decimals: t
agg max(d + 1) as m
= error row 2: 

job products: t
agg max(x * 2) as m
= error row 2: 

job negation: t
agg max(-(x * -1 - 1)) as m
= error row 2: 

job tried: t
agg max(try(x + 1)) as m
agg count(try(d + 1)) as n
= rows
m:int64 n:int64
2 1
"
n903_division_by_zero_is_an_error_for_every_type "
table t
i:int64 x:float64 d:decimal(5,2) u:uint64
1 1 1 1
0 -0.0 0 0

job floats: t
agg max(1 / x) as m
= error row 2: 

job integers: t
agg max(1 // i) as m
= error row 2: 1 // 0 divides by zero

job integers to floats: t
agg max(1 / i) as m
= error row 2: 

job decimals: t
agg max(1 // d) as m
= error row 2: 

job wide integers: t
agg max(7 % u) as m
= error row 2: 

job remainders: t
agg max(5 % x) as m
= error row 2: 

job remainders of integers: t
agg max(5 % i) as m
= error row 2: 
"
n904_division_gives_a_float64 "
table t
i:int64 d:decimal(5,2) u:uint64
9007199254740993 0.10 18446744073709551615
-7 -3.00 3

job a: t
agg max(i / 1) as a
agg min(i / 2) as b
agg max(d / d) as c
agg max(u / 1) as e
agg min(d / 3) as f
= rows
a:float64 b:float64 c:float64 e:float64 f:float64
9007199254740992 -3.5 1 18446744073709552000 -1
"
n905_comparisons_have_one_order "
table t
x:float64 y:float64
-0.0 0
NaN NaN
NaN inf
1 NaN

job a: t
by x = y as equal, x < y as less, x > y as greater
agg count() as n
= rows
equal:bool less:bool greater:bool n:int64
false false true 1
false true false 1
true false false 2
"
n906_an_error_nobody_needs_is_none "
table t
x:int64
0
1

job a: t
agg count(false and 1 // x > 0) as a
agg bool_or(x = 0 or 1 // x > 0) as b
agg sum(case when x = 0 then 7 else 1 // x end) as c
agg count(coalesce(x, 1 // 0)) as d
= rows
a:int64 b:bool c:int64 d:int64
2 true 8 2

job filtered: t
where x <> 0
agg max(1 // x) as m
= rows
m:int64
1
"
}
