#!/bin/sh
# Installs those of the given packages that are not there, and says which and what for.
#   install-missing.sh REASON PACKAGE...
set -eu
reason=$1
shift
missing=""
for package; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" \
    || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing$missing ($reason)"
[ "$(id -u)" = 0 ] && run="" || run=sudo
$run apt-get update -qq
# shellcheck disable=SC2086
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
