# SPDX-License-Identifier: Apache-2.0
"""Writes by the Admin API and what goes on beside them: another process that has locked the store, and requests."""
import contextlib
import subprocess
import sys
import threading
import time

from tests.e2e.test_admin_store import storing
from tests.support import net, origin
from tests.support.gateway import Folder


@contextlib.contextmanager
def locked(path):
    """Another process writes, and does not come to an end."""
    program = ("import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None);"
               "d.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read(); d.execute('COMMIT')")
    with subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as other:
        assert other.stdout.readline() == "locked\n"
        yield
        other.stdin.close()


def test_locked_database(t):
    """A change waits for a moment; then it is refused, and nothing else has had to wait."""
    with origin.Origin() as upstream, Folder() as folder, storing(folder) as (running, admin):
        admin.json(201, "POST", "/services", {"name": "s", "url": upstream.url})
        admin.json(201, "POST", "/services/s/routes", {"name": "r", "paths": ["/"]})
        with locked(folder.file("store.db")):
            for method, target, body in (("POST", "/services", {"name": "t", "host": "h"}),
                                         ("PUT", "/services/t", {"host": "h"}),
                                         ("PATCH", "/services/s", {"retries": 1}), ("DELETE", "/routes/r", None)):
                with t.case(method):
                    begin = time.monotonic()
                    error = admin.json(503, method, target, body)
                    assert error == {"code": 8, "name": "database error",
                                     "message": "An unexpected error occurred: database is locked"}, error
                    assert time.monotonic() - begin < 5 * net.SLOW_FACTOR
            with t.case("what was asked is not in force"):
                assert [(s["name"], s["retries"]) for s in admin.json(200, "GET", "/services")["data"]] == [("s", 5)]
                assert running.get("/").status == 200
            with t.case("a reload reads"):
                running.reload({"_format_version": "3.0"})
                net.wait_until(lambda: "reload done" in running.stderr(), what="the reload")
        assert "database is locked" in running.stderr()
        with t.case("a header says when to come again"):
            with locked(folder.file("store.db")):
                answer = admin.ask("DELETE", "/routes/r")
                assert answer.status == 503 and answer.get("retry-after") == "1", answer
        with t.case("afterwards"):
            admin.json(201, "POST", "/services", {"name": "t", "host": "h"})
            assert admin.json(204, "DELETE", "/routes/r") is None and running.get("/").status == 404
    with Folder() as folder, storing(folder, store_lock_timeout="30") as (_, admin):
        with t.case("a setting says how long"), locked(folder.file("store.db")):
            answers = []
            asker = threading.Thread(target=lambda: answers.append(
                admin.ask("POST", "/services", {"name": "s", "host": "h"})))
            asker.start()
            asker.join(1)
            assert not answers
        asker.join(30)
        assert answers[0].status == 201, answers


def config_of(upstream, count):
    services = [{"name": "s%d" % i, "url": upstream.url, "routes": [
        {"name": "r%d-%d" % (i, k), "paths": ["/s%d/r%d" % (i, k)]} for k in range(10)]} for i in range(count // 10)]
    return {"_format_version": "3.0", "services": services}


def test_writes_beside_traffic(t):
    """Among a thousand routes one comes, changes and goes; no request to the others fails, or waits for long."""
    with origin.Origin(keep_bodies=False) as upstream, Folder() as folder:
        with storing(folder, config_of(upstream, 1000)) as (running, admin):
            stop, results, failures = threading.Event(), [], []

            def ask_on_one_connection(data):
                with running.connect() as connection:
                    while not stop.is_set():
                        begin = time.monotonic()
                        answer = connection.send(data).read()
                        results.append((answer.status, time.monotonic() - begin))
                        if answer.closing:  # a fast machine comes to keepalive_requests
                            return

            def ask(path):
                try:
                    while not stop.is_set():
                        ask_on_one_connection(b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n" % path)
                except (OSError, AssertionError) as error:
                    failures.append(error)
            askers = [threading.Thread(target=ask, args=(b"/s%d/r5" % i,)) for i in (0, 99)]
            for asker in askers:
                asker.start()
            try:
                net.wait_until(lambda: len(results) > 20, what="requests")
                for i in range(5):
                    admin.json(201, "POST", "/services/s1/routes", {"name": "x", "paths": ["/x%d" % i]})
                    assert running.get("/x%d" % i).status == 200
                    admin.json(200, "PATCH", "/routes/x", {"paths": ["/y%d" % i]})
                    assert (running.get("/x%d" % i).status, running.get("/y%d" % i).status) == (404, 200)
                    assert admin.ask("DELETE", "/routes/x").status == 204
                    assert running.get("/y%d" % i).status == 404
            finally:
                stop.set()
                for asker in askers:
                    asker.join()
            with t.case("no request has failed"):
                assert {status for status, _ in results} == {200} and not failures, (failures, results[-9:])
            with t.case("none has waited for long"):
                slowest = max(seconds for _, seconds in results)
                assert slowest < 3 * net.SLOW_FACTOR, "%.3f s of %d requests" % (slowest, len(results))


test_writes_beside_traffic.seconds = 60
