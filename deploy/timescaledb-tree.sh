#!/bin/bash
# Makes a relocatable tree of PostgreSQL 17 with TimescaleDB (Apache edition): no root, no chroot, no container.
#
#   deploy/timescaledb-tree.sh [TARGET]        TARGET: var/timescaledb of this repository when not given
#
# The packages are Debian 13's, fetched by apt from the mirror this host already uses and unpacked with dpkg. They need a
# newer C library than older hosts have, so the tree brings its own, and small wrappers start every program through
# the tree's own loader. Nothing outside TARGET is written. Run again: nothing happens when the tree works already.
#
# Needs: Debian (or a derivative that lists a Debian mirror) on amd64, apt, dpkg, about 300 MB while it works, 82 MB after.
# DEBIAN_SOURCES=FILE names a deb822 or one-line sources file to use in place of the host's own.
set -euo pipefail
export LC_ALL=C

major=17
release=trixie
home=$(cd "$(dirname "$0")/.." && pwd)
target=$(realpath -m "${1:-$home/var/timescaledb}")
server=usr/lib/postgresql/$major

fail() { echo "timescaledb-tree: $*" >&2; exit 1; }

works() { [ -e "$1/$server/lib/timescaledb.so" ] && "$1/$server/bin/postgres" --version > /dev/null 2>&1; }

if works "$target"; then echo "$target is there already: $("$target/$server/bin/postgres" --version)"; exit 0; fi
[ ! -e "$target" ] || fail "$target exists but holds no working tree; remove it first"
[ "$(uname -s)" = Linux ] && [ "$(uname -m)" = x86_64 ] || fail "only Linux on x86_64 is known to work, this is $(uname -sm)"
for tool in apt-get dpkg; do command -v $tool > /dev/null || fail "needs $tool, that is a Debian-like host"; done

# The host's own mirror, pointed at the release that has the packages.
codename=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
sources=${DEBIAN_SOURCES:-}
if [ -z "$sources" ]; then
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        if [ -e "$file" ] && grep -Eq '^(URIs:|deb ).*debian' "$file"; then sources=$file; break; fi
    done
fi
[ -n "$sources" ] || fail "no list of a Debian mirror found on this host; name one with DEBIAN_SOURCES=FILE"
[ -r "$sources" ] || fail "cannot read $sources"

parent=$(dirname "$target"); mkdir -p "$parent"
work=$(mktemp -d "$parent/.timescaledb-XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root; apt=$work/apt; debs=$work/debs
mkdir -p "$root" "$apt/lists/partial" "$apt/cache/archives/partial" "$debs"
chmod 755 "$work" "$root"

case $sources in *.sources) list=$apt/tree.sources ;; *) list=$apt/tree.list ;; esac
sed "s/${codename:-$release}/$release/g" "$sources" > "$list"
cat > "$apt/apt.conf" <<CONF
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::sourcelist "$list";
Dir::State "$apt"; Dir::State::status "/dev/null"; Dir::State::lists "$apt/lists"; Dir::Cache "$apt/cache";
APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "3";
CONF
export APT_CONFIG=$apt/apt.conf

echo "fetching PostgreSQL $major and TimescaleDB of Debian $release ..."
apt-get update -qq
(cd "$debs" && apt-get download -qq postgresql-$major postgresql-client-$major postgresql-$major-timescaledb \
    libpq5 libc6 libgcc-s1 libstdc++6 libicu76 libxml2 libzstd1 liblz4-1 zlib1g liblzma5 libssl3t64 libpam0g libldap2 \
    libsasl2-2 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libsystemd0 libcap2 \
    libcap-ng0 libaudit1 libuuid1 libxxhash0 libgcrypt20 libgpg-error0)
for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done

# PostgreSQL finds its lib and share folders beside argv[0], so a tree that is moved or copied still works.
mkdir "$root/$server/real"
for program in postgres initdb pg_ctl pg_isready psql pg_dump pg_restore pg_basebackup pgbench; do
    mv "$root/$server/bin/$program" "$root/$server/real/$program"
    cat > "$root/$server/bin/$program" <<'WRAPPER'
#!/bin/sh
p=$(readlink -f "$0"); b=${p%/*}; u=${b%/lib/postgresql/17/bin}; l=$u/lib/x86_64-linux-gnu
exec "$l/ld-linux-x86-64.so.2" --library-path "$l" --argv0 "$p" "$b/../real/${p##*/}" "$@"
WRAPPER
    chmod 755 "$root/$server/bin/$program"
done

# Dead weight: compiler output for JIT (run with jit=off), documentation, upgrade scripts from older extension versions.
rm -rf "$root"/etc "$root"/usr/share/{locale,doc,man,lintian,bug} "$root/usr/share/postgresql/$major/man" \
    "$root/$server"/lib/{bitcode,pgxs,llvmjit.so} "$root"/usr/lib/x86_64-linux-gnu/{gconv,engines-3,ossl-modules}
find "$root/usr/share/postgresql/$major/extension" -name 'timescaledb--*--*.sql' -delete

works "$root" || fail "the tree was unpacked but its postgres does not start: $("$root/$server/bin/postgres" --version 2>&1)"
mv "$root" "$target"
echo "$target: $("$target/$server/bin/postgres" --version), $(du -sm "$target" | cut -f1) MB"
