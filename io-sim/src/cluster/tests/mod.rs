//! Tests of the model as a whole: what a scheduler hears when this and that happens.

mod harness;
mod sequences;
