#!/bin/sh
# Builds the Debian package of the program BIN into the folder OUT; make deb calls it.
set -eu
umask 022
BIN=$1 OUT=$2 VERSION=$3 STAMP=$4
HERE=$(dirname "$0") TOP=$(dirname "$0")/../..
ARCH=$(dpkg --print-architecture)
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
DOC=$ROOT/usr/share/doc/cordon

install -d -m 0755 "$ROOT" "$ROOT/etc/cordon" "$DOC/runbooks" "$ROOT/DEBIAN"
install -D -m 0755 -s "$BIN" "$ROOT/usr/bin/cordon"
install -D -m 0644 -t "$ROOT/lib/systemd/system" "$TOP"/deploy/systemd/*.service
install -D -m 0644 -t "$DOC/examples" "$TOP"/deploy/systemd/*.conf "$TOP"/deploy/cordon-alerts.yml "$TOP"/deploy/cordon-dashboard.json
install -m 0644 "$HERE/cordon.yaml" "$ROOT/etc/cordon/cordon.yaml"
install -D -m 0644 "$HERE/overrides" "$ROOT/usr/share/lintian/overrides/cordon"
install -D -m 0644 "$HERE/cordon.1" "$ROOT/usr/share/man/man1/cordon.1"
install -m 0644 "$HERE/copyright" "$TOP"/DEPENDENCIES.md "$TOP"/CONFORMANCE.md "$TOP"/THREATS.md "$TOP"/docs/*.md "$DOC"
install -m 0644 "$TOP"/docs/runbooks/*.md "$DOC/runbooks"
cat >"$DOC/changelog" <<EOF
cordon ($VERSION) unstable; urgency=medium

  * See CHANGELOG.md of this version.

 -- Cordon developers <cordon@cordon.example>  $(date -u -R -d "@$STAMP")
EOF
gzip -9n "$DOC/changelog" "$ROOT/usr/share/man/man1/cordon.1"

sed -e "s/@VERSION@/$VERSION/" -e "s/@ARCH@/$ARCH/" -e "s/@SIZE@/$(du -sk --apparent-size "$ROOT" | cut -f1)/" "$HERE/control" >"$ROOT/DEBIAN/control"
install -m 0644 "$HERE/conffiles" "$ROOT/DEBIAN/conffiles"
install -m 0755 "$HERE/postinst" "$HERE/prerm" "$HERE/postrm" "$ROOT/DEBIAN"
(cd "$ROOT" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$ROOT/DEBIAN/md5sums"
chmod 0644 "$ROOT/DEBIAN/md5sums" "$ROOT/DEBIAN/control"
find "$ROOT" -newermt "@$STAMP" -exec touch -h -d "@$STAMP" {} +
mkdir -p "$OUT"
SOURCE_DATE_EPOCH=$STAMP dpkg-deb --build --root-owner-group -Z"${COMPRESS:-xz}" "$ROOT" "$OUT/cordon_${VERSION}_$ARCH.deb"
