#!/bin/sh
# Starts a PostgreSQL server for tests and experiments. It listens on this machine's loopback, and has a password of its own.
#
#   sh ci/postgres        the data is deleted at the end; it is in memory, unless TMPDIR is set or the memory is small
#   sh ci/postgres DIR    the data, the password and the port stay in DIR for the next time
#
# The script prints the URL of the database as its first line. It ends with Ctrl-C, or when its input ends. It reads three
# words from its input, and confirms each with a line: `stop` and `start`, as at a restart, and `crash`.
# It needs PostgreSQL's server programs (Debian: postgresql) and perl. If root runs it, the server runs as another user,
# because PostgreSQL refuses to run as root.
set -eu

fail() {
    echo "$*" >&2
    exit 1
}

# --- Which programs, and who runs them ----------------------------------------------------------------

# Debian does not put these programs into the PATH. It has a folder for each version.
# shellcheck disable=SC2012 # versions are numbers
newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t / -k 5 -n | tail -n 1)
PATH=${newest:+$newest:}$PATH
command -v initdb >/dev/null || fail "There is no initdb. Install PostgreSQL's server (Debian: postgresql)."
version=$(initdb --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "$version" -ge 15 ] || fail "This is PostgreSQL $version; 15 or later is needed."

user=
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
fi
unprivileged() { if [ -n "$user" ]; then runuser -u "$user" -- "$@"; else "$@"; fi; }

# --- Its folder -----------------------------------------------------------------------------------------

temporary=
if [ $# -eq 0 ]; then
    temporary=yes
    # The data is in memory if there is enough of it. On ext4, a new file takes longer the more files were deleted in the last
    # minutes, and a database has three hundred files. Higher: more machines use their disk. Lower: tests can fill the memory.
    enough=2000000 # kilobytes
    free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "${free:-0}" -ge "$enough" ]; then TMPDIR=/dev/shm; fi
    dir=$(TMPDIR=${TMPDIR:-/tmp} mktemp -d)
    durability='-c fsync=off -c synchronous_commit=off -c full_page_writes=off'
else
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    durability=
fi
[ -z "$user" ] || chown "$user" "$dir"
cd "$dir"

running=
# shellcheck disable=SC2317 # the trap calls it
end() {
    trap '' INT TERM HUP
    [ -z "$running" ] || control stop -m fast >/dev/null || true
    [ -z "$temporary" ] || rm -rf "$dir"
}
control() { unprivileged pg_ctl --silent --wait -D "$dir/data" -l "$dir/log" "$@"; }
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ ! -d data ]; then
    (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >password)
    [ -z "$user" ] || chown "$user" password
    unprivileged initdb -D data -U postgres --pwfile=password --auth=scram-sha-256 --encoding=UTF8 \
        --locale=C --no-sync >log 2>&1 || fail "initdb: $(cat log)"
    # The password is sent as text: tests open thousands of connections, and hashing it each time is slow. It never leaves
    # the loopback.
    unprivileged sh -c 'echo "host all all 127.0.0.1/32 password" >data/pg_hba.conf'
    [ -z "$user" ] || chown "$user" log
fi

# --- Its port -------------------------------------------------------------------------------------------

free_port() {
    perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
        bind($s, sockaddr_in(0, INADDR_LOOPBACK)) or die;
        print((sockaddr_in(getsockname($s)))[0])'
}
start() {
    running=yes # also if it starts too late for this script
    control start -o "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c port=$port $durability" \
        >/dev/null
}

if [ -e port ]; then
    port=$(cat port)
    start || fail "PostgreSQL does not start: $(tail -n 5 log)"
else
    # Another program may take the port first.
    for attempt in 1 2 3 4 5; do
        port=$(free_port)
        if start; then break; fi
        [ "$attempt" -lt 5 ] || fail "PostgreSQL does not start: $(tail -n 5 log)"
    done
    echo "$port" >port
fi
echo "postgres://postgres:$(cat password)@127.0.0.1:$port/postgres"

# --- Until it is told to end ------------------------------------------------------------------------------

while read -r word; do
    case $word in
    stop) if control stop -m fast >/dev/null; then running= && echo stopped; else echo "failed: stop"; fi ;;
    crash) if control stop -m immediate >/dev/null; then running= && echo crashed; else echo "failed: crash"; fi ;;
    start) if start; then echo started; else echo "failed: start"; fi ;;
    *) echo "There is no word $word; the words are stop, start and crash." ;;
    esac
done
