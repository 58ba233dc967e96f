//! Brings artifacts into the sandbox (`CommandInfo.uris`), as Mesos' fetcher does.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_core::model::mesos::Uri;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::archive::Archive;
use super::volumes::relative;

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
    client: Result<reqwest::Client, reqwest::Error>,
}

impl Fetcher {
    pub(super) fn new() -> Self {
        // Somebody else may have chosen already; then theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || reqwest::Client::builder().connect_timeout(STALL).read_timeout(STALL);
        // A machine without certificates can fetch over http; over https nothing will be trusted.
        Self { client: builder().build().or_else(|_| builder().tls_certs_only([]).build()) }
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
            Source::Http(url) => {
                let client = self.client.as_ref().map_err(chain)?;
                let response = client.get(*url).send().await.map_err(|error| chain(&error))?;
                let mut response = response.error_for_status().map_err(|error| match error.status() {
                    Some(status) => format!("the server answered {status}"),
                    None => chain(&error),
                })?;
                let mut file = fs::File::create(target).await.map_err(say("writing"))?;
                while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
                    file.write_all(&chunk).await.map_err(say("writing"))?;
                }
                file.flush().await.map_err(say("writing"))
            }
        }
    }
}

fn say(what: &'static str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// The error with its causes; reqwest's own text hides them.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
