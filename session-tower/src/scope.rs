//! Several managers in one application.

/// The scope of a layer and of its extractors unless another one is named; see
/// [`SessionLayer::scope`](crate::SessionLayer::scope).
#[derive(Debug, Clone, Copy)]
pub enum Main {}
