//! Whether two values mean the same, however they are written.

use super::tree::{Document, Kind, Member, Node, Scanner, decoded};

/// Whether two values mean the same: `1.5` and `1.50` do, `443` and `"443"` do not.
pub(super) fn same(one: &Document<'_>, a: &Node, other: &Document<'_>, b: &Node) -> bool {
    let (left, right) = (one.raw(a), other.raw(b));
    left == right || (same_kind(a, b) && canonical(left) == canonical(right))
}

/// Whether two values are both numbers, both strings and so on.
pub(super) fn same_kind(a: &Node, b: &Node) -> bool {
    std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind)
}

fn canonical(raw: &str) -> String {
    let mut out = String::new();
    let node = Scanner::new(raw, 0).value();
    write(raw, &node, &mut out);
    out
}

fn write(text: &str, node: &Node, out: &mut String) {
    let raw = text.get(node.span.clone()).unwrap_or_default();
    match &node.kind {
        Kind::Word => out.push_str(raw),
        Kind::String => write_string(&decoded(raw), out),
        Kind::Number => out.push_str(&number(raw)),
        Kind::Array => {
            out.push('[');
            write_items(raw, out);
            out.push(']');
        }
        Kind::Object(object) => {
            let mut members: Vec<&Member> = object.members.iter().collect();
            members.sort_by(|a, b| a.name.cmp(&b.name));
            out.push('{');
            for member in members {
                write_string(&member.name, out);
                out.push(':');
                write(text, &member.value, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

fn write_items(array: &str, out: &mut String) {
    let mut scanner = Scanner::new(array, 1);
    loop {
        scanner.space();
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(b']') | None => break,
            Some(_) => {
                let before = scanner.at;
                let node = scanner.value();
                write(array, &node, out);
                out.push(',');
                if scanner.at == before {
                    break;
                }
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// The one spelling of a number: its digits without zeros at either end, and a power of ten. No
/// floating point, which takes large numbers for equal that are not.
fn number(raw: &str) -> String {
    let unsigned = raw.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let shift = i64::try_from(dropped).ok().zip(i64::try_from(fraction.len()).ok());
    let power = exponent
        .parse::<i64>()
        .ok()
        .zip(shift)
        .and_then(|(exponent, (dropped, fraction))| exponent.checked_add(dropped)?.checked_sub(fraction));
    let sign = if raw.starts_with('-') { "-" } else { "" };
    power.map_or_else(|| raw.to_owned(), |power| format!("{sign}{significant}e{power}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        let (one, other) = (format!("{{\"a\":{a}}}"), format!("{{\"a\":{b}}}"));
        let (one, other) = (Document::parse(&one).unwrap(), Document::parse(&other).unwrap());
        same(&one, one.value("a").unwrap(), &other, other.value("a").unwrap())
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        for (a, b) in [
            ("1.50", "1.5"),
            ("1", "1.0"),
            ("10", "1e1"),
            ("0.01", "1E-2"),
            ("-0", "0"),
            (r#""a\/b""#, r#""a/b""#),
            (r#""\u00e9""#, "\"\u{e9}\""),
            ("[1, 2]", "[1,\n2.0]"),
            (r#"[{"a":1,"b":[]}]"#, r#"[ {"b":[],"a":1} ]"#),
            ("{}", "{ }"),
        ] {
            assert!(equal(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_differs_is_not() {
        for (a, b) in [
            ("443", r#""443""#),
            ("true", r#""true""#),
            ("null", "false"),
            ("1", "-1"),
            ("1", "10"),
            ("9007199254740993", "9007199254740992"),
            ("18446744073709551617", "18446744073709551616"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[[1]]"),
            ("[]", "{}"),
            (r#"[{"a":1}]"#, r#"[{"A":1}]"#),
            (r#"["a,b"]"#, r#"["a","b"]"#),
        ] {
            assert!(!equal(a, b), "{a} {b}");
        }
    }
}
