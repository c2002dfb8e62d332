# SPDX-License-Identifier: Apache-2.0
"""kong_upstream_target_health: how targets are, as Kong's prometheus plugin tells it."""
import re
import shutil
import subprocess

from tests.e2e.test_metrics import KONGS, scraped
from tests.support import dns, net, origin
from tests.support.runner import Skip

NAME = "kong_upstream_target_health"
STATES = ["healthchecks_off", "healthy", "unhealthy", "dns_error"]
LINE = re.compile(NAME + r'{upstream="([^"]*)",target="([^"]*)",address="([^"]*)",state="(\w+)",subsystem="http"} '
                         r"([01])$")
CHECKS = {"active": {"http_path": "/probe", "healthy": {"interval": 0.05, "successes": 1},
                     "unhealthy": {"interval": 0.05, "http_failures": 1, "tcp_failures": 1, "timeouts": 1}}}


def states(text):
    """{(upstream, target, address): state}, each of which has a line for every state."""
    found = {}
    for line in text.splitlines():
        if line.startswith(NAME):
            upstream, target, address, state, value = LINE.match(line).groups()
            lines = found.setdefault((upstream, target, address), {})
            assert state not in lines, line
            lines[state] = value
    for lines in found.values():
        assert list(lines) == STATES and list(lines.values()).count("1") == 1, lines
    return {key: next(state for state in STATES if lines[state] == "1") for key, lines in found.items()}


def config_of(upstreams, wanted=True, **plugin):
    return {"_format_version": "3.0", "upstreams": upstreams,
            "plugins": [{"name": "prometheus", "config": {"upstream_health_metrics": wanted}, **plugin}],
            "services": [{"name": "s", "host": "127.0.0.1", "port": 9, "routes": [{"name": "r", "paths": ["/"]}]}]}


def upstream(name, *targets, **fields):
    return {"name": name, **fields, "targets": [{"target": target} for target in targets]}


def test_states(t):
    with origin.Origin() as good, dns.Server({("two.test", "A"): (1, ["127.0.0.2", "127.0.0.1"])}) as names:
        here, port = "%s:%d" % good.address, net.free_port()
        gone = "%s:%d" % (net.own_host(), port)
        upstreams = [upstream("plain", here, "two.test:81", "[::1]:82", "nowhere.test:83"),
                     upstream("checked", here, gone, "nowhere.test:84", healthchecks=CHECKS), upstream("empty")]
        wanted = {("plain", here, here): "healthchecks_off",
                  ("plain", "two.test:81", "127.0.0.1:81"): "healthchecks_off",
                  ("plain", "two.test:81", "127.0.0.2:81"): "healthchecks_off",
                  ("plain", "[::1]:82", "[::1]:82"): "healthchecks_off",
                  ("plain", "nowhere.test:83", ""): "dns_error",
                  ("checked", here, here): "healthy", ("checked", gone, gone): "unhealthy",
                  ("checked", "nowhere.test:84", ""): "dns_error"}
        settings = {"dns_resolver": names.address, "dns_hostsfile": "off", "shards": "1"}
        with scraped(config_of(upstreams), **settings) as (gateway, scrape):
            with t.case("of each address"):
                net.wait_until(lambda: states(scrape()) == wanted, what=lambda: "%r\n%r" % (states(scrape()), wanted))
            with t.case("as they are now"):
                with origin.Origin(host=net.own_host(), port=port):
                    net.wait_until(lambda: states(scrape())["checked", gone, gone] == "healthy", what="healthy")
                good.close()
                net.wait_until(lambda: states(scrape())["checked", here, here] == "unhealthy", what="unhealthy")
            with t.case("of the configuration in force"):
                gateway.reload(config_of(upstreams[:1]))
                net.wait_until(lambda: {key[0] for key in states(scrape())} == {"plain"}, what="the new configuration")
            for name, config in (("not unless it is asked for", config_of(upstreams, False)),
                                 ("not for a plugin that is off", config_of(upstreams, enabled=False))):
                with t.case(name):
                    gateway.reload(config_of(upstreams))
                    net.wait_until(lambda: NAME in scrape(), what="the metric")
                    gateway.reload(config)
                    net.wait_until(lambda: NAME not in scrape(), what="no metric")


def test_many(t):
    """They come in parts, each once."""
    upstreams = [upstream("u%d" % i, *("127.0.%d.%d:80" % (i % 250, k) for k in range(1, 4))) for i in range(2000)]
    upstreams.append(upstream("big", *("127.1.%d.%d:80" % (i // 250, i % 250) for i in range(5000))))
    with scraped(config_of(upstreams), shards="1") as (_, scrape):
        with t.case("all"):
            found = states(scrape())
            assert len(found) == 2000 * 3 + 5000 and set(found.values()) == {"healthchecks_off"}
        with t.case("one head"):
            assert scrape().count("# TYPE " + NAME + " gauge\n") == 1


def test_promtool(t):
    if not shutil.which("promtool"):
        raise Skip("promtool is not installed")
    with scraped(config_of([upstream("u", "127.0.0.1:1", "[::1]:2")])) as (_, scrape), t.case("check metrics"):
        assert len(states(scrape())) == 2
        done = subprocess.run(["promtool", "check", "metrics"], input=scrape(), text=True, capture_output=True)
        ours = [line for line in (done.stdout + done.stderr).splitlines() if line and not KONGS.match(line)]
        assert not ours and done.returncode in (0, 3), done.stdout + done.stderr
