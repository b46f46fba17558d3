//! The rules, one file each by what they are about.

pub mod allowances;
pub mod arrows;
pub mod core;
pub mod names;
pub mod opening;
pub mod size;
pub mod traces;
pub mod waiting;
