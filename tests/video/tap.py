# SPDX-License-Identifier: MIT
"""Runs unittest cases and writes TAP."""
import sys
import traceback
import unittest


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def _line(self, good, test, detail=""):
        self.number += 1
        print(f"{'' if good else 'not '}ok {self.number} - {test._testMethodName}")
        for line in detail.splitlines():
            print("# " + line)
        sys.stdout.flush()

    def addSuccess(self, test):
        self._line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(False, test, "".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        if hasattr(test, "_testMethodName"):
            self._line(False, test, "".join(traceback.format_exception(*err)))
        else:   # in setUpClass or setUpModule: no test of its own
            self.number += 1
            print(f"not ok {self.number} - {test}")
            print("".join("# " + line + "\n" for line in "".join(traceback.format_exception(*err)).splitlines()))

    def addSkip(self, test, reason):
        self._line(False, test, "a skipped test proves nothing: " + reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._line(False, test, f"{subtest}\n" + "".join(traceback.format_exception(*err)))


def main(module="__main__"):
    """All tests of the module, or those named on the command line; returns the exit status."""
    result = _Result()
    loader = unittest.defaultTestLoader
    owner = sys.modules[module]
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names, owner) if names else loader.loadTestsFromModule(owner)
    suite.run(result)
    print(f"1..{result.number}")
    return 0 if result.wasSuccessful() and result.number > 0 else 1
