# SPDX-License-Identifier: Apache-2.0
"""Runs jobs in processes of their own, some at a time, with a time limit each, and counts their cases.

A job is a name and a function; the function gets a `Cases` to record single cases in. A job that records
nothing counts as one case. Whatever a job leaves running is ended with its process group; its temporary files
go as well.
"""
import contextlib
import os
import pickle
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback


REASON_CHARACTERS = 3000


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Cases:
    """What happened in one job: lists of names, and (name, reason) for what failed or was skipped."""

    def __init__(self, name):
        self.name = name
        self.passed, self.failed, self.skipped, self.notes = [], [], [], []

    @contextlib.contextmanager
    def case(self, name):
        """with t.case("x"): ... records x as passed or failed, and goes on either way."""
        full = "%s[%s]" % (self.name, name)
        try:
            yield
            self.passed.append(full)
        except Skip as e:
            self.skipped.append((full, str(e)))
        except Exception as e:
            self.failed.append((full, explain(e)))

    def run(self, function):
        before = len(self.passed) + len(self.failed) + len(self.skipped)
        try:
            function(self)
            if len(self.passed) + len(self.failed) + len(self.skipped) == before:
                self.passed.append(self.name)
        except Skip as e:
            self.skipped.append((self.name, str(e)))
        except Exception as e:
            self.failed.append((self.name, explain(e)))


def explain(error):
    """The message, and the line of the test that raised it."""
    stack = traceback.extract_tb(error.__traceback__)
    frames = [f for f in stack if "/tests/" in f.filename and "/support/" not in f.filename]
    place = "%s:%d: " % (os.path.basename(frames[-1].filename), frames[-1].lineno) if frames else ""
    text = str(error) or (frames[-1].line if frames else "")
    kind = "" if isinstance(error, AssertionError) else type(error).__name__ + ": "
    return place + kind + text


class Job:
    def __init__(self, name, function, seconds):
        self.name, self.function, self.seconds = name, function, seconds
        self.cases, self.data = Cases(name), b""

    def start(self):
        sys.stdout.flush()
        self.folder = tempfile.mkdtemp(prefix="sluice-test-")
        os.chmod(self.folder, 0o755)
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.child(writer)
        os.close(writer)
        self.started = time.monotonic()

    def child(self, writer):
        status = 1
        try:
            os.setpgid(0, 0)
            tempfile.tempdir = self.folder
            os.close(self.reader)
            self.cases.run(self.function)
            with os.fdopen(writer, "wb") as f:
                pickle.dump(self.cases, f)
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)

    def finish(self, reason):
        """Ends what is left of the job and collects its result; `reason` if it had to be stopped."""
        with contextlib.suppress(ProcessLookupError):
            if reason:
                os.kill(self.pid, signal.SIGKILL)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.reader)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.took = time.monotonic() - self.started
        try:
            self.cases = pickle.loads(self.data)
        except Exception:
            self.cases.failed.append((self.name, reason or "the test process died"))
        return self.cases

    def read(self):
        """Takes what the child has written; True at its end."""
        part = os.read(self.reader, 1 << 16)
        self.data += part
        return not part


def run_jobs(jobs, at_once, done):
    """Starts all jobs, `at_once` at a time, and calls done(job) as each ends."""
    waiting, running = list(jobs), selectors.DefaultSelector()
    while waiting or running.get_map():
        while waiting and len(running.get_map()) < at_once:
            job = waiting.pop(0)
            job.start()
            running.register(job.reader, selectors.EVENT_READ, job)
        events = running.select(0.2)
        for job in [key.data for key in running.get_map().values()]:
            late = time.monotonic() - job.started > job.seconds
            ready = any(key.data is job for key, _ in events)
            if (ready and job.read()) or late:
                running.unregister(job.reader)
                job.finish("no end after %d s" % job.seconds if late else None)
                done(job)


class Report:
    """Prints failures as they come, and the counts as the last line."""

    def __init__(self, verbose):
        self.verbose, self.passed, self.failed, self.skipped = verbose, 0, 0, 0

    def done(self, job):
        cases = job.cases
        for name, reason in cases.failed:
            print("FAIL %s: %s" % (name, "\n    ".join(reason[:REASON_CHARACTERS].splitlines())))
        for name, reason in cases.skipped if self.verbose else []:
            print("skip %s: %s" % (name, reason))
        for note in cases.notes:
            print(note)
        if self.verbose:
            counts = (job.name, len(cases.passed), len(cases.failed), job.took)
            print("%-48s %4d passed %3d failed %6.2f s" % counts)
        self.passed += len(cases.passed)
        self.failed += len(cases.failed)
        self.skipped += len(cases.skipped)
        sys.stdout.flush()

    def end(self):
        skipped = ", %d skipped" % self.skipped if self.skipped else ""
        print("%d passed, %d failed%s" % (self.passed, self.failed, skipped))
        return 0 if self.failed == 0 and self.passed else 1
