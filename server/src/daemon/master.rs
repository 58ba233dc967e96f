//! Where the Mesos master is (`--master`).

use std::fmt;
use std::str::FromStr;

use podium_mesos::client::{InvalidEndpoint, StaticMasters};
use serde::Serialize;

/// Where the Mesos master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Master {
    /// In this process.
    Embedded,
    /// At one of some addresses; the others redirect to it or are down.
    At {
        /// As it was written.
        text: String,
        /// The addresses.
        masters: StaticMasters,
    },
}

/// The text does not say where a master is, or in a way that is not supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMaster {
    /// One of the addresses is none.
    #[error("{0}; expected \"embedded\" or http://HOST:PORT[,HOST:PORT]...")]
    Address(#[from] InvalidEndpoint),
    /// ZooKeeper.
    #[error(
        "finding the master through ZooKeeper is not supported yet; name the masters themselves: \
        http://HOST:PORT[,HOST:PORT]..."
    )]
    ZooKeeper,
}

impl FromStr for Master {
    type Err = InvalidMaster;

    fn from_str(text: &str) -> Result<Self, InvalidMaster> {
        match text {
            "embedded" => Ok(Self::Embedded),
            _ if text.starts_with("zk://") => Err(InvalidMaster::ZooKeeper),
            _ => Ok(Self::At { text: text.to_owned(), masters: text.parse()? }),
        }
    }
}

impl fmt::Display for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::At { text, .. } => f.write_str(text),
        }
    }
}

impl Serialize for Master {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_can_be_named_in_several_ways() {
        assert_eq!("embedded".parse(), Ok(Master::Embedded));
        for text in ["http://a:5050", "http://a.b:5050,10.0.0.1:5051", "a:5050", "http://[::1]:5050"] {
            assert!(matches!(text.parse(), Ok(Master::At { .. })), "{text}");
        }
        assert_eq!("zk://a:2181/mesos".parse::<Master>(), Err(InvalidMaster::ZooKeeper));
        for text in ["", "https://a:5050", "http://a:b", "http://u:p@a:1"] {
            assert!(matches!(text.parse::<Master>(), Err(InvalidMaster::Address(_))), "{text}");
        }
    }
}
