# SPDX-License-Identifier: Apache-2.0
"""proxy-cache against the HTTP caching tests of cache-tests.fyi (RFC 9111). Counted are those that the suite calls
required; what it calls optimal, or a mere check of behaviour, is no matter of right and wrong."""
import json
import os
import subprocess
import tempfile

from tests.support import gateway, net

PACKAGE = "http-cache-tests@0.4.5"
INSTALL = [["npm", "install", "--no-save", "--no-audit", "--ignore-scripts", "--prefix", ".", "{}"]]
AGE = "RFC 9111 5.1: an invalid Age is ignored, and the first of several counts; the suite is older"
OWN_ERROR = "the 502 is the gateway's own; without the origin's fields the suite takes it for a stored response"
KNOWN = {
    **{"age-parse-" + name: AGE for name in (
        "nonnumeric", "negative", "float", "prefix-twoline", "dup-0", "dup-0-twoline", "dup-old", "parameter",
        "numeric-parameter")},
    **{"stale-close-" + name: OWN_ERROR for name in (
        "must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2")},
    "304-etag-update-response-Content-Type": "the suite's origin sends another Content-Type than the test asks for",
}


def configuration(port):
    plugin = {"cache_control": True, "strategy": "memory", "cache_ttl": 300, "storage_ttl": 3600,
              "content_type": ["*/*"], "response_code": list(range(200, 600)),
              "request_method": ["GET", "HEAD"], "vary_headers": []}
    out = gateway.simple_config("http://127.0.0.1:%d" % port)
    out["services"][0]["plugins"] = [{"name": "proxy-cache", "config": plugin}]
    return out


def required_tests(package):
    """{id: the test} of those that are for shared caches."""
    program = "import tests from './tests/index.mjs'; console.log(JSON.stringify(tests))"
    done = subprocess.run(["node", "--input-type=module", "-e", program], cwd=package, capture_output=True, check=True)
    suites = json.loads(done.stdout)
    return {test["id"]: test for suite in suites for test in suite["tests"]
            if test.get("kind", "required") == "required" and not test.get("browser_only")}


def run(place, only):
    package = os.path.join(place, "node_modules", "http-cache-tests")
    port = net.free_port()
    with tempfile.TemporaryDirectory() as folder:
        origin_environment = {**os.environ, "npm_config_protocol": "http", "npm_config_port": str(port),
                              "npm_config_pidfile": os.path.join(folder, "pid")}
        origin = subprocess.Popen(["node", "server/server.mjs"], cwd=package, env=origin_environment,
                                  stdout=subprocess.PIPE)
        try:
            assert origin.stdout.readline().startswith(b"Listening"), "the suite's origin does not start"
            with gateway.Gateway(configuration(port), {"shards": "1"}) as running:
                environment = {**os.environ, "npm_config_base": "http://%s:%d" % running.address,
                               "npm_package_config_id": only or ""}
                done = subprocess.run(["node", "--no-warnings", "cli.mjs"], cwd=package, env=environment,
                                      capture_output=True, text=True, check=True)
        finally:
            origin.terminate()
            origin.wait()
    if only:
        print(done.stdout)
        return
    results = json.loads(done.stdout[done.stdout.index("{"):])
    for name in required_tests(package):
        outcome = results.get(name)
        if outcome is True:
            yield name, True, None
        elif outcome is None or outcome[0] in ("Setup", "retry"):
            yield name, None, None
        else:
            yield name, False, " ".join(str(word) for word in outcome)
