# SPDX-License-Identifier: MIT
"""Runs all tests, or those whose names hold one of the words given."""
import sys

import netns

netns.enter()
import test_program  # noqa: E402,F401  the order of import is the order of the tests
import test_dhcp  # noqa: E402,F401
import test_dns  # noqa: E402,F401
import test_tftp  # noqa: E402,F401
import test_forward  # noqa: E402,F401
import test_rules  # noqa: E402,F401
sys.exit(netns.run_cases(netns.CASES, sys.argv[1:]))
