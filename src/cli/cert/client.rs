//! `cert client`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::certs::request::{KeyType, Role, Subject};
use crate::cli::ask;
use crate::cli::common::{Common, KeyArgs};
use crate::cli::exit::Exit;
use crate::cli::passphrase::{self, NewArgs};
use crate::types::Secret;
use crate::workflow::cert::make::{self, Made, Order, Signing, Source};

/// Arguments of `cert client`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory for what is made; made if it is not there
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
    /// Whom the certificate is about: a host name, a login name or a mail address
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Who will show the certificate
    #[arg(long = "for", value_enum, default_value_t = User::Browser)]
    user: User,
    /// Sign with this CA certificate (PEM, those above it may follow); only a request is made otherwise
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_cert: Option<PathBuf>,
    /// Private key of --ca-cert
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    ca_key: Option<PathBuf>,
    /// Read the passphrase of --ca-key from FILE; asked for otherwise
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_passphrase_file: Option<PathBuf>,
    /// How long the certificate is valid, in days
    #[arg(long, value_name = "N", default_value_t = 365, requires = "ca_cert",
        value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Also make a PKCS#12 file, which browsers import; its passphrase is asked for
    #[arg(long, requires = "ca_cert")]
    p12: bool,
    /// Read the passphrase of the PKCS#12 file from FILE
    #[arg(long, value_name = "FILE", requires = "p12")]
    p12_passphrase_file: Option<PathBuf>,
    /// Kind of key: rsa:BITS (2048 to 8192), ec:p256, ec:p384 or ec:p521
    #[arg(long, value_name = "TYPE", default_value = "rsa:3072")]
    key_type: KeyType,
    /// Subject, such as CN=Alice,O=Example,C=CH [default: the name as CN]
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    #[command(flatten)]
    passphrase: NewArgs,
}

/// Who shows the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum User {
    /// A person's browser: the files are called after NAME
    Browser,
    /// An engine: the files are called client.key and client.pem, as the engine has them
    Engine,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let now = common.session(&KeyArgs::default(), &*sink)?.now;
    let wish = make::wish(vec![args.name.clone()], args.subject.clone(), Role::Client)?;
    let stem = match args.user {
        User::Browser => args.name.clone(),
        User::Engine => "client".to_owned(),
    };
    let mut order =
        Order { dir: args.out_dir.clone(), stem, key_type: args.key_type, wish, passphrase: None };
    order.refuse_existing(&["key", "csr", "pem", "p12"])?;
    let signing = match (&args.ca_cert, &args.ca_key) {
        (Some(certificate), Some(key)) => {
            let source = Source::read(key)?;
            let passphrase = ca_passphrase(args, &source)?;
            Some(Signing::open(certificate, &source, passphrase.as_ref(), (now, args.days))?)
        }
        _ => None,
    };
    order.passphrase = args.passphrase.get()?;
    let made = match signing {
        None => make::csr(&order, &*sink)?,
        Some(signing) => make::client(&order, &signing, p12_passphrase(args)?.as_ref(), &*sink)?,
    };
    if made.cut_short {
        sink.warn(format!("the certificate ends before {} days, together with its CA's", args.days));
    }
    common.result(&text(&made, args.user), &json!({ "changed": true, "made": made }));
    Ok(Exit::Done.into())
}

fn ca_passphrase(args: &Args, source: &Source) -> Result<Option<Secret>> {
    if let Some(path) = &args.ca_passphrase_file {
        return passphrase::from_file(path).map(Some);
    }
    if !source.is_encrypted() {
        return Ok(None);
    }
    let asked = ask::secret(&format!("Passphrase of {}", source.path.display()));
    Ok(Some(asked.map_err(|e| e.or_by("--ca-passphrase-file"))?))
}

fn p12_passphrase(args: &Args) -> Result<Option<Secret>> {
    match &args.p12_passphrase_file {
        Some(path) => passphrase::new_from_file(path).map(Some),
        None if args.p12 => {
            passphrase::ask_new("Passphrase for the PKCS#12 file", "--p12-passphrase-file").map(Some)
        }
        None => Ok(None),
    }
}

fn text(made: &Made, user: User) -> String {
    let lock = if made.encrypted { ", encrypted" } else { "" };
    let key = made.key.display();
    let mut text = format!("{key}  private key, {}{lock}\n", made.kind);
    let chain = made.key.with_extension("pem");
    let chain = chain.display();
    if let Some(request) = &made.request {
        text += &format!(
            "{}  request for {}\n\nSend the request to your CA, and put its answer and every CA certificate \
             above it, leaf first, into {chain}.\n",
            request.display(),
            made.names.join(", "),
        );
    }
    if let Some(expires) = made.expires {
        text += &format!("{chain}  certificate for {}, until {expires}\n", made.names.join(", "));
    }
    if let Some(p12) = &made.p12 {
        text += &format!("{}  key and certificate for a browser\n", p12.display());
    }
    let next = match (user, &made.p12) {
        (User::Engine, _) => {
            let lock = if made.encrypted {
                "\nThe passphrase belongs into the engine's d1.conf: security.certificate.client.keypass.\n"
            } else {
                "\n"
            };
            format!("\nGive it to the engine:{lock}demisto-install engine configure --client-cert {chain} --client-key {key}\n")
        }
        (User::Browser, Some(_)) => "\nImport the PKCS#12 file into the browser, with its passphrase: in Chromium under \
             Settings, Privacy and security, Security, Manage certificates; in Firefox under Settings, Privacy & \
             Security, Certificates, View Certificates, Your Certificates.\n"
            .to_owned(),
        (User::Browser, None) => String::new(),
    };
    text + &next
}
