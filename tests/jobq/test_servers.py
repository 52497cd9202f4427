#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cases of the command once more, on a server:  test_servers.py redis|postgres [WORD...]

An everyday run asks those that are marked for it, with JOBQ_TEST_FULL=1 all that say nothing about a file. With words only
those whose name has one of them. The server's address is in JOBQ_TEST_REDIS or JOBQ_TEST_POSTGRES.
"""
import importlib
import os
import sys
import unittest

import tool

MODULES = ('answers', 'outcomes', 'unknown', 'operator', 'manage', 'input', 'work', 'doctor', 'schedule', 'outbox', 'outbox_servers')


def wanted(store, case, name, words):
    test = getattr(case, name)
    if store not in getattr(test, 'stores', (store,)):
        return False
    if getattr(test, 'of_a_file', False):
        return False
    if words:
        return any(word in case.__name__ + '.' + name for word in words)
    return bool(os.environ.get('JOBQ_TEST_FULL')) or getattr(test, 'on_servers', False)


def main():
    store, words = sys.argv[1], sys.argv[2:]
    suite = unittest.TestSuite()
    for name in MODULES:
        module = importlib.import_module('test_' + name)
        for case in vars(module).values():
            if not (isinstance(case, type) and issubclass(case, tool.Case) and case.__module__ == module.__name__):
                continue
            there = type(case.__name__, (case,), {'store': store, '__module__': case.__module__})
            for test in unittest.defaultTestLoader.getTestCaseNames(there):
                if wanted(store, there, test, words):
                    suite.addTest(there(test))
    tool.run(suite)


if __name__ == '__main__':
    main()
