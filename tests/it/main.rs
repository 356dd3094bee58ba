//! Tests of whole programs, with the real tools around them.

mod reference_product;
