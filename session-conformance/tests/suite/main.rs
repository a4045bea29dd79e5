//! The suite is tested as well: a provider that keeps the contract passes, and each broken one is
//! caught.

mod broken;
mod histories;
mod reference;
mod resent;
mod support;
