# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser: figures that move, tables of ten thousand rows, forms made from schemas, and what
protects it. `sluice top`, which reads the same figures."""
import contextlib
import json
import re

from tests.support import client, gateway, net, origin
from tests.support.browser import Browser
from tests.support.gateway import Folder, Gateway, simple_config

MANY = 10000


@contextlib.contextmanager
def serving(config):
    """(gateway, address of its admin listener, its origin)"""
    admin = net.own_host(), net.free_port()
    with origin.Origin() as upstream:
        with Gateway(config(upstream.url), {"admin_listen": "%s:%d" % admin}) as running:
            yield running, admin, upstream


@contextlib.contextmanager
def storing(**settings):
    """The same with a store that may be written to, empty at first."""
    admin = net.own_host(), net.free_port()
    with origin.Origin() as upstream, Folder() as folder:
        settings = {"admin_listen": "%s:%d" % admin, "store": "sqlite:" + folder.file("store.db"), **settings}
        with Gateway({"_format_version": "3.0"}, settings) as running:
            yield running, admin, upstream


def ask(admin, target):
    return client.get(admin, target, host="localhost")


def shown(admin, target, true):
    """What stands there when it is true: a request is counted a moment after its answer."""
    def look():
        found = json.loads(ask(admin, target).body)
        return found if true(found) else None
    return net.wait_until(look, what=lambda: "%s: %s" % (target, ask(admin, target).body[:2000]))


def page_of(address, rest=""):
    return "http://%s:%d/ui/%s" % (*address, rest)


def test_files(t):
    with serving(simple_config) as (_, admin, _):
        for name, kind in (("", "text/html"), ("index.html", "text/html"), ("ui.css", "text/css"),
                           ("app.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
            with t.case(name or "index"):
                answer = ask(admin, "/ui/" + name)
                assert answer.status == 200 and answer.get("content-type").startswith(kind), answer
                assert "default-src 'none'" in answer.get("content-security-policy"), answer
                assert "frame-ancestors 'none'" in answer.get("content-security-policy"), answer
                assert answer.get("x-content-type-options") == "nosniff", answer
        with t.case("nothing from elsewhere"):
            text = b"".join(ask(admin, "/ui/" + name).body for name in ("", "ui.css", "app.js", "dom.js"))
            assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", text), text
        for name in ("nope.js", "../control.c", "%2e%2e/x", "app.js/x"):
            with t.case("no " + name):
                assert ask(admin, "/ui/" + name).status == 404
        with t.case("foreign host"):
            assert client.get(admin, "/ui/", host="evil.test").status == 403


def test_live(t):
    with serving(simple_config) as (running, admin, _):
        for _ in range(20):
            running.get("/")
        with t.case("figures"):
            live = shown(admin, "/ui/live", lambda live: sum(shard["requests"] for shard in live["shards"]) >= 20 and
                         sum(live["latency"]["counts"]) >= 20)
            assert sum(shard["requests"] for shard in live["shards"]) == 20, live
            assert sum(live["latency"]["counts"]) == 20, live
            assert len(live["latency"]["counts"]) == len(live["latency"]["bounds_us"]) + 1, live
            assert sum(shard["cpu_us"] for shard in live["shards"]) > 0, live
        with t.case("routes"):
            rows = shown(admin, "/ui/routes", lambda rows: rows["rows"][0]["requests"] >= 20)
            assert rows["total"] == 1 and rows["rows"][0]["requests"] == 20, rows
            assert rows["rows"][0]["service"] == "s1", rows
        with t.case("no such route"):
            assert json.loads(ask(admin, "/ui/routes?filter=nope").body)["rows"] == []
        with t.case("sluice top"):
            done = gateway.run("top", "--set", "admin_listen=%s:%d" % admin)
            assert done.returncode == 0 and re.search(r"^r1 +s1 ", done.stdout, re.M), done
            assert "shard 0" in done.stdout and "req/s" in done.stdout, done
        with t.case("sluice top without a gateway"):
            done = gateway.run("top", "--set", "admin_listen=%s:%d" % (net.own_host(), net.free_port()))
            assert done.returncode == 3 and "does not answer" in done.stderr, done


def many_routes(url):
    out = simple_config(url)
    out["services"][0]["routes"] = [{"name": "route-%05d" % n, "paths": ["/r%d/" % n]} for n in range(MANY)]
    return out


def test_ten_thousand_routes(t):
    with serving(many_routes) as (running, admin, _), Browser() as browser:
        with t.case("busiest first"):
            ask(admin, "/ui/routes")
            for _ in range(5):
                running.get("/r4711/")
            rows = shown(admin, "/ui/routes?size=3", lambda rows: rows["rows"][0]["rps"] > 0)
            assert rows["total"] == MANY and len(rows["rows"]) == 3, rows
            assert rows["rows"][0]["name"] == "route-04711", rows
        with t.case("table of routes"):
            browser.open(page_of(admin, "#/routes"))
            browser.find("td", "route-04711")
        with t.case("configuration browser"):
            browser.press("4")
            browser.click("a", "routes")
            browser.find(".tools [role=status]", str(MANY))
            assert browser.run("return document.querySelectorAll('tbody tr').length") < 200
            browser.write("input[type=search]", "r4711/")
            browser.find(".tools [role=status]", "1 of %d" % MANY)
            browser.find("td", "route-04711")
        with t.case("read-only"):
            browser.find(".tools", "read-only")
            browser.click("tbody td", "route-04711")
            browser.find("dialog pre", '"route-04711"')
        assert browser.complaints() == []


def test_overview(t):
    with serving(simple_config) as (running, admin, _), Browser() as browser:
        browser.open(page_of(admin))
        with t.case("requests are seen"):
            def seen():
                running.get("/")
                running.get("/")
                tile = browser.find_all(".tile b")
                return tile and float((browser.text_of(tile[0]) or "0").replace(",", "")) > 0
            net.wait_until(seen, 20, lambda: browser.page())
            assert "Shards" in browser.page()
        with t.case("keys"):
            browser.press("?")
            browser.find("dialog[open]", "sections")
            browser.press("escape")
            browser.press("2")
            browser.find("h1", "Routes")
            browser.press("1")
            browser.find("h1", "Overview")
        with t.case("light and dark"):
            before = browser.run("return getComputedStyle(document.body).backgroundColor")
            browser.press("t")
            net.wait_until(lambda: browser.run("return getComputedStyle(document.body).backgroundColor") != before)
        assert browser.complaints() == []


def test_whole_file(t):
    with serving(simple_config) as (running, admin, upstream), Browser() as browser:
        browser.open(page_of(admin, "#/config/file"))
        net.wait_until(lambda: browser.run("return document.querySelector('textarea')?.value.includes('r1')"), 15)
        with t.case("errors are shown"):
            browser.write("textarea", "_format_version: '3.0'\nservices: [{name: s, hots: x}]\n")
            browser.click("button.primary")
            browser.find("pre[role=alert]", "hots")
            assert running.get("/").status == 200
        with t.case("put in force"):
            new = simple_config(upstream.url, paths=["/elsewhere"])
            browser.write("textarea", json.dumps(new))
            browser.click("button.primary")
            net.wait_until(lambda: running.get("/").status == 404, 10)
            net.wait_until(lambda: running.get("/elsewhere").status == 200)  # on the other shard, too
        severe = [line for line in browser.complaints() if "400 (Bad Request)" not in line]
        assert severe == [], severe


def new_in(browser, admin, kind, title):
    browser.open(page_of(admin, "#/config/" + kind))
    browser.find("a[aria-current=page]", kind)
    browser.click("button", "New")
    browser.find("dialog[open] h1", title)


def test_editing(t):
    with storing() as (running, admin, upstream), Browser() as browser:
        with t.case("an error stands at its field"):
            new_in(browser, admin, "services", "New in services")
            browser.write("dialog input", "from-the-page")
            browser.click("dialog button.primary")
            browser.find("dialog .error", "required field missing")
        with t.case("a service"):
            browser.click("dialog summary")
            fields = {"host": upstream.host, "port": str(upstream.port)}
            for name, value in fields.items():
                browser.write("dialog input[id^=%s-]" % name, value)
            browser.click("dialog button.primary")
            browser.find("td", "from-the-page")
            service = json.loads(ask(admin, "/services/from-the-page").body)
            assert service["host"] == upstream.host, service
        with t.case("a route"):
            new_in(browser, admin, "routes", "New in routes")
            browser.write("dialog input", "new-route")
            browser.click("dialog summary")
            browser.write("dialog textarea[id^=paths-]", "/new")
            browser.write("dialog input[id^=service-]", service["id"])
            browser.click("dialog button.primary")
            browser.find("td", "new-route")
            assert running.get("/new").status == 200
        with t.case("a plugin from its schema"):
            new_in(browser, admin, "plugins", "Which plugin?")
            browser.click("dialog button", "key-auth")
            browser.find("dialog[open] h1", "New in plugins")
            browser.write("dialog fieldset textarea[id^=key_names-]", "x-key")
            browser.click("dialog button.primary")
            browser.find("td", "key-auth")
            plugin = json.loads(ask(admin, "/plugins").body)["data"][0]
            assert plugin["config"]["key_names"] == ["x-key"], plugin
            assert running.get("/new").status == 401
        with t.case("a change"):
            browser.click("tbody td", "key-auth")
            browser.find("dialog[open] h1", "key-auth")
            browser.click("dialog input[type=checkbox][id^=enabled-]")
            browser.click("dialog button.primary")
            browser.find("td", "no")
            net.wait_until(lambda: running.get("/new").status == 200)
        with t.case("a deletion"):
            browser.click("tbody td", "key-auth")
            browser.find("dialog[open] h1", "key-auth")
            browser.click("dialog button.danger")
            browser.click("dialog button.danger", "Delete")
            net.wait_until(lambda: json.loads(ask(admin, "/plugins").body)["data"] == [], 10)
        severe = [line for line in browser.complaints() if "400 (Bad Request)" not in line]
        assert severe == [], severe


def test_token(t):
    with storing(admin_token="s3cret") as (_, admin, _), Browser() as browser:
        with t.case("the page shows itself, and nothing else"):
            assert ask(admin, "/ui/").status == ask(admin, "/ui/app.js").status == 200
            for target in ("/ui/live", "/ui/routes", "/ui/nope", "/", "/services", "/ui/../services"):
                assert ask(admin, target).status == 401, target
        with t.case("sluice top shows it, too"):
            listen = ("--set", "admin_listen=%s:%d" % admin)
            assert gateway.run("top", *listen).returncode == 3
            done = gateway.run("top", *listen, "--set", "admin_token=s3cret")
            assert done.returncode == 0 and "req/s" in done.stdout, done
        browser.open(page_of(admin))
        with t.case("it asks for the token, and again for a wrong one"):
            for token in ("wrong", "s3cret"):
                browser.find("dialog[open] h1", "Admin token")
                browser.write("dialog input", token)
                browser.click("dialog button.primary")
            browser.find(".tile b")
        with t.case("no address holds it"):
            assert "s3cret" not in browser.run("return location.href + document.cookie + JSON.stringify(localStorage)")
        assert all(" 401 " in line for line in browser.complaints())


test_overview.seconds = test_whole_file.seconds = 90
test_token.seconds = test_editing.seconds = test_ten_thousand_routes.seconds = 90
