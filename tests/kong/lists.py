# SPDX-License-Identifier: Apache-2.0
"""Reads not_covered.txt and differences.txt; each explains its own form at its top."""
import copy
import fnmatch

CREDENTIALS = {"key-auth": "keyauth_credentials", "basic-auth": "basicauth_credentials",
               "hmac-auth": "hmacauth_credentials", "acl": "acls", "oauth2": "oauth2_credentials"}


def rows(path, columns):
    out = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            cells = [cell.strip() for cell in line.split("|")]
            if not line.strip() or line.startswith("#"):
                continue
            if len(cells) != columns or not all(cells):
                raise SystemExit("%s:%d: want %d columns with text" % (path, number, columns))
            out.append(cells)
    return out


class NotCovered:
    """What the gateway cannot do yet, for one area."""

    def __init__(self, path, area):
        self.whole, self.cases, self.plugins, self.fields, self.kinds = None, [], [], [], {}
        self.protocols = []
        for what, reason in rows(path, 2):
            name, _, rest = what.partition(" ")
            kind, _, value = rest.partition(" ")
            if name not in (area, "*"):
                continue
            if not kind:
                self.whole = reason
            elif kind in ("tls", "admin"):
                self.kinds[kind] = reason
            else:
                lists = {"case": self.cases, "plugin": self.plugins, "field": self.fields,
                         "protocol": self.protocols}
                lists[kind].append((value, reason))
        self.hosts = {}

    def reduce(self, config):
        """The configuration without what cannot be loaded; remembers the hosts that went with it."""
        config = copy.deepcopy(config)
        for name, reason in self.protocols:
            self.remove_services(config, lambda service: has_protocol(service, name), reason)
        for name, reason in self.plugins:
            self.remove_services(config, lambda service: has_plugin(service, name), reason)
            remove_key(config, CREDENTIALS.get(name))
        for name, _ in self.fields:
            remove_key(config, name)
        return config

    def remove_services(self, config, unwanted, reason):
        for service in list(config.get("services", [])):
            if unwanted(service):
                config["services"].remove(service)
                for route in service.get("routes", []):
                    self.hosts.update({host: reason for host in route.get("hosts", [])})

    def reason(self, case):
        """Why this case cannot be played, or None. Named cases are not in here: see `expected_failure`."""
        for step in case["steps"]:
            request = step["request"]
            for kind, reason in self.kinds.items():
                if request.get(kind):
                    return reason
            host = next((v for k, v in request["headers"] if k.lower() == "host"), None)
            if host in self.hosts:
                return self.hosts[host]
        return None

    def expected_failure(self, name):
        """Why this case is expected to fail, or None."""
        return next((r for p, r in self.cases if fnmatch.fnmatchcase(name, p)), None) or self.whole


def has_protocol(service, name):
    owners = [service] + service.get("routes", [])
    return any(name == owner.get("protocol") or name in owner.get("protocols", []) for owner in owners)


def has_plugin(service, name):
    owners = [service] + service.get("routes", [])
    return any(plugin["name"] == name for owner in owners for plugin in owner.get("plugins", []))


def remove_key(value, key):
    if isinstance(value, dict):
        value.pop(key, None)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            remove_key(item, key)


class Differences:
    """What the gateway answers otherwise on purpose, for one area."""

    def __init__(self, path, area):
        mine = [row[1:] for row in rows(path, 4) if row[0] == area]
        self.rows = [row for row in mine if row[1] != "unloaded"]
        self.unloaded = [row[0] for row in mine if row[1] == "unloaded"]
        self.hosts = set()

    def reduce(self, config):
        """The configuration without the services that are refused on purpose; remembers their hosts."""
        left = [s for s in config.get("services", []) if s.get("name") in self.unloaded]
        self.hosts = {host for s in left for route in s.get("routes", []) for host in route.get("hosts", [])}
        return dict(config, services=[s for s in config["services"] if s not in left]) if left else config

    def leaves_out(self, case):
        """Does the case ask a service that is refused on purpose?"""
        headers = [header for step in case["steps"] for header in step["request"]["headers"]]
        return any(name.lower() == "host" and value in self.hosts for name, value in headers)

    def apply(self, name, expect):
        """The expectation for this case with our differences put in; the same object if there are none."""
        for case, ours, _ in self.rows:
            if fnmatch.fnmatchcase(name, case):
                expect = changed(expect, ours.split())
        return expect


def changed(expect, words):
    expect = copy.deepcopy(expect)
    for word in words:
        kind, _, value = word.partition("=")
        if kind == "refused":
            expect = {"status": int(value), "upstream": None}
        elif kind == "answered":
            expect = {"status": int(value), "upstream": "any"}
        elif kind == "status":
            expect["status"] = int(value)
        elif kind == "target":
            expect["upstream"]["target"] = value
        elif kind == "any" and value == "body":
            expect["body"] = None
        elif kind == "any" and value == "fields":
            for name in ("fields", "flattened_errors"):
                expect["body"]["json_subset"].pop(name, None)
        elif kind == "any":
            side, _, field = value.partition(":")
            part = expect if side == "header" else expect["upstream"]
            part["headers"].pop(field, None)
        else:
            raise SystemExit("differences.txt: what is %r?" % word)
    return expect
