//! A model of the commit protocol.

mod histories;
