//! Paths: which group contains what.
//!
//! Pods and groups share one tree. `/` is the root group; `/shop/db` is a pod or a group in the group `/shop`.
//! Ids are canonical: no doubled or trailing slashes, so everything below `/shop` begins with `/shop/`, and in
//! the order of ids it comes in one piece.

use std::ops::{Bound, RangeBounds};

use super::ids::{GroupId, PathId};

/// `path` itself and every group that contains it, the root last.
pub fn with_ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rfind('/') {
        None => None,
        Some(0) => (path.len() > 1).then_some("/"),
        Some(end) => Some(&path[..end]),
    })
}

/// Everything strictly below `path`, as a range of ids.
pub fn below(path: &str) -> Below {
    let prefix = path.trim_end_matches('/');
    // No id ends in a slash, and `0` is the character after it.
    Below { after: format!("{prefix}/"), before: format!("{prefix}0") }
}

/// A range of ids: everything strictly below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    after: String,
    before: String,
}

impl RangeBounds<str> for Below {
    fn start_bound(&self) -> Bound<&str> {
        Bound::Excluded(&self.after)
    }

    fn end_bound(&self) -> Bound<&str> {
        Bound::Excluded(&self.before)
    }
}

impl PathId {
    /// Whether `path` is this path or below it.
    pub fn contains(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.as_str().trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl GroupId {
    /// The group that contains all others.
    pub fn root() -> Self {
        Self::new("/")
    }

    /// Whether this is the group that contains all others.
    pub fn is_root(&self) -> bool {
        self.as_str() == "/"
    }

    /// Whether this group is directly below the root.
    pub fn is_top_level(&self) -> bool {
        !self.is_root() && with_ancestors(self.as_str()).count() == 2
    }

    /// The group that contains this one directly; the root's is the root.
    pub fn parent(&self) -> Self {
        Self::new(with_ancestors(self.as_str()).nth(1).unwrap_or("/"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_path_knows_what_contains_it() {
        let up = |path| with_ancestors(path).collect::<Vec<_>>();
        assert_eq!(up("/a/b/c"), ["/a/b/c", "/a/b", "/a", "/"]);
        assert_eq!(up("/a"), ["/a", "/"]);
        assert_eq!(up("/"), ["/"]);
        assert_eq!(GroupId::from("/a/b").parent(), GroupId::from("/a"));
        assert_eq!(GroupId::from("/a").parent(), GroupId::root());
        assert!(GroupId::from("/a").is_top_level());
        assert!(!GroupId::from("/a/b").is_top_level());
        assert!(!GroupId::root().is_top_level());
    }

    #[test]
    fn what_is_below_a_path_comes_in_one_piece() {
        let ids = ["/", "/a", "/a-b", "/a.b", "/a/b", "/a/b/c", "/a/c", "/a0", "/b"];
        let set: BTreeSet<PathId> = ids.into_iter().map(PathId::from).collect();
        let found = |path: &str| set.range::<str, _>(below(path)).map(PathId::as_str).collect::<Vec<_>>();
        assert_eq!(found("/a"), ["/a/b", "/a/b/c", "/a/c"]);
        assert_eq!(found("/a/b/c"), [""; 0]);
        assert_eq!(found("/").len(), ids.len() - 1);
        for path in ids {
            let contained: Vec<&str> = ids.into_iter().filter(|id| PathId::from(path).contains(id)).collect();
            let mut expected = found(path);
            expected.insert(0, path);
            expected.sort_unstable();
            assert_eq!(contained, expected, "{path}");
        }
    }
}
