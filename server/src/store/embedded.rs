//! The default store: one file, written through `redb`.
//!
//! ```text
//! table "meta"      "format" -> the number of the format, refused when it is newer than FORMAT
//! table "records"   the text of a Key -> the Entry as JSON
//! ```
//!
//! A commit is one transaction that is synced to the disk. `redb` never overwrites committed pages, so a crash
//! at any point leaves either the state before the commit or the state after it. Only the birth of the file is
//! not atomic in `redb`: it is therefore made under another name and renamed when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use podium_core::record::{Entry, Key, Record};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{DataDir, Store, StoreError, key_of};

/// The format that this version writes. To be raised whenever an older version could not read the data, or
/// would misread it.
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");

/// Pages kept in memory: everything is read once, at the start, and afterwards only written.
const CACHE_BYTES: usize = 64 << 20;

/// Keeps the scheduler's state in one crash-safe file of a [`DataDir`].
#[derive(Debug)]
pub struct EmbeddedStore {
    database: Database,
    path: PathBuf,
}

impl EmbeddedStore {
    /// Opens the store of `folder`, or begins one.
    ///
    /// # Errors
    /// The file cannot be opened, is damaged, or is of a newer Podium.
    pub fn open(folder: &DataDir) -> Result<Self, StoreError> {
        let path = folder.store_file();
        if !path.exists() {
            give_birth(&path)?;
        }
        let database = open_database(&path)?;
        let store = Self { database, path };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.read_format().map_err(|error| self.damaged(&error))?;
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => {
                Err(StoreError::Newer { path: self.path.clone(), found, supported: FORMAT })
            }
            _ => Err(self.damaged(&"it does not say in which format it is")),
        }
    }

    fn read_format(&self) -> Result<Option<u64>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let meta = match transaction.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other?,
        };
        Ok(meta.get("format")?.map(|value| value.value()))
    }

    fn read_records(&self) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let records = transaction.open_table(RECORDS)?;
        let mut found = Vec::new();
        for entry in records.iter()? {
            let (key, value) = entry?;
            found.push((key.value().to_owned(), value.value().to_owned()));
        }
        Ok(found)
    }

    fn write(&self, changes: &[(Key, Option<Vec<u8>>)]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for (key, value) in changes {
                let key = key.to_string();
                match value {
                    Some(value) => records.insert(key.as_str(), value.as_slice())?,
                    None => records.remove(key.as_str())?,
                };
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn damaged(&self, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }
}

impl Store for EmbeddedStore {
    fn load(&mut self) -> Result<Vec<Entry>, StoreError> {
        let records = self.read_records().map_err(|error| self.damaged(&error))?;
        let decode = |(key, value): (String, Vec<u8>)| {
            let entry = serde_json::from_slice::<Entry>(&value).map_err(|error| error.to_string());
            match entry {
                Ok(entry) if entry.key().to_string() == key => Ok(entry),
                Ok(entry) => Err((key, format!("it holds '{}'", entry.key()))),
                Err(reason) => Err((key, reason)),
            }
        };
        let unreadable = |(key, reason)| StoreError::Unreadable { path: self.path.clone(), key, reason };
        records.into_iter().map(|record| decode(record).map_err(unreadable)).collect()
    }

    fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let failed = |reason: String| StoreError::Write { path: self.path.clone(), reason };
        let encode = |record: &Record| {
            let value = match record {
                Record::Delete(_) => None,
                Record::Put(entry) => Some(serde_json::to_vec(entry)?),
            };
            Ok((key_of(record), value))
        };
        let changes: serde_json::Result<Vec<_>> = records.iter().map(encode).collect();
        let changes = changes.map_err(|error| failed(error.to_string()))?;
        self.write(&changes).map_err(|error| failed(error.to_string()))
    }
}

/// Makes an empty store that appears at `path` only when it is whole. The caller holds the folder's lock.
fn give_birth(path: &Path) -> Result<(), StoreError> {
    let io = |action| move |source| StoreError::Io { action, path: path.to_owned(), source };
    let unborn = path.with_extension("redb.new");
    match fs::remove_file(&unborn) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("create")(error)),
        _ => {}
    }
    let initialise = || -> Result<(), redb::Error> {
        let database = Database::create(&unborn)?;
        let transaction = database.begin_write()?;
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.open_table(RECORDS)?;
        transaction.commit()?;
        Ok(database.close()?)
    };
    initialise().map_err(|error| StoreError::Write { path: unborn.clone(), reason: error.to_string() })?;
    fs::rename(&unborn, path).map_err(io("create"))?;
    // The name itself must survive a crash of the machine.
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("create"))
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    // All of the file is read anyway, to load it; a damaged file shall be an error, not a panic.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.open(path).map_err(|error| match error {
        redb::DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData =>
        {
            StoreError::Io { action: "open", path: path.to_owned(), source }
        }
        other => StoreError::Damaged { path: path.to_owned(), reason: other.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use podium_core::model::ids::{FrameworkId, InstanceId, PodId, Uuid};
    use podium_core::model::time::Timestamp;
    use podium_core::record::Forgotten;

    use super::*;

    fn framework(id: &str) -> Entry {
        Entry::Framework(FrameworkId::new(id).into())
    }

    fn forgotten(number: u128) -> Entry {
        let instance = InstanceId { pod: PodId::new("/a/b"), uuid: Uuid::from_u128(number) };
        Entry::Forgotten(Forgotten { instance, since: Timestamp::from_millis(5), agent: None })
    }

    fn load(folder: &DataDir) -> BTreeMap<Key, Entry> {
        let mut store = EmbeddedStore::open(folder).unwrap();
        store.load().unwrap().into_iter().map(|entry| (entry.key(), entry)).collect()
    }

    #[test]
    fn the_newest_entry_of_each_key_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let mut store = EmbeddedStore::open(&folder).unwrap();
        assert_eq!(store.load().unwrap(), []);
        store.commit(&[Record::Put(framework("f-1")), Record::Put(forgotten(1))]).unwrap();
        store
            .commit(&[
                Record::Put(framework("f-2")),
                Record::Put(forgotten(2)),
                Record::Delete(forgotten(1).key()),
                Record::Delete(forgotten(3).key()),
            ])
            .unwrap();
        drop(store);
        let expected = [framework("f-2"), forgotten(2)];
        assert_eq!(load(&folder), expected.into_iter().map(|entry| (entry.key(), entry)).collect());
    }

    #[test]
    fn a_half_born_file_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        fs::write(folder.store_file().with_extension("redb.new"), [0; 100]).unwrap();
        assert_eq!(load(&folder), BTreeMap::new());
    }

    #[test]
    fn data_of_a_newer_podium_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let store = EmbeddedStore::open(&folder).unwrap();
        let transaction = store.database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", FORMAT + 1).unwrap();
        transaction.commit().unwrap();
        drop(store);
        let error = EmbeddedStore::open(&folder).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, supported: 1, .. }), "{error}");
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        for content in [&b""[..], b"something else entirely", &[0xff; 8192]] {
            fs::write(folder.store_file(), content).unwrap();
            let error = EmbeddedStore::open(&folder).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        }
        fs::remove_file(folder.store_file()).unwrap();
        Database::create(folder.store_file()).unwrap();
        let error = EmbeddedStore::open(&folder).unwrap_err();
        assert!(error.to_string().contains("does not say in which format"), "{error}");
    }

    #[test]
    fn a_record_that_makes_no_sense_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let mut store = EmbeddedStore::open(&folder).unwrap();
        for value in [&b"{"[..], br#"{"type":"framework","id":"f"}"#] {
            let transaction = store.database.begin_write().unwrap();
            transaction.open_table(RECORDS).unwrap().insert("pod /a", value).unwrap();
            transaction.commit().unwrap();
            let error = store.load().unwrap_err();
            assert!(matches!(&error, StoreError::Unreadable { key, .. } if key == "pod /a"), "{error}");
        }
    }

    #[test]
    fn a_flipped_bit_is_an_error_and_no_panic() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let mut store = EmbeddedStore::open(&folder).unwrap();
        store.commit(&[Record::Put(framework("a-very-recognisable-id"))]).unwrap();
        drop(store);
        let mut bytes = fs::read(folder.store_file()).unwrap();
        let needle = b"a-very-recognisable-id";
        let positions: Vec<_> =
            (0..bytes.len() - needle.len()).filter(|&at| bytes[at..].starts_with(needle)).collect();
        assert!(!positions.is_empty());
        for at in positions {
            bytes[at] ^= 1;
        }
        fs::write(folder.store_file(), bytes).unwrap();
        let error = EmbeddedStore::open(&folder).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
