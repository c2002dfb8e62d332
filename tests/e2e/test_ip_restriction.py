# SPDX-License-Identifier: Apache-2.0
"""ip-restriction: who may come by address, however many ranges there are."""
import json

from tests.support import origin
from tests.support.gateway import Folder, Gateway, run, simple_config

TRUST = {"trusted_ips": "0.0.0.0/0,::/0", "real_ip_header": "X-Real-IP"}

# name, config, [(client, passes)]
ROWS = [
    ("allow", {"allow": ["10.0.0.0/8", "2001:db8::/32"]},
     [("10.1.2.3", True), ("11.0.0.0", False), ("9.255.255.255", False), ("2001:db8::1", True),
      ("2001:db9::", False), ("::ffff:10.1.2.3", True)]),
    ("deny", {"deny": ["10.0.0.0/8", "::1"]},
     [("10.1.2.3", False), ("11.0.0.0", True), ("::1", False), ("::2", True), ("::ffff:10.1.2.3", False)]),
    ("deny wins", {"allow": ["10.0.0.0/24"], "deny": ["10.0.0.13"]},
     [("10.0.0.12", True), ("10.0.0.13", False), ("10.0.0.14", True), ("10.0.1.0", False)]),
    ("everybody", {"allow": ["0.0.0.0/0"]}, [("1.2.3.4", True), ("::1", False)]),
    ("nobody", {"deny": ["0.0.0.0/0", "::/0"]}, [("1.2.3.4", False), ("::1", False)]),
]


def restricted(url, config):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "ip-restriction", "config": config}]
    return out


def ask(gateway, address):
    return gateway.get("/", [("X-Real-IP", address)])


def test_who_passes(t):
    for name, config, clients in ROWS:
        with origin.Origin() as upstream, Gateway(restricted(upstream.url, config), TRUST) as gateway:
            for address, passes in clients:
                with t.case("%s: %s" % (name, address)):
                    answer = ask(gateway, address)
                    assert answer.status == (200 if passes else 403), answer
                    assert len(upstream.take()) == passes
                    if not passes:
                        shown = address.removeprefix("::ffff:") if "." in address else address
                        message = json.loads(answer.body)["message"]
                        assert message in ("IP address not allowed: " + shown,
                                           "IP address not allowed: " + address), message


def test_own_answer(t):
    config = {"deny": ["0.0.0.0/0"], "status": 418, "message": "go away"}
    with origin.Origin() as upstream, Gateway(restricted(upstream.url, config), TRUST) as gateway:
        answer = ask(gateway, "1.2.3.4")
        assert answer.status == 418 and json.loads(answer.body)["message"] == "go away", answer


def test_many_ranges(t):
    """A hundred thousand ranges are found as surely as one."""
    deny = ["%d.%d.%d.0/25" % (i >> 16 & 255, i >> 8 & 255, i & 255) for i in range(0, 200000, 2)]
    with origin.Origin() as upstream, Gateway(restricted(upstream.url, {"deny": deny}), TRUST) as gateway:
        for address, status in (("0.0.0.127", 403), ("0.0.0.128", 200), ("0.0.1.1", 200), ("1.0.0.5", 403),
                                ("3.13.62.1", 403), ("3.13.64.1", 200)):
            assert ask(gateway, address).status == status, address


def test_by_consumer(t):
    """It runs after authentication, so a consumer may have ranges of its own."""
    def restriction(**config):
        return {"name": "ip-restriction", "config": config}

    with origin.Origin() as upstream:
        config = simple_config(upstream.url)
        config["services"][0]["plugins"] = [{"name": "key-auth"}]
        config["plugins"] = [restriction(allow=["10.0.0.0/8"])]
        config["consumers"] = [{"username": "alice", "keyauth_credentials": [{"key": "k"}],
                                "plugins": [restriction(deny=["10.0.0.1"])]},
                               {"username": "bob", "keyauth_credentials": [{"key": "l"}]}]
        with Gateway(config, TRUST) as gateway:
            for key, address, status in (("k", "1.2.3.4", 200), ("k", "10.0.0.1", 403),
                                         ("l", "1.2.3.4", 403), ("l", "10.0.0.1", 200)):
                answer = gateway.get("/", [("X-Real-IP", address), ("apikey", key)])
                assert answer.status == status, (key, address, answer)


# name, config, what the error says
BROKEN = [
    ("nothing", {}, "at least one of these fields must be non-empty"),
    ("no range", {"allow": ["1.2.3.400"]}, "invalid ip or cidr range: '1.2.3.400'"),
    ("too long a prefix", {"deny": ["::1/129"]}, "invalid ip or cidr range: '::1/129'"),
    ("status", {"deny": ["::1"], "status": 42}, "between"),
    ("unknown", {"deny": ["::1"], "stutus": 403}, "unknown field"),
]


def test_what_is_refused(t):
    for name, config, reason in BROKEN:
        with t.case(name), Folder() as folder:
            path = folder.file("kong.json", json.dumps(restricted("http://a.test", config)))
            done = run("check", "-c", path)
            assert done.returncode == 1 and reason in done.stdout + done.stderr, done
