//! How the groups of a batch are found, and the options that bear on it.

use super::device::Options;

/// How rows find their groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// By the bits in which the batch's keys differ: none, few, or many.
    #[default]
    Auto,
    /// Sort by key, then reduce the runs of equal keys.
    Sort,
    /// A cell for every key there could be, without a sort; keys of more than [`Strategy::MOST_DIRECT_BITS`] bits are
    /// sorted all the same.
    Direct,
}

impl Strategy {
    /// With [`Strategy::Auto`], keys of at most this many bits get a cell each: as many sums as one workgroup's memory
    /// holds, so the rows are read once.
    pub const DIRECT_BITS: u32 = 10;
    /// Cells of more bits than this would be too many to read back, whoever asks for them.
    pub const MOST_DIRECT_BITS: u32 = 14;

    /// What to do with keys that differ in `bits` bits.
    pub fn choose(self, bits: u32) -> Chosen {
        match self {
            Strategy::Auto if bits == 0 => Chosen::One,
            Strategy::Auto if bits <= Self::DIRECT_BITS => Chosen::Direct,
            Strategy::Direct if bits <= Self::MOST_DIRECT_BITS => Chosen::Direct,
            _ => Chosen::Sort,
        }
    }

    /// The rule in words, for explanations.
    pub fn rule(self) -> String {
        match self {
            Strategy::Auto => format!(
                "by the bits in which a batch's keys differ: 0: one group; 1 to {}: a cell for every key there could be; \
                 more: radix sort, 8 bits a pass, and reduction of the runs",
                Self::DIRECT_BITS
            ),
            Strategy::Sort => "radix sort, 8 bits a pass, and reduction of the runs, as asked for".into(),
            Strategy::Direct => format!(
                "a cell for every key there could be, as asked for; radix sort for keys of more than {} bits",
                Self::MOST_DIRECT_BITS
            ),
        }
    }
}

/// What a batch's keys decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chosen {
    /// All rows have one key.
    One,
    /// A cell for every key.
    Direct,
    /// By sort.
    Sort,
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Chosen::One => "one group",
            Chosen::Direct => "direct",
            Chosen::Sort => "sort",
        })
    }
}

/// How the GPU backend runs.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// How the device is opened, and which faults are injected.
    pub device: Options,
    /// How groups are found.
    pub strategy: Strategy,
    /// The most rows of one batch; `None`: as many as fit the device.
    pub rows: Option<usize>,
    /// Bytes of device memory to use; `None`: [`GpuOptions::MEMORY`].
    pub memory: Option<u64>,
}

impl GpuOptions {
    /// Device memory used unless the options say otherwise: two batches of 64 to 128 MiB of input with all that is made
    /// of them.
    pub const MEMORY: u64 = 1 << 30;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_choose_unless_a_strategy_is_forced() {
        let auto = |bits| Strategy::Auto.choose(bits);
        assert_eq!([0, 1, 10, 11, 200].map(auto), {
            use Chosen::*;
            [One, Direct, Direct, Sort, Sort]
        });
        assert_eq!(Strategy::Sort.choose(0), Chosen::Sort);
        assert_eq!(Strategy::Direct.choose(0), Chosen::Direct);
        assert_eq!(Strategy::Direct.choose(14), Chosen::Direct);
        assert_eq!(Strategy::Direct.choose(15), Chosen::Sort);
    }
}
