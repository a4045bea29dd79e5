//! Tests of the suite: a provider that keeps the contract passes, and each broken one is detected.

mod broken;
mod histories;
mod reference;
mod resent;
mod support;
