//! The suite passes on a provider that keeps the contract, in each form that the contract allows.

use crate::support::{Example, Kind};

mod on_the_cores_clock {
    use super::*;
    session_conformance::suite!(Example::of(Kind::default()));
    session_conformance::histories!(Example::of(Kind::default()));
}

mod on_a_clock_of_its_own_sliding {
    use super::*;
    session_conformance::suite!(Example::of(Kind { slides: true, real_clock: true, ..Kind::default() }));
    session_conformance::histories!(Example::of(Kind { slides: true, real_clock: true, ..Kind::default() }));
}

mod with_a_compare_token_that_every_read_changes {
    use super::*;
    session_conformance::suite!(Example::of(Kind { cas: true, ..Kind::default() }));
    session_conformance::histories!(Example::of(Kind { cas: true, ..Kind::default() }));
}

mod with_a_compare_token_alone {
    use super::*;
    session_conformance::suite!(Example::of(Kind { cas_only: true, ..Kind::default() }));
    session_conformance::histories!(Example::of(Kind { cas_only: true, ..Kind::default() }));
}
