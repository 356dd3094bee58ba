//! A sample with one mistake, and what is to be found: generated from the lines of the sample.

use demisto_install::product::Role;

/// What is to be found.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) id: &'static str,
    /// Line and column; none for what is not there.
    pub(super) place: Option<(usize, usize)>,
}

/// A text with one mistake, or with a change that is none.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Option<Expected>,
}

/// A member of the sample: `  "name": value,`.
#[derive(Debug)]
struct Member<'s> {
    /// From 0.
    line: usize,
    name: &'s str,
    value: &'s str,
    /// Columns from 0.
    name_at: usize,
    value_at: usize,
}

struct Sample<'s> {
    role: Role,
    lines: Vec<&'s str>,
    out: Vec<Variant>,
}

/// All variants of a sample.
pub(super) fn of(text: &str, role: Role) -> Vec<Variant> {
    let mut sample = Sample { role, lines: text.lines().collect(), out: Vec::new() };
    sample.names();
    sample.values();
    sample.kinds();
    sample.commas_and_brackets();
    sample.repeated();
    sample.bytes(text);
    match role {
        Role::Server => sample.of_the_server(),
        Role::Engine => sample.of_the_engine(),
    }
    sample.out
}

fn member(line: usize, text: &str) -> Option<Member<'_>> {
    let name_at = text.find('"')?;
    let (name, rest) =
        text[name_at + 1..].split_once("\": ").filter(|_| text[..name_at].trim().is_empty())?;
    let value = rest.strip_suffix(',').unwrap_or(rest);
    Some(Member { line, name, value, name_at, value_at: name_at + name.len() + 4 })
}

impl<'s> Sample<'s> {
    fn members(&self) -> Vec<Member<'s>> {
        self.lines.iter().enumerate().filter_map(|(line, text)| member(line, text)).collect()
    }

    /// The line (from 0) in another form, and what is found at that line and column (from 0).
    fn line(&mut self, line: usize, new: &str, what: &str, expected: Option<(&'static str, usize)>) {
        let expected = expected.map(|(id, column)| (id, Some((line + 1, column + 1))));
        self.lines_as(line, new, &format!("line {}: {what}", line + 1), expected);
    }

    fn lines_as(
        &mut self,
        line: usize,
        new: &str,
        name: &str,
        expected: Option<(&'static str, Option<(usize, usize)>)>,
    ) {
        let mut lines = self.lines.clone();
        lines[line] = new;
        let text = lines.join("\n") + "\n";
        self.whole(text.into_bytes(), name, expected);
    }

    fn whole(
        &mut self,
        bytes: Vec<u8>,
        name: &str,
        expected: Option<(&'static str, Option<(usize, usize)>)>,
    ) {
        let expected = expected.map(|(id, place)| Expected { id, place });
        self.out.push(Variant { name: format!("{}, {name}", self.role), role: self.role, bytes, expected });
    }

    fn names(&mut self) {
        for Member { line, name, name_at, .. } in self.members() {
            let text = self.lines[line];
            let quoted = format!("\"{name}\"");
            let with = |new: &str| text.replacen(&quoted, new, 1);
            let middle = name.len() / 2;
            let (head, tail) = name.split_at(middle);
            for (slip, what) in [
                (format!("{head}{}", &tail[1..]), "a letter too few in the name"),
                (format!("{head}{}{tail}", &tail[..1]), "a letter too many in the name"),
                (format!("{head}#{}", &tail[1..]), "a wrong letter in the name"),
            ] {
                // of names with two letters another key's may be as near
                if slip != name && name.len() > 2 {
                    self.line(line, &with(&format!("\"{slip}\"")), what, Some(("key-misspelt", name_at)));
                }
            }
            let (upper, lower) = (name.to_uppercase(), name.to_lowercase());
            self.line(line, &with(&format!("\"{upper}\"")), "capitals in the name", None);
            self.line(line, &with(&format!("\"{lower}\"")), "small letters in the name", None);
            let quote = Some(("quote-missing", name_at));
            self.line(line, &with(&format!("{name}\"")), "no opening quote of the name", quote);
            self.line(line, &with(&format!("\"{name}")), "no closing quote of the name", quote);
            self.line(line, &with(name), "no quotes of the name", quote);
            self.line(
                line,
                &with(&format!("'{name}'")),
                "single quotes of the name",
                Some(("quote-wrong", name_at)),
            );
            self.line(
                line,
                &with(&format!("\"{head}\t{tail}\"")),
                "a tab in the name",
                Some(("control-character", name_at + 1 + middle)),
            );
            let colon = name_at + quoted.len();
            self.line(line, &text.replacen("\": ", "\" ", 1), "no colon", Some(("colon-missing", colon)));
            self.line(
                line,
                &text.replacen("\": ", "\" = ", 1),
                "= for the colon",
                Some(("colon-missing", colon + 1)),
            );
            self.line(
                line,
                &text.replacen("\": ", "\":: ", 1),
                "two colons",
                Some(("stray-character", colon + 1)),
            );
            self.line(line, &text.replacen("\": ", "\":", 1), "no space", None);
        }
    }

    fn values(&mut self) {
        for (line, text) in self.lines.clone().into_iter().enumerate() {
            let Some(end) = text.rfind('"').filter(|_| text.trim_end_matches(',').ends_with('"')) else {
                continue;
            };
            let start = member(line, text).map_or_else(|| text.find('"').unwrap(), |member| member.value_at);
            let inside = &text[start + 1..end];
            let (before, after) = (&text[..start], &text[end + 1..]);
            let with = |new: String| format!("{before}{new}{after}");
            let quote = Some(("quote-missing", start));
            self.line(line, &with(format!("{inside}\"")), "no opening quote of the value", quote);
            self.line(line, &with(format!("\"{inside}")), "no closing quote of the value", quote);
            self.line(
                line,
                &with(format!("'{inside}'")),
                "single quotes of the value",
                Some(("quote-wrong", start)),
            );
            let typographic = with(format!("\u{201c}{inside}\u{201d}"));
            self.line(line, &typographic, "typographic quotes of the value", Some(("quote-wrong", start)));
            if inside.is_empty() {
                continue;
            }
            if !inside.contains(',') && inside.parse::<u16>().is_err() {
                self.line(line, &with(inside.to_owned()), "no quotes of the value", quote);
            }
            let middle = inside.len() / 2;
            let (head, tail) = inside.split_at(middle);
            let at = start + 1 + middle;
            self.line(
                line,
                &with(format!("\"{head}\t{tail}\"")),
                "a tab in the value",
                Some(("control-character", at)),
            );
            self.line(
                line,
                &with(format!("\"{head}\0{tail}\"")),
                "a NUL in the value",
                Some(("control-character", at)),
            );
            self.line(
                line,
                &with(format!("\"{head}\\x{tail}\"")),
                "an unknown escape",
                Some(("escape-wrong", at)),
            );
            self.line(
                line,
                &with(format!("\"{head}\\ud800{tail}\"")),
                "half a character",
                Some(("escape-wrong", at)),
            );
        }
    }

    fn kinds(&mut self) {
        for Member { line, value, value_at, .. } in self.members() {
            let text = self.lines[line];
            let comma = if text.ends_with(',') { "," } else { "" };
            let with = |new: &str| format!("{}{new}{comma}", &text[..value_at]);
            let at = |id| Some((id, value_at));
            if matches!(value, "true" | "false") {
                self.line(line, &with(&format!("\"{value}\"")), "a quoted truth value", at("boolean-quoted"));
                let capital = if value == "true" { "True" } else { "False" };
                self.line(line, &with(capital), "a word of Python", at("word-wrong"));
                self.line(
                    line,
                    &with(&format!("\"{capital}\"")),
                    "a quoted word of Python",
                    at("boolean-quoted"),
                );
                self.line(line, &with("1"), "a number for a truth value", at("type-wrong"));
                self.line(line, &with("null"), "null for a truth value", at("type-wrong"));
                self.line(line, &with("\"yes\""), "a text for a truth value", at("type-wrong"));
            }
            if value.starts_with('"') && value.len() > 2 {
                self.line(line, &with("true"), "a truth value for a text", at("value-unquoted"));
                self.line(line, &with("null"), "null for a text", at("type-wrong"));
                self.line(line, &with("[]"), "a list for a text", at("type-wrong"));
                self.line(line, &with("{\"x\": 1}"), "an object for a text", None);
                let name_at = member(line, text).map(|member| member.name_at);
                let last = self.out.last_mut().unwrap();
                last.expected =
                    name_at.map(|column| Expected { id: "type-wrong", place: Some((line + 1, column + 1)) });
            }
            if !matches!(value, "{" | "[") {
                let nothing = text[..value_at - 1].to_owned() + comma;
                self.line(line, &nothing, "no value", Some(("value-missing", value_at - 1)));
                self.line(line, &with(""), "no value, but a space", Some(("value-missing", value_at - 1)));
            }
        }
    }

    fn commas_and_brackets(&mut self) {
        let last = self.lines.len() - 1;
        for (line, text) in self.lines.clone().into_iter().enumerate() {
            let next = self.lines.get(line + 1).map_or("", |next| next.trim_start());
            let closes = next.starts_with(['}', ']']);
            let opens = text.ends_with(['{', '[']);
            if let Some(plain) = text.strip_suffix(',') {
                let end = plain.len();
                self.line(line, plain, "no comma", Some(("comma-missing", end)));
                self.line(line, &format!("{plain};"), "a semicolon", Some(("comma-missing", end)));
                self.line(line, &format!("{plain},,"), "two commas", Some(("comma-extra", end + 1)));
            } else if closes && !opens {
                self.line(line, &format!("{text},"), "a comma too many", Some(("comma-extra", text.len())));
            }
            if opens {
                self.line(
                    line,
                    &format!("{text},"),
                    "a comma behind the bracket",
                    Some(("comma-extra", text.len())),
                );
                if line > 0 {
                    let plain = &text[..text.len() - 1];
                    let (id, place) = if text.ends_with('{') {
                        ("bracket-missing", (line + 1, plain.trim_end().len() + 1))
                    } else {
                        // the first item is taken for the value, and the bracket that closes is wrong
                        ("bracket-wrong", (line + 3, 3))
                    };
                    self.lines_as(
                        line,
                        plain,
                        &format!("line {}: no opening bracket", line + 1),
                        Some((id, Some(place))),
                    );
                }
            }
            let bracket = text.trim_start().trim_end_matches(',');
            if matches!(bracket, "}" | "]") {
                let at = text.len() - text.trim_start().len();
                let opener = self.opener(line, at);
                self.lines_as(
                    line,
                    &text.replacen(bracket, "", 1),
                    &format!("line {}: no closing bracket", line + 1),
                    Some(("bracket-missing", Some(opener))),
                );
                if line == last {
                    self.line(line, "}}", "a bracket too many", Some(("bracket-extra", 1)));
                } else if bracket == "}" {
                    self.line(
                        line,
                        &text.replacen('}', "}}", 1),
                        "a bracket too many",
                        Some(("bracket-extra", at + 1)),
                    );
                }
            }
            for comment in [" // note", " # note", " /* note */"] {
                self.line(line, &format!("{text}{comment}"), "a comment", Some(("comment", text.len() + 1)));
            }
            self.line(line, &format!("{text}\0"), "a NUL", Some(("stray-character", text.len())));
            self.line(
                line,
                &format!("{text}\u{a0}"),
                "a no-break space",
                Some(("stray-character", text.len())),
            );
            self.line(line, &format!("{text} \t \r"), "white space", None);
        }
    }

    /// Where the bracket stands that one at this line closes: the last line above with its indentation.
    fn opener(&self, line: usize, indent: usize) -> (usize, usize) {
        let depth = |text: &str| text.len() - text.trim_start().len();
        let above = self.lines[..line].iter().enumerate().rev();
        let (number, text) = above.into_iter().find(|(_, text)| depth(text) == indent).unwrap();
        (number + 1, text.len())
    }

    fn repeated(&mut self) {
        for Member { line, value, name, name_at, .. } in self.members() {
            let text = self.lines[line];
            let plain = text.trim_end_matches(',');
            if matches!(value, "{" | "[") {
                continue;
            }
            let at = Some((line + 2, name_at + 1));
            let name_of = format!("line {}: {name} ", line + 1);
            let twice = format!("{plain},\n{text}");
            self.lines_as(line, &twice, &format!("{name_of} repeated"), Some(("key-repeated", at)));
            let upper = text.replacen(name, &name.to_uppercase(), 1);
            self.lines_as(
                line,
                &format!("{plain},\n{upper}"),
                &format!("{name_of} repeated in capitals"),
                Some(("key-repeated", at)),
            );
            let other = match value {
                "true" => "false".to_owned(),
                "false" => "true".to_owned(),
                _ => continue,
            };
            let twice = format!("{},\n{text}", plain.replace(value, &other));
            self.lines_as(line, &twice, &format!("{name_of} twice"), Some(("key-twice", at)));
        }
        for Member { line, name, value, name_at, .. } in self.members() {
            if value == "{" && name_at == 2 {
                let end = (line + 1..).find(|end| self.lines[*end].starts_with("  }")).unwrap();
                let group = self.lines[line..=end].join("\n").trim_end_matches(',').to_owned();
                let text = format!("{group},\n{}", self.lines[line]);
                let at = Some((end + 2, 3));
                self.lines_as(line, &text, &format!("{name} as a whole twice"), Some(("key-twice", at)));
            }
        }
    }

    fn bytes(&mut self, text: &str) {
        let body = text.trim_end();
        self.whole(
            format!("\u{feff}{text}").into_bytes(),
            "a byte order mark",
            Some(("byte-order-mark", Some((1, 1)))),
        );
        self.whole(body.as_bytes().to_vec(), "no last line end", None);
        self.whole(text.replace('\n', "\r\n").into_bytes(), "line ends of Windows", None);
        self.whole(text.replace("  ", "\t").into_bytes(), "tabs for indentation", None);
        self.whole(format!("\n\n{text}\n \n").into_bytes(), "empty lines", None);
        self.whole(Vec::new(), "nothing", Some(("empty", Some((1, 1)))));
        self.whole(format!("[{body}]").into_bytes(), "in a list", Some(("not-an-object", Some((1, 1)))));
        let after = self.lines.len();
        self.whole(
            format!("{body} x").into_bytes(),
            "text behind",
            Some(("text-after-end", Some((after, 3)))),
        );
        self.whole(
            format!("{body}{{}}").into_bytes(),
            "an object behind",
            Some(("text-after-end", Some((after, 2)))),
        );
        self.whole(
            format!("{body},").into_bytes(),
            "a comma behind",
            Some(("comma-extra", Some((after, 2)))),
        );
        self.whole(
            body.as_bytes()[1..].to_vec(),
            "no first bracket",
            Some(("bracket-missing", Some((2, 3)))),
        );
        let mut large = text.as_bytes().to_vec();
        large.resize(10 << 20, b' ');
        self.whole(large, "10 MiB", Some(("too-large", Some((1, 1)))));
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(at) = line.find('"') {
                let start: usize = text.split_inclusive('\n').take(number - 1).map(str::len).sum();
                let mut bytes = text.as_bytes().to_vec();
                bytes.insert(start + at + 1, 0xff);
                let place = Some((number, at + 2));
                self.whole(bytes, &format!("line {number}: no UTF-8"), Some(("not-utf8", place)));
            }
        }
        let deep = format!("  \"deep\": {}1{},", "{\"a\":".repeat(70), "}".repeat(70));
        let first = self.lines[1];
        let column = 11 + 63 * 5; // the outermost bracket is the first
        self.lines_as(1, &format!("{deep}\n{first}"), "70 levels", Some(("too-deep", Some((2, column)))));
        let deep = format!("  \"deep\": {}1{},", "[".repeat(70), "]".repeat(70));
        self.lines_as(1, &format!("{deep}\n{first}"), "70 lists", Some(("too-deep", Some((2, 11 + 63)))));
        for (line, id, column) in [
            ("  \"my.own.key\": 1,", "key-unknown", 3),
            ("  \"my\": {\"own\": {\"key\": 1}},", "key-unknown", 18),
            ("  \"security\": true,", "type-wrong", 15),
            ("  \"python.engine\": \"docker\",", "type-wrong", 20),
            ("  : true,", "name-missing", 3),
            ("  {\"x\": 1},", "name-missing", 3),
            ("  \"docker.limit\": 0443,", "number-wrong", 19),
            ("  \"docker.limit\": +1,", "number-wrong", 19),
            ("  \"workers\",", "value-missing", 3),
            ("  workers,", "value-missing", 3),
            ("  \"docker.strange\": 1 @", "stray-character", 23),
        ] {
            self.lines_as(
                1,
                &format!("{line}\n{first}"),
                &format!("with {line}"),
                Some((id, Some((2, column)))),
            );
        }
        self.lines_as(
            1,
            &format!("  \"docker.strange\": 1,\n  \"elasticsearch\": {{}},\n{first}"),
            "families",
            None,
        );
    }

    /// A new first member, and what is found in its line.
    fn with(&mut self, line: &str, id: &'static str, column: usize) {
        let first = self.lines[1];
        self.lines_as(1, &format!("{line}\n{first}"), &format!("with {line}"), Some((id, Some((2, column)))));
    }

    /// Another value of a key, and what is found at that value, or at that of another key.
    fn set(&mut self, name: &str, value: &str, expected: Option<(&'static str, &str)>) {
        let members = self.members();
        let find = |name: &str| members.iter().find(|member| member.name == name).unwrap();
        let there = find(name);
        let at = expected.map(|(id, other)| (id, Some((find(other).line + 1, find(other).value_at + 1))));
        let text = self.lines[there.line];
        let new = format!("{}{value}{}", &text[..there.value_at], if text.ends_with(',') { "," } else { "" });
        self.lines_as(there.line, &new, &format!("{name} is {value}"), at);
    }

    fn of_the_server(&mut self) {
        const POLICY: &str = "server.certificate.clientauthpolicy";
        const LIST: &str = "security.certificate.santrustlist";
        const SWITCH: &str = "security.server.certificate.donotverifyclientcertificates";
        const SAN: &str = "security.certificate.verifyclientsan";
        let bad = [
            ("HttpsPort", "443", "value-unquoted"),
            ("HttpsPort", "70000", "port-wrong"),
            ("HttpsPort", "\"0\"", "port-wrong"),
            ("HttpsPort", "\"65536\"", "port-wrong"),
            ("HttpsPort", "\"https\"", "port-wrong"),
            ("HttpsPort", "\" 443\"", "port-wrong"),
            ("HttpsPort", "\"-1\"", "port-wrong"),
            (POLICY, "\"Verify\"", "value-wrong"),
            (POLICY, "\"verfy\"", "value-wrong"),
            (POLICY, "\"requireAndVerify\"", "value-wrong"),
            (POLICY, "\"all\"", "value-wrong"),
            (POLICY, "\"\"", "policy-empty"),
            (LIST, "\"engine.test.local1, good.test.local1\"", "list-spaces"),
            (LIST, "\" engine.test.local1\"", "list-spaces"),
            (LIST, "\"engine.test.local1 good.test.local1\"", "list-spaces"),
            (LIST, "\"engine.test.local1,,good.test.local1\"", "list-wrong"),
            (LIST, "\"engine.test.local1,\"", "list-wrong"),
            (LIST, "\"*.test.local1\"", "list-wrong"),
            (LIST, "\"engine.test.local1;good.test.local1\"", "list-wrong"),
            (LIST, "[\"engine.test.local1\"]", "type-wrong"),
            (LIST, "\"\"", "san-list-empty"),
            ("security.certificate.verifyrevocation", "false", "insecure-value"),
            ("security.certificate.failonunknownrevocationstatus", "false", "insecure-value"),
            ("type", "\"dockr\"", "value-wrong"),
            ("type", "\"Podman\"", "value-wrong"),
        ];
        for (name, value, id) in bad {
            self.set(name, value, Some((id, name)));
        }
        self.set(SAN, "false", Some(("san-list-unused", LIST)));
        self.set(SWITCH, "true", Some(("policy-unverified", POLICY)));
        self.set(POLICY, "\"requireandverify\"", None);
        self.set("type", "\"podman\"", None);
        self.with("  \"EngineID\": \"ff1dea73-8b22-437a-adb8-391514c05cfa\",", "key-elsewhere", 3);
        self.with("  \"engine.connection.trust_any_certificate\": false,", "key-elsewhere", 3);
        self.with("  \"license.file.path\": \"demisto.lic\",", "path-relative", 24);
        self.with("  \"license.file.path\": \"/srv/../demisto.lic\",", "path-relative", 24);
        self.with("  \"http_proxy\": \"proxy:3128\",", "address-wrong", 17);
        self.with("  \"Server.ExternalHostName\": \"a b\",", "address-wrong", 30);
        self.with("  \"password.policy.default.MinLowercaseChar\": 1,", "key-misspelt", 3);
        self.with("  \"security\": {\"certificate\": {\"verifycasing\": true}},", "key-misspelt", 32);
        self.with("  \"server.certificate.clientauthpolicy\": \"verify\",", "key-repeated", 0);
        let last = self.out.last_mut().unwrap();
        last.expected = Some(Expected { id: "key-repeated", place: Some((8, 3)) });
        let other = "  \"security.certificate.override.donotverifyclientcertificates\": true,";
        self.with(other, "spellings-differ", 0);
        let last = self.out.last_mut().unwrap();
        last.expected = Some(Expected { id: "spellings-differ", place: Some((7, 64)) });
        self.with(&other.replace("true", "false"), "", 0);
        self.out.last_mut().unwrap().expected = None;
        let no_policy: Vec<&str> = self.lines.iter().copied().filter(|line| !line.contains(POLICY)).collect();
        let expected = Some(("policy-empty", Some((6, 64))));
        self.whole(no_policy.join("\n").into_bytes(), "no policy", expected);
        let no_list: Vec<&str> = self.lines.iter().copied().filter(|line| !line.contains(LIST)).collect();
        self.whole(no_list.join("\n").into_bytes(), "no list", Some(("san-list-empty", Some((10, 43)))));
    }

    fn of_the_engine(&mut self) {
        let trust = "engine.connection.trust_any_certificate";
        let bad = [
            ("EngineID", "\"ff1dea73\"", "address-wrong"),
            ("EngineID", "\"\"", "address-wrong"),
            ("BindAddress", "\"443\"", "address-wrong"),
            ("BindAddress", "443", "value-unquoted"),
            ("BindAddress", "\":70000\"", "address-wrong"),
            ("LogLevel", "\"INFO\"", "value-wrong"),
            ("LogLevel", "\"warn\"", "value-wrong"),
            ("LogFile", "\"d1.log\"", "path-relative"),
            ("LogFile", "\"./d1.log\"", "path-relative"),
            ("LogFile", "\"/var/log/demisto/../d1.log\"", "path-relative"),
            ("ArtifactsFolder", "\"artifacts\"", "path-relative"),
            ("TempFolder", "true", "value-unquoted"),
            ("Server.ExternalHostName", "\"server.test.local1:https\"", "address-wrong"),
            ("ServerPublic", "\"\"", "address-wrong"),
            ("ServerPublic", "\"-----BEGIN PUBLIC KEY-----\"", "address-wrong"),
            (trust, "true", "insecure-value"),
            ("security.certificate.override.donotverifyservercertificates", "true", "insecure-value"),
            ("security.client.enabled", "false", "insecure-value"),
        ];
        for (name, value, id) in bad {
            self.set(name, value, Some((id, name)));
        }
        self.set("BindAddress", "\"192.0.2.1:0\"", None);
        self.set("LogLevel", "\"debug\"", None);
        for line in 0..self.lines.len() {
            let text = self.lines[line];
            if text.contains("wss://") {
                let column = self.lines[line - 1].find('[').unwrap();
                let at = Some(("address-wrong", Some((line, column + 1))));
                for (from, to) in [("wss://", "ws://"), ("wss://", "https://"), (":443", ":x"), ("/d", "x")] {
                    self.lines_as(line, &text.replace(from, to), &format!("line {}: {to}", line + 1), at);
                }
            }
        }
        for name in ["EngineID", "ServerPublic"] {
            let without: Vec<&str> = self.lines.iter().copied().filter(|line| !line.contains(name)).collect();
            self.whole(without.join("\n").into_bytes(), &format!("no {name}"), Some(("key-required", None)));
        }
        self.with("  \"Server.HttpsPort\": \"443\",", "key-elsewhere", 3);
        self.with("  \"elasticsearch.strange\": 1,", "key-elsewhere", 3);
        self.with("  \"http_proxy\": \"proxy\",", "address-wrong", 17);
        self.with("  \"log.rolling.backups\": \"3\",", "type-wrong", 26);
        self.with("  \"log\": {\"rolling\": {\"maxage\": -1}},", "type-wrong", 33);
        self.with("  \"security.clients.enabled\": true,", "key-misspelt", 3);
        self.with("  \"python.engine.docker\": true,", "key-repeated", 0);
        let last = self.out.last_mut().unwrap();
        let line = self.lines.iter().rposition(|line| line.contains("\"docker\": true")).unwrap() + 2;
        last.expected = Some(Expected { id: "key-repeated", place: Some((line, 7)) });
    }
}
