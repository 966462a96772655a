# SPDX-License-Identifier: MIT
# What `make run` shows without a terminal: DHCP, name look-up, download, upload, ping.
port=$(arg port)
bad=0
step() {        # step NAME COMMAND...: runs it, says how it went
	what=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		say "ok      $what"
	else
		say "FAILED  $what"
		bad=1
	fi
	sed 's/^/    /' /tmp/out | tail -n 4
}
lookup() { nslookup demo.tenbox.test 10.0.2.3 | tee /tmp/lookup && grep -q 192.0.2.42 /tmp/lookup; }
download() { wget -q -O /tmp/file http://10.0.2.2:$port/random/4194304 && want=$(wget -q -O - http://10.0.2.2:$port/sha256/4194304) &&
	     got=$(sha256sum </tmp/file | cut -d' ' -f1) && echo "sha256 $got" && [ "$got" = "$want" ]; }
upload() { got=$(put /upload /tmp/file) && echo "the host received sha256 $got" && [ "$got" = "$(sha256sum </tmp/file | cut -d' ' -f1)" ]; }
step "DHCP gives an address" net
step "a name is looked up through 10.0.2.3" lookup
step "4 MB come from the host, whole" download
step "4 MB go to the host, whole" upload
step "the gateway answers ping" ping -c 3 10.0.2.2
[ $bad = 0 ] && say "all of it worked" || say "something failed"
