//! The questions of a guided run, in the order and words of the vendor's installer.
//!
//! Everything is asked before anything is done, on standard error. Ctrl-C ends the program at once
//! with 130 (see [`crate::sys::signal`]); a question is never repeated for ever.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use dialoguer::Input;
use dialoguer::theme::Theme;
use secrecy::ExposeSecret as _;

use super::mask::{Line, Typed};
use crate::config::policy::{Complexity, GUIDE};
use crate::prompt::{self, Answers, DEFAULT_ADMIN, Partial, password};
use crate::sys::fs::print_error;
use crate::sys::process::{self, Tool};
use crate::sys::{signal, tty};
use crate::types::Secret;

/// How often a password may be refused or mistyped: a script that sends the same one would go on for ever.
const PASSWORD_TRIES: usize = 5;

/// How often a passphrase is asked for that has to open something.
const OPENING_TRIES: usize = 3;

/// How often something else than yes or no may be said.
const WORD_TRIES: usize = 10;

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody can be asked.
    #[error("cannot ask questions: standard input and standard error are not both a terminal")]
    NotATerminal,
    /// Nobody can be asked, and this option takes the answer from a file.
    #[error("cannot ask questions: standard input and standard error are not both a terminal")]
    Unasked(&'static str),
    /// The licence agreement was declined.
    #[error("the End User License Agreement was not accepted")]
    Declined,
    /// What was shown was not confirmed.
    #[error("not confirmed; nothing was changed")]
    NotConfirmed,
    /// The input ended where an answer was expected.
    #[error("the input ended before the question {question:?} was answered")]
    Ended {
        /// The question.
        question: String,
    },
    /// A signal ended the questions.
    #[error("interrupted by signal {signal}")]
    Interrupted {
        /// Its number.
        signal: i32,
    },
    /// The password was refused or mistyped too often.
    #[error("no password was accepted in {tries} tries")]
    TooManyTries {
        /// How many there were.
        tries: usize,
    },
    /// The port that was given beforehand cannot be used.
    #[error("{why}")]
    PortInUse {
        /// The port.
        port: u16,
        /// Who has it, such as `port 443 is in use by nginx (pid 812)`.
        why: String,
    },
    /// Options that only a first installation takes.
    #[error("something is installed here, so an upgrade is planned; only a first installation takes {}", options.join(", "))]
    FirstOnly {
        /// The options that were given.
        options: Vec<&'static str>,
    },
    /// An answer that was given beforehand is not good.
    #[error(transparent)]
    Answer(#[from] prompt::Error),
    /// The terminal failed.
    #[error("cannot use the terminal")]
    Terminal(#[source] io::Error),
}

impl Error {
    /// Names the option that does without the question, if nobody could be asked.
    pub fn or_by(self, option: &'static str) -> Self {
        if matches!(self, Self::NotATerminal) { Self::Unasked(option) } else { self }
    }
}

/// A result of a question.
pub type Result<T> = std::result::Result<T, Error>;

/// What to ask.
pub struct Question<'a> {
    /// The licence agreement's text.
    pub eula: &'a str,
    /// Answers that are known and are not asked for.
    pub known: Partial,
    /// The port that Enter takes.
    pub default_port: u16,
    /// Says who uses a port, as a whole sentence; `None` when it is free.
    pub port_in_use: &'a dyn Fn(u16) -> Option<String>,
    /// The password comes from elsewhere and is not asked for.
    pub password_known: bool,
}

impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("known", &self.known).finish_non_exhaustive()
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Asked {
    /// The answers. `start` is the known one or true: [`start_question`] comes after the plan.
    pub answers: Answers,
    /// The password, unless it was known.
    pub password: Option<Secret>,
}

/// Asks what is not known yet: licence, port, name, password.
///
/// # Errors
/// When nobody can be asked, a known answer is not good, the licence is declined, or the input ends.
pub fn guided(q: &Question<'_>) -> Result<Asked> {
    let known = validate(q)?;
    let open = known.accept_eula.is_none() || known.port.is_none() || known.admin_name.is_none();
    if (open || !q.password_known) && !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    licence(q.eula, known.accept_eula)?;
    let port = match known.port {
        Some(port) => port,
        None => ask_port(q)?,
    };
    let admin_name = match known.admin_name {
        Some(name) => name,
        None => ask_name()?,
    };
    let password = if q.password_known { None } else { Some(ask_password(&admin_name, GUIDE)?) };
    let answers = Answers { accept_eula: true, port, admin_name, start: known.start.unwrap_or(true) };
    Ok(Asked { answers, password })
}

/// Asks for yes or no; Enter takes `default`.
///
/// # Errors
/// When nobody can be asked or the input ends.
pub fn confirm(text: &str, default: bool) -> Result<bool> {
    yes_or_no(text, Some(default))
}

/// Asks whether the server shall be started.
///
/// # Errors
/// When nobody can be asked or the input ends.
pub fn start_question(default: bool) -> Result<bool> {
    confirm("Start the server?", default)
}

/// Asks for a secret, which is not shown.
///
/// # Errors
/// When nobody can be asked or the input ends.
pub fn secret(question: &str) -> Result<Secret> {
    if !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    read_hidden(&tty::Hidden::begin().map_err(Error::Terminal)?, question)
}

/// As [`secret`], for something that is there: asked for again when `opens` says that it is another one's. The
/// last one is given back as it is.
///
/// # Errors
/// When nobody can be asked or the input ends.
pub fn secret_opening(question: &str, opens: impl Fn(&Secret) -> bool) -> Result<Secret> {
    if !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    let hidden = tty::Hidden::begin().map_err(Error::Terminal)?;
    for _ in 1..OPENING_TRIES {
        let secret = read_hidden(&hidden, question)?;
        if opens(&secret) {
            return Ok(secret);
        }
        print_error("error: the passphrase does not open the key; again\n");
    }
    read_hidden(&hidden, question)
}

/// Asks for a new secret twice until both are the same and `check` takes it; gives what `check` found, too.
/// `what` says what they are, in the plural.
///
/// # Errors
/// When nobody can be asked, the input ends, or it was refused or mistyped too often.
pub fn new_secret<T>(
    (question, again, what): (&str, &str, &str),
    check: impl Fn(&Secret) -> std::result::Result<T, String>,
) -> Result<(Secret, T)> {
    if !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    // One guard for both questions, so that nothing typed between them is echoed.
    let hidden = tty::Hidden::begin().map_err(Error::Terminal)?;
    for _ in 0..PASSWORD_TRIES {
        let secret = read_hidden(&hidden, question)?;
        let found = match check(&secret) {
            Ok(found) => found,
            Err(refused) => {
                print_error(&refused);
                continue;
            }
        };
        let repeated = read_hidden(&hidden, again)?;
        if secret.expose_secret() == repeated.expose_secret() {
            return Ok((secret, found));
        }
        print_error(&format!("error: the two {what} differ\n"));
    }
    Err(Error::TooManyTries { tries: PASSWORD_TRIES })
}

/// Asks for a line of text; Enter takes `default`.
///
/// # Errors
/// When nobody can be asked or the input ends.
pub fn line(
    question: &str,
    default: &str,
    check: impl Fn(&String) -> std::result::Result<(), String>,
) -> Result<String> {
    if !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    ask_text(question, default, check)
}

/// The known answers, each as good as if it had been typed.
fn validate(q: &Question<'_>) -> Result<Partial> {
    if q.known.accept_eula == Some(false) {
        return Err(Error::Declined);
    }
    if let Some(port) = q.known.port {
        prompt::check_port(&port.to_string())?;
        if let Some(why) = (q.port_in_use)(port) {
            return Err(Error::PortInUse { port, why });
        }
    }
    if let Some(name) = &q.known.admin_name {
        prompt::check_admin_name(name)?;
    }
    Ok(q.known.clone())
}

pub(super) fn licence(eula: &str, accepted: Option<bool>) -> Result<()> {
    if accepted == Some(true) {
        return Ok(());
    }
    show(eula)?;
    let accepted = yes_or_no("Do you accept the terms of the End User License Agreement?", None)?;
    if accepted { Ok(()) } else { Err(Error::Declined) }
}

/// Shows a long text in a pager that cannot start a shell or open other files, else as it is.
fn show(text: &str) -> Result<()> {
    let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    if !page(&text)? {
        print_error(&format!("{}\n\n", text.trim_end()));
    }
    Ok(())
}

/// Whether a pager has shown `text`.
fn page(text: &str) -> Result<bool> {
    let Some(pager) = pager() else { return Ok(false) };
    print_error("The End User License Agreement follows. Leave it with q.\n");
    // While the pager has the terminal, Ctrl-C is for the pager: it would be left behind otherwise.
    let working = signal::Working::begin();
    let shown = pager.page(text.as_bytes()).is_ok_and(|status| status.success());
    drop(working);
    match signal::pending() {
        None => Ok(shown),
        Some(signal) => {
            tty::restore();
            Err(Error::Interrupted { signal })
        }
    }
}

fn pager() -> Option<Tool> {
    let term = crate::sys::env::var("TERM").filter(|term| !term.is_empty() && term != "dumb");
    if term.is_none() || !tty::is_interactive() || !tty::stdout_is_terminal() {
        return None;
    }
    let tool = match process::find("less") {
        Some(less) => Tool::new(less).arg("-K"), // Ctrl-C leaves it
        None => Tool::system("more").ok()?,
    };
    Some(tool.pass_env("TERM").env("LESSSECURE", "1").env("LESSHISTFILE", "-").env("LESSCHARSET", "utf-8"))
}

fn ask_port(q: &Question<'_>) -> Result<u16> {
    let check = |text: &String| -> std::result::Result<(), String> {
        let port = prompt::check_port(text).map_err(|e| e.to_string())?;
        (q.port_in_use)(port).map_or(Ok(()), Err)
    };
    let text = ask_text("Server HTTPS Port", &q.default_port.to_string(), check)?;
    Ok(prompt::check_port(&text)?)
}

fn ask_name() -> Result<String> {
    let check = |text: &String| prompt::check_admin_name(text).map(|_| ()).map_err(|e| e.to_string());
    let text = ask_text("Enter name for admin user", DEFAULT_ADMIN, check)?;
    Ok(prompt::check_admin_name(&text)?)
}

/// Asks for a new password of `user`, twice; it has to have what is `asked`.
///
/// # Errors
/// When nobody can be asked, the input ends, or no password is accepted.
pub fn password(user: &str, asked: Complexity) -> Result<Secret> {
    if !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    ask_password(user, asked)
}

fn ask_password(user: &str, asked: Complexity) -> Result<Secret> {
    print_error(&format!("The password: {}\n", password::rule(asked)));
    let questions = (&*format!("Enter password for user '{user}'"), "Verify password", "passwords");
    let check = |secret: &Secret| password::check(secret, user, asked).map_err(|refused| refusal(&refused));
    let (secret, strength) = new_secret(questions, check)?;
    print_error(&format!("Password strength: {strength}.\n"));
    Ok(secret)
}

fn refusal(refused: &prompt::Error) -> String {
    match refused {
        prompt::Error::Password { flaws, .. } => {
            let lines: Vec<String> = flaws.iter().map(|flaw| format!("  - {flaw}\n")).collect();
            format!("error: the password is refused:\n{}", lines.concat())
        }
        other => format!("error: {other}\n"),
    }
}

fn read_hidden(hidden: &tty::Hidden, question: &str) -> Result<Secret> {
    loop {
        print_error(&format!("{question}: "));
        let line = read_line(hidden, question)?;
        match prompt::parse_password(line) {
            Ok(secret) => return Ok(secret),
            Err(e) => print_error(&refusal(&e)),
        }
    }
}

fn read_line(hidden: &tty::Hidden, question: &str) -> Result<Vec<u8>> {
    let mut line = Line::new();
    loop {
        let typed = match hidden.next().map_err(Error::Terminal)? {
            Some(byte) => line.feed(byte),
            None => Typed::End,
        };
        match typed {
            Typed::Nothing => {}
            Typed::Star => print_error("*"),
            Typed::Erased(n) => print_error(&"\x08 \x08".repeat(n)),
            Typed::Bell => print_error("\x07"),
            Typed::Done => {
                print_error("\n");
                return Ok(line.into_bytes());
            }
            Typed::End => {
                print_error("\n");
                return Err(Error::Ended { question: question.to_owned() });
            }
        }
    }
}

fn yes_or_no(text: &str, default: Option<bool>) -> Result<bool> {
    if !tty::is_interactive() {
        return Err(Error::NotATerminal);
    }
    for _ in 0..WORD_TRIES {
        let question = Input::<String>::with_theme(&YesNo).with_prompt(text).allow_empty(true);
        let word = question.interact_text().map_err(|e| failed(e, text))?;
        match (word.trim().to_ascii_lowercase().as_str(), default) {
            ("y" | "yes", _) => return Ok(true),
            ("n" | "no", _) => return Ok(false),
            ("", Some(default)) => return Ok(default),
            _ => print_error("Please answer yes or no.\n"),
        }
    }
    Err(Error::Ended { question: text.to_owned() })
}

fn ask_text(
    text: &str,
    default: &str,
    check: impl Fn(&String) -> std::result::Result<(), String>,
) -> Result<String> {
    let question =
        Input::with_theme(&Words).with_prompt(text).default(default.to_owned()).validate_with(check);
    question.interact_text().map_err(|e| failed(e, text))
}

/// Puts the terminal back after a question that failed.
fn failed(dialoguer::Error::IO(e): dialoguer::Error, question: &str) -> Error {
    if e.kind() == ErrorKind::Interrupted {
        // Ctrl-C: the signal is on its way to the thread that ends the program.
        std::thread::park_timeout(Duration::from_secs(2));
    }
    tty::restore();
    match e.kind() {
        ErrorKind::NotConnected => Error::NotATerminal,
        ErrorKind::Interrupted => Error::Interrupted { signal: signal::pending().unwrap_or(2) },
        ErrorKind::UnexpectedEof => Error::Ended { question: question.to_owned() },
        _ => Error::Terminal(e),
    }
}

/// The look of the vendor's questions, on which scripts of administrators wait.
struct Words;

impl Theme for Words {
    fn format_input_prompt(&self, f: &mut dyn fmt::Write, text: &str, default: Option<&str>) -> fmt::Result {
        write!(f, "{text}: ")?;
        default.map_or(Ok(()), |default| write!(f, " (default: '{default}') "))
    }
}

/// The look of the vendor's yes-or-no questions.
struct YesNo;

impl Theme for YesNo {
    fn format_input_prompt(&self, f: &mut dyn fmt::Write, text: &str, _: Option<&str>) -> fmt::Result {
        write!(f, "{text} [yes no] ")
    }

    fn format_input_prompt_selection(&self, f: &mut dyn fmt::Write, text: &str, word: &str) -> fmt::Result {
        write!(f, "{text} [yes no] {word}")
    }
}
