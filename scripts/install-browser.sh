#!/bin/sh
# The portal's tests drive Debian's Chromium. Installs it where it is missing and we may; else says what to do.
set -eu
[ -x /usr/bin/chromium ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo 'Installing chromium'
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
	exit 0
fi
echo 'The tests of the portal need /usr/bin/chromium: run "apt-get install chromium" as root, or this script.' >&2
exit 1
