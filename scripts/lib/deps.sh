# shellcheck shell=bash
# Installs the Debian packages that a script needs. Sourced, never run.
#
#   need_packages gcc:gcc /usr/share/perl/5.36:perl ...
#
# Each argument is WHAT:PACKAGE. WHAT is a command, an absolute path (globs allowed) or `perl=MODULE`.
# What is there is not touched. What is missing is installed when we are root, and named otherwise:
# a missing tool stops the script, it never becomes a skipped test.

# To compile the program with its own copy of OpenSSL.
# shellcheck disable=SC2034  # the lists are for those who source this file
BUILD_PACKAGES=(gcc:gcc /usr/include/stdlib.h:libc6-dev make:make perl=FindBin:perl perl=IPC::Cmd:perl pkg-config:pkg-config)

# To sign the demo release and to look at the installed service from outside.
# shellcheck disable=SC2034
QUICKSTART_PACKAGES=(curl:curl openssl:openssl gpg:gpg gpg-agent:gpg-agent gpgconf:gpgconf)

# The real programs that the tests compare with, talk to or run inside.
# shellcheck disable=SC2034
TEST_PACKAGES=(
    gpg:gpg gpg-agent:gpg-agent gpgconf:gpgconf gpgv:gpgv sq:sq sqv:sqv
    rpm:rpm rpmkeys:rpm rpmsign:rpm rpmbuild:rpm rpm2cpio:rpm2cpio makeself:makeself
    openssl:openssl zstd:zstd xz:xz-utils bzip2:bzip2 pigz:pigz pbzip2:pbzip2 tar:tar gzip:gzip
    mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs mount:mount
    strace:strace expect:expect curl:curl shellcheck:shellcheck less:less useradd:passwd kill:procps setcap:libcap2-bin
    getcap:libcap2-bin ssh-keygen:openssh-client certutil:libnss3-tools pk12util:libnss3-tools chromium:chromium trust:p11-kit
    python3:python3 pdftotext:poppler-utils
    nft:nftables ip:iproute2 ss:iproute2 unshare:util-linux
    podman:podman newuidmap:uidmap git:git script:bsdutils mkfs.ext4:e2fsprogs ss:iproute2
)

# To boot systemd in containers.
# shellcheck disable=SC2034
CONTAINER_PACKAGES=(
    mmdebstrap:mmdebstrap systemd-nspawn:systemd-container ip:iproute2
    nsenter:util-linux unshare:util-linux flock:util-linux setsid:util-linux mount:mount
)

# Administrators' tools live in sbin, which is not on everyone's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# have_tool WHAT: is this command, path or Perl module there?
have_tool() {
    case $1 in
        perl=*) command -v perl >/dev/null && perl -M"${1#perl=}" -e 1 2>/dev/null ;;
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v -- "$1" >/dev/null ;;
    esac
}

# missing_of WHAT:PACKAGE...: prints those whose WHAT is absent, one per line.
missing_of() {
    local need what
    for need in "$@"; do
        what=${need%:*}
        have_tool "$what" || printf '%s\n' "$need"
    done
}

# need_packages WHAT:PACKAGE...: returns only if all is there; exits 2 otherwise.
need_packages() {
    local missing packages
    mapfile -t missing < <(missing_of "$@")
    ((${#missing[@]})) || return 0
    mapfile -t packages < <(printf '%s\n' "${missing[@]##*:}" | sort -u)
    if ! command -v apt-get >/dev/null; then
        printf 'missing: %s\n' "${missing[*]%:*}" >&2
        printf 'This is not a Debian system: install what provides them (Debian packages: %s), then run again.\n' \
            "${packages[*]}" >&2
        exit 2
    fi
    if ((EUID != 0)); then
        printf 'missing: %s\n' "${missing[*]%:*}" >&2
        printf 'Install them, then run again:\n\n    sudo apt-get install --no-install-recommends %s\n\n' \
            "${packages[*]}" >&2
        exit 2
    fi
    printf 'installing: %s\n' "${packages[*]}"
    apt_install "${packages[@]}" || { printf 'second try in 10 s\n' && sleep 10 && apt_install "${packages[@]}"; } || {
        printf 'apt-get could not install: %s\n' "${packages[*]}" >&2
        exit 2
    }
    mapfile -t missing < <(missing_of "$@")
    ((${#missing[@]} == 0)) || {
        printf 'still missing after apt-get install: %s\n' "${missing[*]}" >&2
        exit 2
    }
}

# One attempt. Lists that cannot be fetched are no failure yet: another source than ours may be down.
apt_install() {
    local log
    log=$(mktemp)
    if ! { apt_quiet update || true; apt_quiet install --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

apt_quiet() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}
