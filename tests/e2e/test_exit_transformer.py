# SPDX-License-Identifier: Apache-2.0
"""exit-transformer: the gateway's own answers in another form, the upstream's as they are."""
import json

from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config


def with_rules(url, rules, *others, everywhere=False, **config):
    out = simple_config(url, paths=["/here"])
    plugin = {"name": "exit-transformer", "config": {"rules": rules, **config}}
    out["services"][0]["plugins"] = list(others)
    (out if everywhere else out["services"][0]).setdefault("plugins", []).append(plugin)
    return out


KEY_AUTH = {"name": "key-auth", "config": {}}


def test_refusals(t):
    rules = [{"statuses": [401], "new_status": 403, "headers": {"x-reason": "$(message)"},
              "remove_headers": ["www-authenticate"],
              "body": '{"code":$(status),"text":"$(message)","name":"$(headers[\"x-name\"])"}'}]
    with origin.Origin() as upstream, Gateway(with_rules(upstream.url, rules, KEY_AUTH)) as gateway:
        with gateway.connect() as c:
            answer = c.exchange(client.encode("GET", "/here", [("X-Name", 'a"},{"b')]))
            assert answer.status == 403 and answer.get("www-authenticate") is None, answer
            assert answer.get("x-reason") == "No API key found in request", answer
            assert answer.get("content-type") == "application/json; charset=utf-8", answer
            assert json.loads(answer.body) == {"code": 401, "text": "No API key found in request",
                                               "name": 'a"},{"b'}, answer
            head = c.exchange(client.encode("HEAD", "/here"))
            assert head.status == 403 and head.body == b"", head
        assert upstream.take() == []


def test_html(t):
    rules = [{"status_classes": ["4xx"], "content_type": "text/html; charset=utf-8",
              "body": "<p>$(query_params.q)</p>"}]
    with origin.Origin() as upstream, Gateway(with_rules(upstream.url, rules, KEY_AUTH)) as gateway:
        answer = gateway.get("/here?q=%3Cscript%3E")
        assert answer.status == 401 and answer.body == b"<p>&lt;script&gt;</p>", answer
        assert answer.get("content-type") == "text/html; charset=utf-8" and answer.get("www-authenticate"), answer


def test_upstreams(t):
    """Their answers are left alone; that they do not answer is said by the gateway."""
    rules = [{"new_status": 418, "body": "tea $(status)", "content_type": "text/plain"}]
    status = [404]
    with origin.Origin(lambda r: status[0] and origin.answer(status[0])) as upstream:
        with Gateway(with_rules(upstream.url, rules)) as gateway:
            answer = gateway.get("/here")
            assert answer.status == 404 and answer.body == origin.BODY, answer
            status[0] = None
            answer = gateway.get("/here")
            assert answer.status == 418 and answer.body == b"tea 502", answer


def test_without_a_route(t):
    rules = [{"body": "$(status)", "content_type": "text/plain"}]
    with origin.Origin() as upstream:
        for handled in (False, True):
            config = with_rules(upstream.url, rules, everywhere=True, handle_unknown=handled,
                                handle_unexpected=handled)
            with t.case(str(handled)), Gateway(config) as gateway:
                unknown = gateway.get("/there")
                assert unknown.status == 404 and (unknown.body == b"404") == handled, unknown
                unexpected = gateway.get("/here/%00")
                assert unexpected.status == 400 and (unexpected.body == b"400") == handled, unexpected


def test_before_other_plugins(t):
    """cors stands on the new answer, too."""
    rules = [{"statuses": [401], "new_status": 404, "body": "{}"}]
    cors = {"name": "cors", "config": {"origins": ["http://a.test"]}}
    with origin.Origin() as upstream, Gateway(with_rules(upstream.url, rules, KEY_AUTH, cors)) as gateway:
        answer = gateway.get("/here")
        assert answer.status == 404 and answer.body == b"{}", answer
        assert answer.get("access-control-allow-origin") == "http://a.test", answer
