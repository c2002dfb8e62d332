# SPDX-License-Identifier: Apache-2.0
"""Groups of consumers: who is in them in each form a file may say it, and which plugin configuration applies."""
from tests.support import gateway, origin
from tests.support.gateway import Folder, Gateway


def terminate(status, **more):
    return {"name": "request-termination", "config": {"status_code": status}, **more}


def consumer(name, **more):
    return {"username": name, "keyauth_credentials": [{"key": name}], **more}


def config(url, **more):
    """A route /r of service s, and a route /other of another service, both with key-auth."""
    plugins = [{"name": "key-auth"}] + more.pop("plugins", [])
    return {"_format_version": "3.0", "plugins": plugins, "services": [
        {"name": "s", "url": url, "routes": [{"name": "r", "paths": ["/r"]}]},
        {"name": "t", "url": url, "routes": [{"name": "other", "paths": ["/other"]}]}], **more}


def status(gate, path, who):
    return gate.get(path, headers=[("apikey", who)]).status


def check(t, got, want, name):
    with t.case(name):
        assert got == want, "got %s, want %s" % (got, want)


FORMS = {
    "groups of a consumer": {"consumer_groups": [{"name": "gold"}],
                             "consumers": [consumer("a", groups=[{"name": "gold"}]), consumer("b")]},
    "consumers of a group": {"consumer_groups": [{"name": "gold", "consumers": [{"username": "a"}]}],
                             "consumers": [consumer("a"), consumer("b")]},
    "at the top": {"consumer_groups": [{"name": "gold"}], "consumers": [consumer("a"), consumer("b")],
                   "consumer_group_consumers": [{"consumer": "a", "consumer_group": "gold"}]},
    "nested in a consumer": {
        "consumer_groups": [{"name": "gold"}],
        "consumers": [consumer("a", consumer_group_consumers=[{"consumer_group": "gold"}]), consumer("b")]},
    "nested in a group": {
        "consumer_groups": [{"name": "gold", "consumer_group_consumers": [{"consumer": "a"}]}],
        "consumers": [consumer("a"), consumer("b")]},
}


def test_forms_of_membership(t):
    with origin.Origin() as target:
        for name, parts in FORMS.items():
            more = dict(parts, plugins=[terminate(418, consumer_group="gold")])
            with Gateway(config(target.url, **more)) as gate:
                check(t, [status(gate, "/r", who) for who in "ab"], [418, 200], name)


PLUGINS = {
    "in the group": {"consumer_groups": [{"name": "gold", "plugins": [terminate(418)]}]},
    "of the group": {"consumer_groups": [{"name": "gold", "consumer_group_plugins": [terminate(418)]}]},
    "at the top": {"consumer_groups": [{"name": "gold"}],
                   "consumer_group_plugins": [terminate(418, consumer_group="gold")]},
    "by id": {"consumer_groups": [{"name": "gold", "id": "11111111-2222-4333-8444-555555555555"}],
              "plugins": [terminate(418, consumer_group={"id": "11111111-2222-4333-8444-555555555555"})]},
}


def test_forms_of_plugins(t):
    with origin.Origin() as target:
        for name, parts in PLUGINS.items():
            people = [consumer("a", groups=[{"name": "gold"}]), consumer("b")]
            with Gateway(config(target.url, consumers=people, **parts)) as gate:
                check(t, [status(gate, "/r", who) for who in "ab"], [418, 200], name)


# From the most specific down, as Kong documents it.
SCOPES = [("consumer", "route", "service"), ("consumer_group", "route", "service"), ("consumer", "route"),
          ("consumer", "service"), ("consumer_group", "route"), ("consumer_group", "service"),
          ("route", "service"), ("consumer",), ("consumer_group",), ("route",), ("service",), ()]
NAMES = {"consumer": "a", "consumer_group": "gold", "route": "r", "service": "s"}


def test_precedence(t):
    """With the first N scopes gone, the next one applies."""
    people = {"consumer_groups": [{"name": "gold"}], "consumers": [consumer("a", groups=[{"name": "gold"}])]}
    with origin.Origin() as target:
        for first in range(len(SCOPES)):
            scoped = [terminate(410 + i, **{key: NAMES[key] for key in SCOPES[i]})
                      for i in range(first, len(SCOPES))]
            with Gateway(config(target.url, plugins=scoped[::-1], **people)) as gate:
                check(t, status(gate, "/r", "a"), 410 + first, "+".join(SCOPES[first]) or "global")


test_precedence.seconds = 60


def test_several_groups(t):
    """The more specific configuration wins; of equal ones that of the first group by name."""
    groups = [{"name": "zinc", "plugins": [terminate(410)]}, {"name": "gold", "plugins": [terminate(411)]},
              {"name": "lead"}]
    people = [consumer("a", groups=[{"name": "zinc"}, {"name": "gold"}]),
              consumer("b", groups=[{"name": "zinc"}]), consumer("c", groups=[{"name": "lead"}]),
              consumer("d", groups=[{"name": "gold"}, {"name": "lead"}, {"name": "zinc"}])]
    more = [terminate(412, consumer_group="zinc", route="other")]
    with origin.Origin() as target, Gateway(config(target.url, consumer_groups=groups, consumers=people,
                                                   plugins=more)) as gate:
        check(t, [status(gate, "/r", who) for who in "abcd"], [411, 410, 200, 411], "by name")
        check(t, [status(gate, "/other", who) for who in "abcd"], [412, 412, 200, 412], "more specific")


def test_acl(t):
    groups = [{"name": "gold"}, {"name": "lead"}]
    people = [consumer("a", acls=[{"group": "staff"}], groups=[{"name": "lead"}, {"name": "gold"}]),
              consumer("b", acls=[{"group": "gold"}]), consumer("c", groups=[{"name": "lead"}])]
    for include, want in ((True, [200, 200, 403]), (False, [403, 200, 403])):
        acl = {"name": "acl", "config": {"allow": ["gold"], "include_consumer_groups": include}}
        with origin.Origin() as target, Gateway(config(target.url, consumer_groups=groups, consumers=people,
                                                       plugins=[acl])) as gate:
            check(t, [status(gate, "/r", who) for who in "abc"], want, "include %s" % include)
            seen = [request.get("x-consumer-groups") for request in target.take()]
            check(t, seen, ["staff, gold, lead", "gold"] if include else ["gold"], "header %s" % include)


WRONG = [
    ("plugins: [{name: acl, consumer_group: no, config: {allow: [a]}}]", "invalid reference 'consumer_group: no'"),
    ("consumer_groups: [{name: a}, {name: a}]", "'consumer_groups' entity with name set to 'a' already"),
    ("consumer_groups: [{tags: [a]}]", "consumer_groups[0].name: required field missing"),
    ("consumer_groups: [{name: a b}]", "invalid value 'a b'"),
    ("consumer_groups: [{name: a, nme: b}]", "unknown field (did you mean 'name'?)"),
    ("consumers: [{username: a, consumer_group_consumers: [{}]}]", "consumer_group: required field missing"),
    ("consumer_group_plugins: [{name: acl, config: {allow: [a]}}]", "consumer_group: required field missing"),
    ("consumer_groups: [{name: g}]\nconsumers: [{username: a, groups: [{name: g}, {name: g}]}]",
     "uniqueness violation: 'consumer_group_consumers'"),
    ("consumer_groups: [{name: g, consumers: [{username: a}]}]\nconsumers: [{username: a, groups: [{name: g}]}]",
     "uniqueness violation: 'consumer_group_consumers'"),
    ("consumer_groups: [{name: g}]\nconsumers: [{username: a}]\n"
     "plugins: [{name: acl, consumer: a, consumer_group: g, config: {allow: [a]}}]",
     "only one or none of these fields must be set: 'consumer', 'consumer_group'"),
    ("consumer_groups: [{name: g, plugins: [{name: acl, config: {allow: [a]}}]}]\n"
     "plugins: [{name: acl, consumer_group: g, config: {allow: [a]}}]", "uniqueness violation: 'plugins'"),
]


def test_what_is_wrong(t):
    with Folder() as folder:
        for text, reason in WRONG:
            with t.case(text):
                path = folder.file("a.yaml", '_format_version: "3.0"\n%s\n' % text)
                done = gateway.run("check", "-c", path)
                assert done.returncode == 1 and reason in done.stderr, done.stderr
                assert len(done.stderr.splitlines()) == 1, done.stderr


def test_explain(t):
    with origin.Origin() as target, Folder() as folder:
        text = gateway.config_text(config(target.url, consumer_groups=[{"name": "gold"}],
                                          plugins=[terminate(418, consumer_group="gold", route="r")]))
        done = gateway.run("explain", "GET", "http://h/r", "-c", folder.file("a.json", text))
        assert "route r and consumer group gold" in done.stdout, done.stdout
