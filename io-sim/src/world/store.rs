//! What survives the scheduler's process.

use std::collections::BTreeMap;

use podium_core::{Entry, Key, Record};

use crate::random::Random;

/// The entries that are durable.
#[derive(Clone, Debug, Default)]
pub struct Store {
    entries: BTreeMap<Key, Entry>,
}

impl Store {
    /// Makes `records` durable.
    pub(super) fn apply(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            match record {
                Record::Delete(key) => {
                    self.entries.remove(&key);
                }
                Record::Put(entry) => {
                    self.entries.insert(entry.key(), entry);
                }
            }
        }
    }

    /// One entry.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// All entries, by key.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All entries, as a store without an order would give them back.
    pub(super) fn read_back(&self, random: &mut Random) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries.values().cloned().collect();
        random.shuffle(&mut entries);
        entries
    }
}
