# SPDX-License-Identifier: MIT
"""Runs all guest tests, or those whose names hold one of the words given."""
import sys

import test_errors  # noqa: F401  the order of import is the order of the tests
import test_hostile  # noqa: F401
import test_bare  # noqa: F401
import test_accel  # noqa: F401
import test_boot  # noqa: F401
import test_ipv6  # noqa: F401
import test_options  # noqa: F401
import test_core  # noqa: F401
from tenbox import CASES, run

sys.exit(run(CASES, sys.argv[1:]))
