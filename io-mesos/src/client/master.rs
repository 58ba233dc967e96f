//! Which master to ask.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Authority;

/// The scheduler endpoint's path on a master.
const PATH: &str = "/api/v1/scheduler";

const DEFAULT_PORT: u16 = 5050;

/// The scheduler endpoint of one master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    authority: Authority,
    path: String,
}

/// A text does not name a master in a way that this client can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' does not name a master: {rule}")]
pub struct InvalidEndpoint {
    /// The text.
    pub text: String,
    /// What would do.
    pub rule: &'static str,
}

impl Endpoint {
    /// The endpoint on a master, from `host` or `host:port` (default 5050).
    ///
    /// # Errors
    /// Neither of these.
    pub fn new(host_and_port: &str) -> Result<Self, InvalidEndpoint> {
        Self::parse(host_and_port, PATH)
    }

    /// Where a `Location` header of this endpoint points: an absolute URL, one without scheme (Mesos' own
    /// way), a bare `host:port`, each with or without path, or a path.
    ///
    /// # Errors
    /// None of these, or another scheme than `http`.
    pub fn redirected(&self, location: &str) -> Result<Self, InvalidEndpoint> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(Self { authority: self.authority.clone(), path: location.to_owned() });
        }
        let rest = strip_scheme(location)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        match rest.find(['/', '?']) {
            // Mesos' own `/redirect` names a master and no path.
            None => Self::new(rest),
            Some(at) if &rest[at..] == "/" => Self::new(&rest[..at]),
            Some(at) => Self::parse(&rest[..at], &rest[at..]),
        }
    }

    /// The URL to post to.
    pub(super) fn uri(&self) -> Result<Uri, InvalidEndpoint> {
        Uri::builder()
            .scheme("http")
            .authority(self.authority.clone())
            .path_and_query(self.path.as_str())
            .build()
            .map_err(|_| InvalidEndpoint { text: self.to_string(), rule: "the path is no URL's path" })
    }

    fn parse(host_and_port: &str, path: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint {
            text: host_and_port.to_owned(),
            rule: "expected host:port, such as master.example.com:5050",
        };
        let mut authority: Authority = host_and_port.parse().map_err(|_| invalid())?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(invalid());
        }
        if authority.port().is_none() {
            authority = format!("{authority}:{DEFAULT_PORT}").parse().map_err(|_| invalid())?;
        }
        authority.port_u16().ok_or_else(invalid)?;
        Ok(Self { authority, path: path.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// What follows the scheme, which must be `http` if there is one.
fn strip_scheme(text: &str) -> Result<&str, InvalidEndpoint> {
    match text.split_once("://") {
        None => Ok(text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok(rest),
        Some(_) => Err(InvalidEndpoint { text: text.to_owned(), rule: "only http:// is supported" }),
    }
}

/// Nobody knows which master to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no master was detected: {0}")]
pub struct DetectError(pub String);

/// Finds a master to ask. It need not be the leader: a master that follows redirects to it.
pub trait MasterDetector: Send {
    /// The master to ask in the next attempt; waits until there is one. Called once per attempt, so that a
    /// detector which only guesses can guess anew. May be dropped before it is ready.
    fn detect(&mut self) -> Pin<Box<dyn Future<Output = Result<Endpoint, DetectError>> + Send + '_>>;
}

/// A fixed list of masters, asked in turn: `http://host:port[,host:port…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticMasters {
    masters: Vec<Endpoint>,
    next: usize,
}

impl FromStr for StaticMasters {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let list = strip_scheme(text)?.trim_end_matches('/');
        let masters = list.split(',').map(|master| Endpoint::new(master.trim())).collect::<Result<_, _>>()?;
        Ok(Self { masters, next: 0 })
    }
}

impl MasterDetector for StaticMasters {
    fn detect(&mut self) -> Pin<Box<dyn Future<Output = Result<Endpoint, DetectError>> + Send + '_>> {
        let master = self.masters[self.next % self.masters.len()].clone();
        self.next = self.next.wrapping_add(1);
        Box::pin(std::future::ready(Ok(master)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::new(text).unwrap()
    }

    #[tokio::test]
    async fn a_list_is_asked_in_turn() {
        for text in ["http://a:1,b:2", "HTTP://a:1, b:2/", "a:1,b:2"] {
            let mut masters: StaticMasters = text.parse().unwrap();
            for expected in ["a:1", "b:2", "a:1"] {
                assert_eq!(masters.detect().await, Ok(endpoint(expected)), "{text}");
            }
        }
        assert_eq!(endpoint("a").to_string(), "http://a:5050/api/v1/scheduler");
        assert_eq!(endpoint("[::1]:5051").to_string(), "http://[::1]:5051/api/v1/scheduler");
    }

    #[test]
    fn what_names_no_master_is_refused() {
        for text in [
            "",
            "http://",
            "http://a,,b",
            "zk://a:2181/mesos",
            "https://a:5050",
            "a:b",
            "a:70000",
            "u:p@a:5050",
        ] {
            assert!(text.parse::<StaticMasters>().is_err(), "{text}");
        }
        assert_eq!(
            "https://a:5050".parse::<StaticMasters>().unwrap_err().to_string(),
            "'https://a:5050' does not name a master: only http:// is supported"
        );
    }

    #[test]
    fn redirects_may_be_written_in_many_ways() {
        let here = endpoint("here:1");
        for (location, there) in [
            ("//there:2/master/api/v1/scheduler", "http://there:2/master/api/v1/scheduler"),
            ("http://there:2/api/v1/scheduler?x=1", "http://there:2/api/v1/scheduler?x=1"),
            ("//there:2", "http://there:2/api/v1/scheduler"),
            ("//there:2/", "http://there:2/api/v1/scheduler"),
            ("there:2", "http://there:2/api/v1/scheduler"),
            ("there:2/x", "http://there:2/x"),
            ("/master/x", "http://here:1/master/x"),
        ] {
            assert_eq!(here.redirected(location).unwrap().to_string(), there, "{location}");
        }
        for location in ["", "//", "https://there:2/x", "//:2/x"] {
            assert!(here.redirected(location).is_err(), "{location}");
        }
    }
}
