use super::Signer;

/// A value that was made from signed bytes alone. Only this room makes one.
#[derive(Debug)]
pub struct Verified<T> {
    value: T,
    signers: Vec<Signer>,
}

impl<T> Verified<T> {
    /// Only called with a judgement that accepts.
    pub(super) fn new(value: T, signers: Vec<Signer>) -> Self {
        Self { value, signers }
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The different certificates that signed it.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The value and its signers; from here on the caller answers for it.
    #[must_use]
    pub fn into_parts(self) -> (T, Vec<Signer>) {
        (self.value, self.signers)
    }

    /// What `f` makes of the value, which is verified as well.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Verified<U> {
        Verified { value: f(self.value), signers: self.signers }
    }

    /// What `f` makes of the value, which is verified as well, or its error.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        Ok(Verified { value: f(self.value)?, signers: self.signers })
    }
}
