//! What an audit found, as one HTML page: no script and nothing from elsewhere, to be kept and printed.

use std::fmt::Write as _;

use super::audit::{release, sections};
use crate::audit::{Finding, Outcome};
use crate::types::{counted, printable_line};
use crate::workflow::audit::{Audit, Audited};

/// How it looks: on a screen as on paper.
const STYLE: &str = include_str!("../../assets/audit.css");

/// A text as HTML shows it (HTML, 13.3 "Serializing"): nothing in it is markup, also in an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable_line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// An escaped text, with what stands between back quotes as code.
fn with_code(text: &str) -> String {
    let mut html = String::new();
    for (number, part) in escaped(text).split('`').enumerate() {
        let _ = if number % 2 == 1 { write!(html, "<code>{part}</code>") } else { write!(html, "{part}") };
    }
    html
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Manual => "manual",
        Outcome::NotApplicable => "none",
    }
}

/// The page.
#[must_use]
pub fn audit_page(audit: &Audit) -> String {
    let host = escaped(&audit.host);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Audit of {host}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    head(&mut html, audit, &host);
    for one in &audit.installations {
        installation(&mut html, one);
    }
    let _ = write!(
        html,
        "<footer>demisto-install {} &middot; {host} &middot; {}</footer>\n</body>\n</html>\n",
        audit.tool, audit.at
    );
    html
}

fn head(html: &mut String, audit: &Audit, host: &str) {
    let fails = audit.count(Outcome::Fail);
    let verdict = match fails {
        0 => "No requirement fails".to_owned(),
        _ => format!("{} not met", counted(fails, "requirement is", "requirements are")),
    };
    let _ = write!(
        html,
        "<header>\n<h1>Audit of {host}</h1>\n<p class=\"lead\">Cortex XSOAR against the Common Criteria Evaluated \
         Configuration Guide</p>\n<p class=\"verdict {}\">{verdict}</p>\n<dl class=\"facts\">\n",
        if fails == 0 { "pass" } else { "fail" }
    );
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(value));
    };
    fact("Host", &audit.host);
    fact("Time", &audit.at);
    fact("Profile", audit.profile);
    fact("Tool", &format!("demisto-install {}", audit.tool));
    for one in &audit.installations {
        fact("Installed", &release(one));
        one.signers.iter().for_each(|signer| fact("Signed by", signer));
    }
    html.push_str("</dl>\n<ul class=\"counts\">\n");
    for outcome in Outcome::ALL {
        let (class, word) = (class(outcome), outcome.word());
        let _ = writeln!(html, "<li class=\"{class}\"><b>{}</b> {word}</li>", audit.count(outcome));
    }
    html.push_str("</ul>\n</header>\n");
}

fn installation(html: &mut String, one: &Audited) {
    let _ = writeln!(html, "<main>\n<h2>{}</h2>", escaped(&release(one)));
    let urgent: Vec<&Finding> = one.findings.iter().filter(|f| f.outcome == Outcome::Fail).collect();
    if !urgent.is_empty() {
        html.push_str("<nav>\n<p>Not met:</p>\n<ul>\n");
        for finding in urgent {
            let _ = writeln!(html, "<li><code>{}</code> {}</li>", finding.id, escaped(finding.what));
        }
        html.push_str("</ul>\n</nav>\n");
    }
    for (section, findings) in sections(one) {
        let _ = writeln!(html, "<section>\n<h3>{}</h3>", escaped(section));
        findings.iter().for_each(|finding| self::finding(html, finding));
        html.push_str("</section>\n");
    }
    html.push_str("</main>\n");
}

fn finding(html: &mut String, finding: &Finding) {
    let (class, word) = (class(finding.outcome), finding.outcome.word());
    let _ = write!(
        html,
        "<article class=\"{class}\">\n<h4><span class=\"mark\">{word}</span> {} <code>{}</code></h4>\n\
         <ul class=\"evidence\">\n",
        escaped(finding.what),
        finding.id
    );
    for seen in &finding.evidence {
        let _ = writeln!(html, "<li>{}</li>", escaped(seen));
    }
    html.push_str("</ul>\n");
    if finding.outcome != Outcome::NotApplicable {
        let _ = writeln!(html, "<p class=\"why\"><b>Why:</b> {}</p>", escaped(finding.why));
    }
    for (name, text) in [("Fix", &finding.fix), ("By hand", &finding.by_hand)] {
        if let Some(text) = text {
            let _ = writeln!(html, "<p class=\"fix\"><b>{name}:</b> {}</p>", with_code(text));
        }
    }
    html.push_str("</article>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escaped("<script>'\"&\u{202e}\n"), "&lt;script&gt;&#39;&quot;&amp;\\u{202e}\\n");
        assert_eq!(with_code("a `b <c>` d"), "a <code>b &lt;c&gt;</code> d");
    }
}
