# shellcheck shell=bash
# What the measurements have in common: payloads out of this machine's own files, a key, and what machine it is.
# Sourced with $work, where everything is written, $times, a file in it, and $key, the beginning of the key's names.
# `make_key` sets $gnupg.

say() {
    printf '%s\n' "$*" >&2
}

# Files of this machine, directory by directory: SIZE PATH with a tab between. The directories come in the
# order of a checksum of their paths: mixed, and always the same.
candidates() {
    find /usr/bin /usr/lib /usr/share -xdev -type f ! -perm /7000 -readable -size +0 -size -128M \
        -printf '%s\t%p\n' 2>/dev/null |
        awk -F '\t' 'NF == 2 && $2 !~ /[^ -~]/ {
            h = 5381
            dir = $2
            sub("/[^/]*$", "", dir)
            for (i = length(dir); i > 0; i--)
                h = (h * 33 + index("/abcdefghijklmnopqrstuvwxyz0123456789-_.+ABCDEFGHIJKLMNOPQRSTUVWXYZ", substr(dir, i, 1))) % 4294967291
            printf "%d\t%s\t%s\n", h, $1, $2
        }' | sort -k1,1n -k3 | cut -f 2-
}

# choose MIB FILES: first so many small files, then large ones until the size is reached.
choose() {
    awk -F '\t' -v want=$(($1 * 1048576)) -v files="$2" '
        $1 < 1048576 { if (small < files && sum + $1 <= want) { small++; sum += $1; print $2 } next }
        { large[++n] = $2; bytes[n] = $1 }
        END { for (i = 1; i <= n; i++) if (sum + bytes[i] <= want) { sum += bytes[i]; print large[i] } }' "${work:?}/candidates"
}

# generate DIR MIB FILES: what the machine has too little of. Half of each file is a cipher's key stream,
# which does not shrink, and half is text.
generate() {
    local dir=$1 number have left=0 each i=0 count
    have=$(find "$dir" -type f | wc -l)
    number=$(($3 > have ? $3 - have : 0))
    left=$(($2 * 1048576 - $(bytes "$dir")))
    ((left > 1048576 || number > 0)) || return 0
    ((left > 0)) || left=$((number * 512))
    mkdir -p -- "$dir/generated"
    count=$((number + left / 16777216 + 1)) each=$((left / (number + left / 16777216 + 1)))
    ((each >= 16)) || each=16
    say "  $count generated files of $each bytes"
    while ((i < count)); do
        {
            head -c $((each / 2)) /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032x $i)" -iv "$(printf %032x $i)"
            head -c $((each - each / 2)) < <(yes "event $i: nothing happened, and nothing was expected to")
        } >"$dir/generated/$(printf %06d $i)"
        ((i += 1))
    done
}

# bytes DIR: of all files in it.
bytes() {
    find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'
}

# make_tree DIR MIB FILES
make_tree() {
    mkdir -p -- "$1/tree"
    choose "$2" "$3" | sed 's,^/,,' >"$work/list"
    tar -C / -c --no-recursion --verbatim-files-from -T "$work/list" | tar -C "$1/tree" -x --no-same-owner
    chmod -R u+rwX -- "$1/tree"
    generate "$1/tree" "$2" "$3"
    printf 'Made for a measurement; not for use.\n' >"$1/tree/EULA.txt"
    cp -- examples/reference-product/product/server/{product.toml,demisto.conf,demisto.service} "$1"
}

make_key() {
    gnupg=$(mktemp -d /tmp/demisto-bench.XXXXXX) # gpg's agent cannot use a long path
    gpg --homedir "$gnupg" --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key \
        'Key of a measurement <bench@example.invalid>' rsa3072 sign 2d 2>/dev/null
    (umask 077 && gpg --homedir "$gnupg" --batch --quiet --armor --export-secret-keys >"${key:?}.secret")
    gpg --homedir "$gnupg" --batch --quiet --armor --export >"$key.public"
    (umask 077 && openssl rand -hex 16 | sed 's/$/Aa1/' >"$work/password")
    printf '{"accept_eula": true, "port": 8443, "admin_name": "admin", "start": false}\n' >"$work/answers"
}

facts() {
    printf '%s processors (%s), kernel %s, %s, %s MiB of memory, %s\n' "$(nproc)" \
        "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(uname -r)" \
        "$(df --output=fstype "$work" | tail -n 1)" "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" \
        "$(date -u +%Y-%m-%d)"
    printf '%s; %s; %s\n' "$(openssl version | cut -d ' ' -f 1-2)" \
        "$(zstd --version | grep -o 'v[0-9.]*[0-9]' | sed 's/^/zstd /')" "$(tar --version | head -n 1)"
}

# What was written before has to be on disk, or it would be charged to the next.
settle() {
    sync -f "$work"
}

# measure NAME COMMAND...: adds a line NAME WALL CPU RSS WRITTEN (seconds, seconds, KiB, bytes) to the times. What is
# written are the blocks that the processes made dirty or wrote past the page cache, as the kernel accounts for them.
measure() {
    local name=$1 status=0
    shift
    /usr/bin/time -q -o "$work/time" -f '%e %U %S %M %O' "$@" >"$work/said" 2>&1 || status=$?
    if ((status)); then
        tail -n 30 -- "$work/said" >&2
        die "failed with status $status: $*"
    fi
    awk -v name="$name" 'END { printf "%s %s %.2f %d %.0f\n", name, $1, $2 + $3, $4, $5 * 512 }' "$work/time" >>"${times:?}"
}

# of NAME COLUMN: the median.
of() {
    awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$times" | sort -g |
        awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# range NAME: of the times.
range() {
    awk -v name="$1" '$1 == name { print $2 }' "$times" | sort -g | awk 'NR == 1 { a = $1 } { b = $1 } END { printf "%s to %s", a, b }'
}

ratio() { # TEXT NUMERATOR DENOMINATOR AIM
    awk -v text="$1" -v a="$2" -v b="$3" -v aim="$4" 'BEGIN { printf "%-58s %6.2f   %s\n", text, a / (b > 0 ? b : 0.01), aim }'
}

# timings TEXT NAME BYTES: a row with the times of NAME and its speed on so many bytes; `timings_head` is its head.
timings_head() {
    printf '%-42s %7s  %-16s %7s %8s %8s\n' 'median of the rounds' 'wall s' 'range' 'CPU s' 'MiB/s' 'RSS MiB'
}
timings() {
    awk -v text="$1" -v range="$(range "$2")" -v wall="$(of "$2" 2)" -v cpu="$(of "$2" 3)" -v rss="$(of "$2" 4)" -v bytes="$3" 'BEGIN {
        printf "%-42s %7.2f  %-16s %7.2f %8.0f %8.1f\n", text, wall, range, cpu, bytes / 1048576 / (wall > 0 ? wall : 0.01), rss / 1024 }'
}
