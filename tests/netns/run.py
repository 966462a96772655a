# SPDX-License-Identifier: MIT
"""Runs all tests, or those whose names hold one of the words given."""
import glob
import importlib
import os
import sys

import netns

if not netns.possible():
    sys.exit(0)
for path in sorted(glob.glob(os.path.join(netns.HERE, "test_*.py"))):
    importlib.import_module(os.path.basename(path)[:-3])
sys.exit(netns.run_cases(netns.CASES, sys.argv[1:]))
