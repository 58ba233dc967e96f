//! Tests of the model as a whole: what a scheduler hears when this and that happens.

mod agents;
mod chaos;
mod executors;
mod harness;
mod launches;
mod offers;
mod operations;
mod operator;
mod sequences;
mod subscriptions;
mod updates;
