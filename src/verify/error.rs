use super::Judgement;

/// Why something is not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signatures do not suffice.
    #[error("refused: {}", .0.reason)]
    Refused(Box<Judgement>),
    /// The signed bytes cannot be read to their end.
    #[error("cannot read what was signed")]
    Read(#[from] std::io::Error),
}
