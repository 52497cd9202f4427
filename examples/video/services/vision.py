#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Face and gesture analysis: as a service that is posted to and calls back, or once over one file.

    vision.py --once STEP FILE                            prints the result; exit 0, or 1 when it failed
    vision.py --once emotion FILE --model MODEL           the same with a model that the user brings
    vision.py --listen ADDRESS:PORT --secret-file FILE --media DIR [OPTIONS]
"""
import argparse
import json
import os
import signal
import sys

sys.dont_write_bytecode = True  # the folder may be part of a source tree

from footage import Outcome, die_with_parent, limit_memory, step_back   # noqa: E402

STEPS = ("face", "gesture")
TIME_LIMIT_S = 300
MEMORY_LIMIT_BYTES = 4 << 30


def _analyse(step, path, model):
    if model is not None:
        import step_emotion
        return step_emotion.run(path, model)
    if step == "face":
        import step_face
        return step_face.run(path)
    import step_gesture
    return step_gesture.run(path)


def _out_of_time(_signal, _frame):
    raise Outcome("failed", "the time limit has passed")


def once(step, path, model=None):
    """One step over one file; returns the report. Never raises."""
    report = {"step": step, "status": "failed"}
    if "JOBQ_DIE_WITH" not in os.environ:   # the service has its own limit, and ends all of us
        signal.signal(signal.SIGALRM, _out_of_time)
        signal.alarm(TIME_LIMIT_S)
    try:
        result = _analyse(step, path, model)
        report["status"] = "ok"
        report.update(result)
    except Outcome as outcome:
        report["status"], report["reason"] = outcome.status, outcome.reason
        if outcome.package:
            report["package"] = outcome.package
    except MemoryError:
        report["reason"] = "out of memory"
    except Exception as error:  # a definite answer whatever OpenCV thinks of a picture
        report["reason"] = f"{type(error).__name__}: {error}"[:300]
    finally:
        signal.alarm(0)
    return report


def run_once(step, path, model=None):
    if os.environ.get("JOBQ_DIE_WITH", "").isdigit():   # set by the service for its own children
        die_with_parent(int(os.environ["JOBQ_DIE_WITH"]))
        step_back()
    limit_memory(MEMORY_LIMIT_BYTES)
    report = once(step, path, model)
    json.dump(report, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")
    return 1 if report["status"] == "failed" else 0


def _parser():
    parser = argparse.ArgumentParser(prog="vision.py", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--once", nargs=2, metavar=("STEP", "FILE"),
                        help="analyse one file and print the result")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="port 0 takes a free one; it is printed")
    parser.add_argument("--secret-file", metavar="FILE",
                        help="one whsec_ secret a line; the first signs, all verify; mode 0600")
    parser.add_argument("--media", metavar="DIR", help="only files below it are read")
    parser.add_argument("--steps", default=",".join(STEPS), help="what is offered (default %(default)s)")
    parser.add_argument("--concurrency", type=int, default=2, metavar="N",
                        help="analyses at a time (default 2)")
    parser.add_argument("--backlog", type=int, default=None, metavar="N",
                        help="accepted analyses that may wait (default: as many as run)")
    parser.add_argument("--time-limit", type=int, default=TIME_LIMIT_S, metavar="S", help="for one analysis")
    parser.add_argument("--callback-allow", action="append", default=[], metavar="HOST:PORT",
                        help="where results may be posted; may be repeated (default: this machine, any port)")
    return parser


def _check(parser, options):
    for name in ("listen", "secret_file", "media"):
        if not getattr(options, name):
            parser.error(f"--{name.replace('_', '-')} is needed")
    options.steps = [s for s in options.steps.split(",") if s]
    unknown = [s for s in options.steps if s not in STEPS]
    if unknown or not options.steps:
        parser.error(f"--steps: {', '.join(STEPS)}")
    if not 1 <= options.concurrency <= 256:
        parser.error("--concurrency: 1 to 256")
    if options.backlog is None:
        options.backlog = options.concurrency
    if not 0 <= options.backlog <= 10000:
        parser.error("--backlog: 0 to 10000")
    if not 1 <= options.time_limit <= 86400:
        parser.error("--time-limit: 1 to 86400 seconds")


def main(arguments):
    # By hand first: a file's name may begin with a '-'.
    if len(arguments) == 5 and arguments[:2] == ["--once", "emotion"] and arguments[3] == "--model":
        return run_once("emotion", arguments[2], arguments[4])
    if len(arguments) == 3 and arguments[0] == "--once":
        if arguments[1] in STEPS:
            return run_once(arguments[1], arguments[2])
        print(f"vision.py: no such step; there are {', '.join(STEPS)}", file=sys.stderr)
        return 2
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.once:
        parser.error("--once STEP FILE stands alone")
    _check(parser, options)
    import service
    return service.serve(options, os.path.abspath(__file__))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
