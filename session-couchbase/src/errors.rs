//! Classifies the SDK's errors.
//!
//! The SDK's error contains the document's key in its context, and the text of a kind may contain
//! anything, so only the name of the kind is kept as the source.

use couchbase::error::{Error as SdkError, ErrorKind as Sdk};
use session_core::{Error, ErrorKind};

/// The server's response to a command on one document.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// Done.
    Done(T),
    /// There is no such document.
    Absent,
    /// The document differs from the expected one.
    Differs,
}

impl<T> Answer<T> {
    pub(crate) fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Done(value) => Answer::Done(with(value)),
            Self::Absent => Answer::Absent,
            Self::Differs => Answer::Differs,
        }
    }
}

/// Separates responses from failures; `changes` says whether the command may have changed
/// something.
pub(crate) fn sort<T>(result: Result<T, SdkError>, changes: bool) -> Result<Answer<T>, Error> {
    match result {
        Ok(value) => Ok(Answer::Done(value)),
        Err(error) => match error.kind() {
            Sdk::DocumentNotFound => Ok(Answer::Absent),
            Sdk::DocumentExists | Sdk::CasMismatch => Ok(Answer::Differs),
            kind => Err(explain(kind, changes)),
        },
    }
}

pub(crate) fn explain(kind: &Sdk, changes: bool) -> Error {
    let lost = if changes { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
    let (ours, why) = match kind {
        Sdk::ValueTooLarge => (ErrorKind::TooLarge, "Couchbase's documents are limited to 20 MB"),
        Sdk::QuotaLimitedFailure => (ErrorKind::Full, "the scope has used up its quota"),
        // The server responded and did nothing.
        Sdk::TemporaryFailure | Sdk::RateLimitedFailure => {
            (ErrorKind::Unavailable, "the server is overloaded")
        }
        Sdk::DocumentLocked => (ErrorKind::Unavailable, "the document is locked"),
        Sdk::DurabilityWriteInProgress | Sdk::DurableWriteRecommitInProgress => {
            (ErrorKind::Unavailable, "another durable write to the document is in progress")
        }
        Sdk::DurabilityImpossible => {
            (ErrorKind::Unavailable, "too few of the bucket's replicas are up for the configured durability")
        }
        Sdk::DurabilityLevelNotAvailable => (
            ErrorKind::Config,
            "the bucket does not support the configured durability: use `durability=none`",
        ),
        Sdk::AuthenticationFailure => (ErrorKind::Config, "the user may not do this in the bucket"),
        Sdk::BucketNotFound | Sdk::ScopeNotFound | Sdk::CollectionNotFound => {
            (ErrorKind::Config, "the bucket, scope or collection does not exist")
        }
        Sdk::InvalidArgument(_) | Sdk::UnsupportedOperation | Sdk::FeatureNotAvailable(_) => {
            (ErrorKind::Config, "the server does not support the command")
        }
        Sdk::DurabilityAmbiguous => (ErrorKind::OutcomeUnknown, "the replicas did not confirm in time"),
        _ => (lost, "the response was lost"),
    };
    Error::new(ours, why).in_engine(crate::ENGINE).with_source(name(kind))
}

/// The same while connecting, where the SDK's text cannot contain a session id.
pub(crate) fn explain_connecting(kind: &Sdk) -> Error {
    explain(kind, false).with_source(kind.to_string())
}

/// `OtherFailure` of `OtherFailure("…")`.
fn name(kind: &Sdk) -> String {
    format!("{kind:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// A call that took too long.
pub(crate) fn late(changes: bool) -> Error {
    let kind = if changes { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
    Error::new(kind, "no response in time").in_engine(crate::ENGINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_means_that_nothing_was_changed() {
        for (sdk, reading, writing) in [
            (Sdk::TemporaryFailure, ErrorKind::Unavailable, ErrorKind::Unavailable),
            (Sdk::DocumentLocked, ErrorKind::Unavailable, ErrorKind::Unavailable),
            (Sdk::DurabilityImpossible, ErrorKind::Unavailable, ErrorKind::Unavailable),
            (Sdk::DurabilityAmbiguous, ErrorKind::OutcomeUnknown, ErrorKind::OutcomeUnknown),
            (Sdk::ServerTimeout, ErrorKind::Unavailable, ErrorKind::OutcomeUnknown),
            (Sdk::RequestCanceled, ErrorKind::Unavailable, ErrorKind::OutcomeUnknown),
            (Sdk::InternalServerFailure, ErrorKind::Unavailable, ErrorKind::OutcomeUnknown),
            (Sdk::OtherFailure("closed".into()), ErrorKind::Unavailable, ErrorKind::OutcomeUnknown),
            (Sdk::ClusterDropped, ErrorKind::Unavailable, ErrorKind::OutcomeUnknown),
            (Sdk::ValueTooLarge, ErrorKind::TooLarge, ErrorKind::TooLarge),
            (Sdk::QuotaLimitedFailure, ErrorKind::Full, ErrorKind::Full),
            (Sdk::AuthenticationFailure, ErrorKind::Config, ErrorKind::Config),
            (Sdk::CollectionNotFound, ErrorKind::Config, ErrorKind::Config),
        ] {
            assert_eq!(explain(&sdk, false).kind(), reading, "{sdk:?}");
            assert_eq!(explain(&sdk, true).kind(), writing, "{sdk:?}");
        }
    }

    #[test]
    fn a_missing_and_another_document_are_not_failures() {
        let sorted = |kind| sort::<()>(Err(SdkError::new(kind)), true).unwrap();
        assert!(matches!(sorted(Sdk::DocumentNotFound), Answer::Absent));
        assert!(matches!(sorted(Sdk::DocumentExists), Answer::Differs));
        assert!(matches!(sorted(Sdk::CasMismatch), Answer::Differs));
    }

    #[test]
    fn an_error_repeats_no_text_of_the_sdk_which_may_contain_a_key() {
        let error = explain(&Sdk::OtherFailure("no answer for session:1234abcd".into()), true);
        assert!(!format!("{error:?}").contains("1234abcd"), "{error:?}");
        assert!(format!("{error:?}").contains("OtherFailure"), "{error:?}");
    }
}
