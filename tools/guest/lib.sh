# SPDX-License-Identifier: MIT
# Shell functions of the guest's scripts.
say() { echo "tenbox-guest: $*"; }
arg() { sed -n "s/.*tenbox\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }      # a value from the kernel's command line
# put URLPATH FILE: HTTP PUT to the host's server; prints the server's answer (the sha256 that arrived)
put() {
	{ printf 'PUT %s HTTP/1.0\r\nHost: 10.0.2.2\r\nContent-Length: %d\r\n\r\n' "$1" "$(stat -c %s "$2")"; cat "$2"; } |
		nc 10.0.2.2 "$port" | tail -n 1
}
