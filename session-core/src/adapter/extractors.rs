//! The types of an adapter's extractors. Every adapter declares its own, because a crate can
//! implement the extractor traits of a framework for its own types only.

/// Declares the types `Session` and `LazySession` of an adapter. The adapter adds their
/// documentation and the extractor traits of its framework; a `Session` is built from a
/// [`Loaded`](crate::adapter::Loaded), a `LazySession` of an open [`Slot`](crate::adapter::Slot).
#[doc(hidden)]
#[macro_export]
macro_rules! __adapter_extractors {
    ($(#[$session:meta])* pub struct Session; $(#[$lazy:meta])* pub struct LazySession;) => {
        $(#[$session])*
        pub struct Session<M = $crate::adapter::Main>($crate::adapter::Loaded<M>);

        impl<M> ::std::clone::Clone for Session<M> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<M> Session<M> {
            /// Returns the core's session, for code that keeps it. A panic that drops it no longer
            /// fails this request.
            pub fn into_inner(self) -> $crate::Session {
                $crate::Session::clone(&self)
            }
        }

        impl<M> ::std::ops::Deref for Session<M> {
            type Target = $crate::Session;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<M> ::std::convert::From<Session<M>> for $crate::Session {
            fn from(session: Session<M>) -> Self {
                session.into_inner()
            }
        }

        impl<M> ::std::fmt::Debug for Session<M> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }

        $(#[$lazy])*
        pub struct LazySession<M = $crate::adapter::Main>($crate::adapter::Slot<M>);

        impl<M> ::std::clone::Clone for LazySession<M> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<M: 'static> LazySession<M> {
            /// Returns the session; the first call loads it. One round trip, none for a client
            /// without a well-formed token.
            pub async fn session(&self) -> $crate::Result<Session<M>> {
                ::std::result::Result::Ok(Session(self.0.load().await?))
            }

            /// Ends the session that the client presents without loading it: a logout in one round
            /// trip. Returns `Ok` also when there was none. The response removes the cookie when
            /// there was one to end.
            pub async fn destroy(&self) -> $crate::Result<()> {
                self.0.request().destroy().await
            }

            /// Returns the manager, to reopen the session in a task that outlives the request.
            pub fn manager(&self) -> &$crate::Manager {
                self.0.request().manager()
            }
        }

        impl<M> ::std::fmt::Debug for LazySession<M> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_tuple("LazySession").field(self.0.request()).finish()
            }
        }
    };
}

/// Declares the type `Flashes` of an adapter: the messages, and the scope as `PhantomData`.
#[doc(hidden)]
#[macro_export]
macro_rules! __adapter_flashes {
    ($(#[$flashes:meta])* pub struct Flashes;) => {
        $(#[$flashes])*
        pub struct Flashes<T = ::std::string::String, M = $crate::adapter::Main>(
            ::std::vec::Vec<$crate::flash::Flash<T>>,
            ::std::marker::PhantomData<fn() -> M>,
        );

        impl<T, M> Flashes<T, M> {
            /// Returns the messages, oldest first.
            pub fn into_inner(self) -> ::std::vec::Vec<$crate::flash::Flash<T>> {
                self.0
            }
        }

        impl<T, M> ::std::ops::Deref for Flashes<T, M> {
            type Target = [$crate::flash::Flash<T>];

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<T, M> ::std::iter::IntoIterator for Flashes<T, M> {
            type Item = $crate::flash::Flash<T>;
            type IntoIter = ::std::vec::IntoIter<Self::Item>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.into_iter()
            }
        }

        impl<'a, T, M> ::std::iter::IntoIterator for &'a Flashes<T, M> {
            type Item = &'a $crate::flash::Flash<T>;
            type IntoIter = ::std::slice::Iter<'a, $crate::flash::Flash<T>>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }

        impl<T: ::std::fmt::Debug, M> ::std::fmt::Debug for Flashes<T, M> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_list().entries(&self.0).finish()
            }
        }
    };
}
