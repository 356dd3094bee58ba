/// How many letters have to be added, left out, or exchanged for others to make one text of the other
/// (Levenshtein); `None` when more than `most`.
#[must_use]
pub fn edits(left: &str, right: &str, most: usize) -> Option<usize> {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, a) in (1..).zip(&left) {
        let mut next = vec![number];
        for ((b, diagonal), above) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let before = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(a != b)).min(above + 1).min(before + 1));
        }
        if next.iter().all(|edits| *edits > most) {
            return None;
        }
        row = next;
    }
    row.last().copied().filter(|edits| *edits <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edits_are_counted() {
        for (left, right, wanted) in [
            ("", "", Some(0)),
            ("port", "port", Some(0)),
            ("prot", "port", Some(2)),
            ("port", "ports", Some(1)),
            ("kitten", "sitting", Some(3)),
            ("kitten", "sitting!", None),
            ("", "abcd", None),
        ] {
            assert_eq!(edits(left, right, 3), wanted, "{left} {right}");
            assert_eq!(edits(right, left, 3), wanted, "{right} {left}");
        }
        assert_eq!(edits("kitten", "sitting", 2), None);
    }

    proptest! {
        /// The limit takes nothing away that is within it.
        #[test]
        fn the_limit_only_cuts_off(left in "[abc]{0,6}", right in "[abc]{0,6}", most in 0usize..7) {
            let all = edits(&left, &right, 12).unwrap();
            prop_assert_eq!(edits(&left, &right, most), (all <= most).then_some(all));
        }
    }
}
