//! Certificates on a whole machine: the documented procedure, step by step, and what goes wrong.
