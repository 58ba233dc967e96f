//! Brings artifacts into the sandbox (`CommandInfo.uris`), as Mesos' fetcher does.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt;
use podium_core::model::mesos::Uri;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::archive::Archive;
use super::volumes::relative;
use super::web::{Trust, Web, causes};

/// A server that sends nothing for so long is given up.
const STALL: Duration = Duration::from_secs(60);

/// An artifact could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("Failed to fetch artifact '{uri}': {problem}")]
pub struct FetchError {
    /// The artifact.
    uri: String,
    /// What is wrong.
    problem: String,
}

/// Fetches artifacts.
#[derive(Debug)]
pub(super) struct Fetcher {
    web: Web,
}

impl Fetcher {
    pub(super) fn new() -> Self {
        Self { web: Web::new(Trust::Certified, Some(STALL)) }
    }

    /// Fetches all of them, in order.
    pub(super) async fn fetch(&self, uris: &[Uri], sandbox: &Path) -> Result<(), FetchError> {
        for uri in uris {
            self.fetch_one(uri, sandbox)
                .await
                .map_err(|problem| FetchError { uri: uri.value.clone(), problem })?;
        }
        Ok(())
    }

    async fn fetch_one(&self, uri: &Uri, sandbox: &Path) -> Result<(), String> {
        let source = Source::parse(&uri.value)?;
        let name = match &uri.output_file {
            Some(name) => relative(name).map_err(|problem| format!("destination: {problem}"))?,
            None => source.file_name()?.into(),
        };
        let target = sandbox.join(&name);
        self.bring(&source, &target).await?;
        if uri.executable {
            let mode = fs::metadata(&target).await.map_err(say("reading its mode"))?.permissions().mode();
            fs::set_permissions(&target, Permissions::from_mode(mode | 0o111))
                .await
                .map_err(say("making it executable"))?;
        } else if let Some(archive) = name.to_str().and_then(Archive::of).filter(|_| uri.extract) {
            let sandbox = sandbox.to_owned();
            tokio::task::spawn_blocking(move || archive.unpack(&target, &sandbox))
                .await
                .map_err(|error| format!("extracting: {error}"))?
                .map_err(say("extracting"))?;
        }
        Ok(())
    }

    async fn bring(&self, source: &Source<'_>, target: &Path) -> Result<(), String> {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).await.map_err(say("making its folder"))?;
        }
        match source {
            Source::File(path) => fs::copy(path, target).await.map(drop).map_err(say("copying")),
            Source::Http(url) => self.download(url, target).await,
        }
    }

    async fn download(&self, url: &str, target: &Path) -> Result<(), String> {
        let stalled = |_| format!("the server has sent nothing for {} s", STALL.as_secs());
        let response = timeout(STALL, self.web.get(url)).await.map_err(stalled)??;
        if !response.status().is_success() {
            return Err(format!("the server answered {}", response.status()));
        }
        let mut body = response.into_body();
        let mut file = fs::File::create(target).await.map_err(say("writing"))?;
        while let Some(frame) = timeout(STALL, body.frame()).await.map_err(stalled)? {
            if let Ok(data) = frame.map_err(|error| causes(&error))?.into_data() {
                file.write_all(&data).await.map_err(say("writing"))?;
            }
        }
        file.flush().await.map_err(say("writing"))
    }
}

fn say(what: &'static str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// Where an artifact comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    File(PathBuf),
    Http(&'a str),
}

impl<'a> Source<'a> {
    fn parse(uri: &'a str) -> Result<Self, String> {
        if uri.starts_with("http://") || uri.starts_with("https://") {
            return Ok(Self::Http(uri));
        }
        let path = Path::new(uri.strip_prefix("file://").unwrap_or(uri));
        if path.is_absolute() {
            Ok(Self::File(path.to_owned()))
        } else {
            Err("the embedded cluster fetches http://, https:// and file:// URIs and absolute paths"
                .to_owned())
        }
    }

    /// The last part of the path.
    fn file_name(&self) -> Result<String, String> {
        let name = match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Self::Http(url) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let path = path.split_once("://").map_or(path, |(_, rest)| rest);
                path.split_once('/')
                    .and_then(|(_, path)| path.rsplit('/').next())
                    .filter(|name| !matches!(*name, "" | "." | ".."))
                    .map(ToOwned::to_owned)
            }
        };
        name.ok_or_else(|| "it has no file name; give it a destPath".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_things_come_from() {
        assert_eq!(Source::parse("file:///a/b"), Ok(Source::File("/a/b".into())));
        assert_eq!(Source::parse("/a/b"), Ok(Source::File("/a/b".into())));
        assert_eq!(Source::parse("https://h/x"), Ok(Source::Http("https://h/x")));
        assert!(Source::parse("hdfs://x/y").is_err());
        assert!(Source::parse("relative").is_err());
    }

    #[test]
    fn names_what_has_no_name() {
        let name = |uri| Source::parse(uri).unwrap().file_name();
        assert_eq!(name("http://h/a/b.tgz?x=1/2#f"), Ok("b.tgz".to_owned()));
        assert_eq!(name("/a/b"), Ok("b".to_owned()));
        for uri in ["http://h", "http://h/", "http://h/a/..", "/"] {
            assert_eq!(name(uri), Err("it has no file name; give it a destPath".to_owned()), "{uri}");
        }
    }

    fn uri(value: String) -> Uri {
        Uri { value, executable: false, extract: true, cache: false, output_file: None }
    }

    #[tokio::test]
    async fn copies_files_and_makes_them_executable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script.tar");
        std::fs::write(&file, "not really an archive").unwrap();
        let sandbox = folder.path().join("sandbox");
        let artifact = Uri {
            executable: true,
            output_file: Some("bin/run.tar".to_owned()),
            ..uri(format!("file://{}", file.display()))
        };
        Fetcher::new().fetch(&[artifact], &sandbox).await.unwrap();
        let mode = sandbox.join("bin/run.tar").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
    }

    #[tokio::test]
    async fn says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let fetch =
            async |uri: Uri| Fetcher::new().fetch(&[uri], folder.path()).await.unwrap_err().to_string();
        assert_eq!(
            fetch(uri("/no/such/file".to_owned())).await,
            "Failed to fetch artifact '/no/such/file': copying: No such file or directory (os error 2)"
        );
        let escape = Uri { output_file: Some("../x".to_owned()), ..uri("/etc/hostname".to_owned()) };
        assert_eq!(
            fetch(escape).await,
            "Failed to fetch artifact '/etc/hostname': destination: path '../x' must be relative and must not contain \
             '..'"
        );
        assert!(fetch(uri("http://127.0.0.1:1/x".to_owned())).await.contains("Connection refused"));
    }
}
