//! Admission seen from outside: what is refused and how it is said, what is accepted and what becomes of it.

mod accepted;
mod documents;
mod properties;
mod refused;
mod rules;
mod sample;
