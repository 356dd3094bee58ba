use crate::workflow::xdr::Report;

/// What a look at the access to Cortex XDR found.
#[must_use]
pub fn access(found: &Report) -> String {
    let mut text = match (&found.proxy, found.servers.as_slice()) {
        (_, []) => "no server was given: --fqdn HOST or --fqdn-file FILE\n".to_owned(),
        (None, _) => "servers are asked directly\n".to_owned(),
        (Some(proxy), _) if found.proxy_from_environment => {
            format!("servers are asked through {proxy}, which /etc/environment names\n")
        }
        (Some(proxy), _) => format!("servers are asked through {proxy}\n"),
    };
    text.push_str(&super::checks(&found.checks));
    text
}
