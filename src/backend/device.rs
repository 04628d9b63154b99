//! The devices a caller can ask for.

use std::str::FromStr;

use crate::{Error, Result};

/// Where stages run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Device {
    /// The faster one, by rates measured on this machine. Never a software adapter.
    #[default]
    Auto,
    /// All cores.
    Cpu,
    /// The adapter of this number in `tidemill devices`; without a number the first, hardware before software.
    Gpu(Option<usize>),
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Device> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Device::Auto),
            None if text == "cpu" => Ok(Device::Cpu),
            None if text == "gpu" => Ok(Device::Gpu(None)),
            Some(("gpu", number)) if number.parse::<usize>().is_ok() => Ok(Device::Gpu(number.parse().ok())),
            _ => Err(Error::Usage {
                message: format!("unknown device '{text}'"),
                help: Some("auto, cpu, gpu, or gpu:N with N from 'tidemill devices'".into()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        assert_eq!("auto".parse::<Device>().unwrap(), Device::Auto);
        assert_eq!("gpu:2".parse::<Device>().unwrap(), Device::Gpu(Some(2)));
        assert!("gpu:x".parse::<Device>().is_err());
        assert!("tpu".parse::<Device>().is_err());
    }
}
