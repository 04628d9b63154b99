//! The frame of every file of a checkpoint: one line of text that says what follows, how long it is, and its checksum.
//!
//! ```text
//! tidemill offsets 1 214 8d3c0a11
//! {"batch":7,…
//! ```
//! That is: the kind of file, the version of its format, the bytes that follow the line, and their CRC-32 (IEEE, of the line's
//! words before it as well, so that a changed line is found too).

/// Version of the format of all files of a checkpoint.
pub(crate) const VERSION: u32 = 1;

/// Frames a payload: the line before it.
pub(crate) fn head(kind: &str, payload: &[u8]) -> Vec<u8> {
    let words = format!("tidemill {kind} {VERSION} {}", payload.len());
    format!("{words} {:08x}\n", checksum(&words, payload)).into_bytes()
}

fn checksum(words: &str, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(words.as_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The payload of a framed file of this kind, or what is wrong with it.
pub(crate) fn open<'a>(kind: &str, bytes: &'a [u8]) -> Result<&'a [u8], String> {
    let end =
        bytes.iter().take(128).position(|&b| b == b'\n').ok_or("its first line is not that of a checkpoint file")?;
    let (line, payload) = (&bytes[..end], &bytes[end + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| "its first line is no text")?;
    let (words, sum) = line.rsplit_once(' ').ok_or("its first line is not that of a checkpoint file")?;
    let found: Vec<&str> = words.split(' ').collect();
    let ["tidemill", found, version, length] = found[..] else {
        return Err("its first line is not that of a checkpoint file".into());
    };
    if found == kind && version != VERSION.to_string() && version.parse::<u32>().is_ok() {
        return Err(format!("it is of version {version} of the format; this program reads version {VERSION}"));
    }
    match length.parse::<usize>() {
        Ok(length) if length > payload.len() => {
            return Err(format!("it is cut short: {} of {length} bytes are there", payload.len()));
        }
        Ok(length) if length == payload.len() => {}
        _ => return Err("it is longer than it says".into()),
    }
    if sum != format!("{:08x}", checksum(words, payload)) {
        return Err("its checksum is wrong".into());
    }
    // After the checksum: a file under another's name is whole, but not what it should be.
    if found != kind {
        return Err(format!("it is a file of {found}, not of {kind}"));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: &str, payload: &[u8]) -> Vec<u8> {
        [&head(kind, payload), payload].concat()
    }

    #[test]
    fn what_is_framed_is_opened() {
        for payload in [&b""[..], b"{}", &[0, 255, 10, 10]] {
            assert_eq!(open("offsets", &framed("offsets", payload)).unwrap(), payload);
        }
        let other = open("offsets", &framed("commits", b"{}")).unwrap_err();
        assert_eq!(other, "it is a file of commits, not of offsets");
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_found() {
        let whole = framed("state", b"some bytes of state");
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert!(open("state", &changed).is_err(), "bit {bit} of byte {at}");
            }
            assert!(open("state", &whole[..at]).is_err(), "cut to {at} bytes");
        }
        assert!(open("state", &[&whole[..], b"x"].concat()).unwrap_err().contains("longer"));
    }

    #[test]
    fn another_version_is_named() {
        let words = "tidemill state 2 0";
        let bytes = format!("{words} {:08x}\n", checksum(words, b""));
        assert!(open("state", bytes.as_bytes()).unwrap_err().contains("version 2"));
    }
}
