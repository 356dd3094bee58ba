//! Access to Cortex XDR: what the vendor's page "Enable Access to Cortex XDR" asks of a host.
//!
//! Two tables: [`CHECKS`] are about the host, [`endpoint::CHECKS`] about each server that is to be reached. What no
//! program can look at is in the first one, for a person.

pub mod anchors;
pub mod endpoint;
pub mod firewall;
pub mod nft;
pub mod port;

use jiff::Timestamp;

use super::Severity::{Error, Note, Warning};
use super::{Check, Verdict};
use anchors::{CaFile, Held};
use firewall::Passage;
use port::Port;

/// A protocol over IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// Its name in rules of firewalls.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// What was seen of a host.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The time by which validity is judged.
    pub now: Timestamp,
    /// What the host trusts; nothing where that cannot be read.
    pub store: Option<Vec<Held>>,
    /// A file that may hold what is missing.
    pub ca_file: Option<CaFile>,
    /// The port of peer-to-peer content updates.
    pub port: u16,
    /// Who holds it, over TCP.
    pub tcp: Port,
    /// Over UDP.
    pub udp: Port,
    /// What the host's firewalls do with it, over TCP.
    pub tcp_passage: Passage,
    /// Over UDP.
    pub udp_passage: Passage,
}

impl Facts {
    fn held(&self, protocol: Protocol) -> &Port {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
        }
    }

    fn passage(&self, protocol: Protocol) -> &Passage {
        match protocol {
            Protocol::Tcp => &self.tcp_passage,
            Protocol::Udp => &self.udp_passage,
        }
    }
}

const ANCHOR: &str = "agents refuse servers whose authority is not in the store of the operating system (the vendor's page, step 3)";
const ADD: &str = "`demisto-install ca add FILE`";
const HELD: &str =
    "the agent serves content updates to its peers there, and nobody else can (the vendor's page, step 5)";
const MOVE: &str = "let that program use another port, or set another port in the Agent settings profile and give it with --p2p-port";
const PASSAGE: &str = "agents on the same subnet get content updates from each other over TCP and UDP (the vendor's page, step 5)";
const OPEN: &str = "let the firewall of this host accept the port from the same subnet, over TCP and UDP";
const LOOK: &str = "look there by hand";

/// The checks of a host.
pub const CHECKS: &[Check<Facts>] = &[
    Check {
        id: anchors::GO_DADDY_G2.id,
        severity: Error,
        what: "the host trusts GoDaddy Root Certificate Authority - G2",
        why: ANCHOR,
        fix: ADD,
        function: |facts| anchors::judge(&anchors::GO_DADDY_G2, facts),
    },
    Check {
        id: anchors::GO_DADDY_CLASS_2.id,
        severity: Error,
        what: "the host trusts GoDaddy Class 2 Root Certification Authority",
        why: ANCHOR,
        fix: ADD,
        function: |facts| anchors::judge(&anchors::GO_DADDY_CLASS_2, facts),
    },
    Check {
        id: anchors::GLOBALSIGN_R2.id,
        severity: Warning,
        what: "the host trusts GlobalSign Root CA - R2",
        why: ANCHOR,
        fix: ADD,
        function: |facts| anchors::judge(&anchors::GLOBALSIGN_R2, facts),
    },
    Check {
        id: "p2p-tcp",
        severity: Error,
        what: "the TCP port of peer-to-peer content updates is free, or the agent's",
        why: HELD,
        fix: MOVE,
        function: |facts| port::judge(Protocol::Tcp, facts),
    },
    Check {
        id: "p2p-udp",
        severity: Error,
        what: "the UDP port of peer-to-peer content updates is free, or the agent's",
        why: HELD,
        fix: MOVE,
        function: |facts| port::judge(Protocol::Udp, facts),
    },
    Check {
        id: "firewall-tcp",
        severity: Error,
        what: "no firewall of the host blocks the TCP port of peer-to-peer content updates",
        why: PASSAGE,
        fix: OPEN,
        function: |facts| firewall::judge(Protocol::Tcp, facts),
    },
    Check {
        id: "firewall-udp",
        severity: Error,
        what: "no firewall of the host blocks the UDP port of peer-to-peer content updates",
        why: PASSAGE,
        fix: OPEN,
        function: |facts| firewall::judge(Protocol::Udp, facts),
    },
    Check {
        id: "manual-broker-vm",
        severity: Note,
        what: "agents reach the broker VM, if there is one",
        why: "where a broker VM stands between agents and Cortex XDR, the way to it comes first (the vendor's page, step 1)",
        fix: LOOK,
        function: |_| {
            Verdict::manual(
                "if a broker VM is the agents' proxy, let them connect to it before anything else",
            )
        },
    },
    Check {
        id: "manual-app-id",
        severity: Note,
        what: "Palo Alto Networks firewalls allow the App-IDs of the agents",
        why: "security policy by App-ID knows the agents' traffic only with these content versions (the vendor's page, step 2)",
        fix: LOOK,
        function: |_| {
            Verdict::manual(
                "allow cortex-xdr, with content update 8279 or later, and traps-management-service, with 793 or later",
            )
        },
    },
    Check {
        id: "manual-resources",
        severity: Note,
        what: "firewalls allow what no App-ID covers",
        why: "App-IDs leave some servers, buckets and resources out; without App-ID the whole list counts (the vendor's page, step 2)",
        fix: LOOK,
        function: |_| {
            Verdict::manual(
                "take the names of your region from the vendor's list of resources for access to Cortex XDR, and give them here with --fqdn-file",
            )
        },
    },
    Check {
        id: "manual-windows-sha256",
        severity: Note,
        what: "old Windows endpoints know SHA-256",
        why: "without it agents 5.x get no connection (the vendor's page, step 3)",
        fix: LOOK,
        function: |_| {
            Verdict::manual(
                "install KB2868626 where an agent 5.x runs on 32-bit Windows XP SP3, Server 2003 SP2 or Server 2003 R2 SP2 (or a later service pack), or in FIPS mode on Windows Vista SP1 and later or Server 2008",
            )
        },
    },
    Check {
        id: "manual-windows-crl",
        severity: Note,
        what: "Windows endpoints fetch revocation lists over plain HTTP",
        why: "without them a signed program counts as not revoked, and starts late (the vendor's page, step 4)",
        fix: LOOK,
        function: |_| {
            Verdict::manual(
                "let Windows endpoints (Traps 6.0.3 and 6.1.1, Cortex XDR 7.0 and later) fetch over HTTP from addresses that depend on the programs they run; Windows uses the system's proxy for it and not one that only the agent knows. For isolated networks the vendor's support has a file that switches these checks off",
            )
        },
    },
    Check {
        id: "manual-p2p-agents",
        severity: Note,
        what: "agents are new enough for peer-to-peer content updates",
        why: "older agents fetch every update from Cortex XDR themselves (the vendor's page, step 5)",
        fix: LOOK,
        function: |facts| {
            Verdict::manual(format!(
                "agents 7.0 and later on Windows, 7.3 and later on Mac and Linux, on one subnet; the Agent settings profile sets the port, which is {} here, or download from the server alone",
                facts.port
            ))
        },
    },
    Check {
        id: "manual-check-in",
        severity: Note,
        what: "agents check in with the tenant",
        why: "only the console shows that an agent has its policy (the vendor's page, step 6)",
        fix: LOOK,
        function: |_| {
            Verdict::manual(
                "after an agent is installed, look in the console whether it checks in and has its policy",
            )
        },
    },
];
