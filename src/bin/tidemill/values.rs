//! What the texts of single options mean: sizes, delimiters, schemas, lists of null texts.

use tidemill::{Error, Result, Type};

fn usage(message: String, help: &str) -> Error {
    Error::Usage { message, help: Some(help.into()) }
}

/// Bytes: `4096`, `512K`, `64MB`, `1MiB`. K, M, G and KiB, MiB, GiB are powers of 1024; kB, MB, GB of 1000.
pub fn size(text: &str) -> Result<usize> {
    let wrong = || usage(format!("'{text}' is not a size"), "sizes are like 65536, 512K, 64MB or 1MiB, and at least 1");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        // Halves of a unit are worth having; a float that large is not exact, nor need it be.
        Err(_) => number.parse().ok().map(|n: f64| n * factor as f64).filter(|&n| n < 1e18).map(|n| n as u64),
    };
    bytes.filter(|&b| b > 0).and_then(|b| usize::try_from(b).ok()).ok_or_else(wrong)
}

/// Counts between commas, ascending and without repetition: `10000`, `100k`, `2M`, `1e6`.
pub fn counts(text: &str) -> Result<Vec<u64>> {
    let wrong = |part: &str| {
        usage(format!("'{part}' is not a count"), "counts are like 10000, 100k, 2M or 1e6, and at least 1")
    };
    let count = |part: &str| {
        let part = part.trim();
        let (number, factor) = match part.char_indices().last() {
            Some((at, 'k' | 'K')) => (&part[..at], 1e3),
            Some((at, 'm' | 'M')) => (&part[..at], 1e6),
            Some((at, 'g' | 'G')) => (&part[..at], 1e9),
            _ => (part, 1.0),
        };
        // `inf`, `nan` and signs are floats too, but no counts.
        let digits = number.starts_with(|c: char| c.is_ascii_digit());
        let value = number.parse::<f64>().ok().filter(|_| digits).map(|value| value * factor);
        value.filter(|v| v.fract() == 0.0 && (1.0..=1e12).contains(v)).map(|v| v as u64).ok_or_else(|| wrong(part))
    };
    let mut all = text.split(',').map(count).collect::<Result<Vec<u64>>>()?;
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// One ASCII character; `\t` and `tab` are the tab.
pub fn delimiter(text: &str) -> Result<u8> {
    match (text, text.as_bytes()) {
        ("\\t" | "tab" | "TAB", _) => Ok(b'\t'),
        (_, [byte]) => Ok(*byte),
        _ => Err(usage(
            format!("'{text}' is not a delimiter"),
            "it is one ASCII character; write \\t or tab for the tab",
        )),
    }
}

/// The texts that mean null, between commas; what is between two commas, or before the first, may be the empty text.
pub fn null_values(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// `col:type,…`. A name with a comma or colon in it stands in double quotes.
pub fn schema(text: &str) -> Result<Vec<(String, Type)>> {
    const HELP: &str = "write --schema 'carrier:string,fare:decimal(10,2)'";
    let mut columns: Vec<(String, Type)> = Vec::new();
    for part in split(text, ',') {
        let pieces = split(part, ':');
        let [name, ty] = pieces[..] else {
            return Err(usage(format!("'{}' in --schema is not NAME:TYPE", part.trim()), HELP));
        };
        let name = match name.trim().strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => name.trim().to_owned(),
        };
        if name.is_empty() {
            return Err(usage(format!("'{}' in --schema has no column name", part.trim()), HELP));
        }
        columns.push((name, ty.parse()?));
    }
    Ok(columns)
}

/// Splits at `at`, but not inside quotes or parentheses.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0usize, false);
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ if c == at && !quoted && depth == 0 => {
                parts.push(&text[start..i]);
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("1", 1),
            ("65536", 65_536),
            ("512K", 512 << 10),
            ("1MiB", 1 << 20),
            ("64MB", 64_000_000),
            ("64 mb", 64_000_000),
            ("1.5MiB", 3 << 19),
            ("2g", 2 << 30),
        ] {
            assert_eq!(size(text).unwrap(), want, "{text}");
        }
        for text in ["", "0", "-1", "x", "1TB", "1..5M", "MiB", "99999999999999999999G", "1e3"] {
            assert!(matches!(size(text), Err(Error::Usage { .. })), "{text}");
        }
    }

    #[test]
    fn lists_of_counts() {
        assert_eq!(counts("1e6, 10000,100k,1M,2.5k,7").unwrap(), [7, 2_500, 10_000, 100_000, 1_000_000]);
        for text in ["", "0", "-1", "1,,2", "x", "1.5", "inf", "nan", "1e13", "k", "1 k k"] {
            assert!(matches!(counts(text), Err(Error::Usage { .. })), "{text}");
        }
    }

    #[test]
    fn delimiters() {
        for (text, want) in [(",", b','), ("\\t", b'\t'), ("tab", b'\t'), ("\t", b'\t'), ("|", b'|')] {
            assert_eq!(delimiter(text).unwrap(), want);
        }
        for text in ["", ",,", "é", "space"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn schemas_know_types_with_commas_and_names_with_anything() {
        let decimal = Type::Decimal { precision: 10, scale: 2 };
        assert_eq!(
            schema(r#"a:int32, fare : decimal(10,2),"x,y:z":date,"a""b":str"#).unwrap(),
            [
                ("a".into(), Type::Int32),
                ("fare".into(), decimal),
                ("x,y:z".into(), Type::Date),
                ("a\"b".into(), Type::Str)
            ]
        );
        for text in ["", "a", "a:", ":int32", "a:int32,", "a:b:int32", "a:blob"] {
            assert!(matches!(schema(text), Err(Error::Usage { .. })), "{text}");
        }
    }

    #[test]
    fn null_texts() {
        assert_eq!(null_values(",NA,-"), ["", "NA", "-"]);
        assert_eq!(null_values(""), [""]);
    }
}
