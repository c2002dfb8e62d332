# SPDX-License-Identifier: Apache-2.0
"""`sluice check --json`: errors in the shape of Kong's POST /config, with their places beside it.

The replay in tests/kong compares single errors with what Kong said; here is what a user's files add: several
files and documents, many errors, names with dots, texts that cannot be read.
"""
import json
import uuid

from tests.support import gateway
from tests.support.gateway import Folder

ID = "11111111-2222-4333-8444-555555555555"
SPACE = "fd02801f-0957-4a15-a55a-c8d9606f30b5"  # of the ids that Kong derives
HEAD = '_format_version: "3.0"\n'


def check_files(*arguments, **files):
    """(exit status, answer) for files given as name_yaml="text"."""
    with Folder() as folder:
        paths = [folder.file(name.replace("_", "."), text) for name, text in files.items()]
        done = gateway.run("check", "--json", *arguments, *[w for path in paths for w in ("-c", path)])
    return done.returncode, json.loads(done.stdout)


def broken(*arguments, **files):
    status, answer = check_files(*arguments, **files)
    assert status == 1 and answer["code"] == 14, answer
    assert answer["name"] == "invalid declarative configuration", answer
    return answer


def same(want, got):
    assert want == got, "got %s\nwant %s" % (json.dumps(got), json.dumps(want))


def test_good(t):
    status, answer = check_files(a_yaml=HEAD + "services: [{name: a, host: h}]\n")
    assert status == 0, answer
    same({"positions": []}, answer)


def test_warnings_only(t):
    status, answer = check_files(a_yaml=HEAD + "routes: [{name: a, paths: ['/a(b']}]\n")
    assert status == 0, answer
    place = answer["positions"][0]
    assert (place["kind"], place["line"], place["path"]) == ("warning", 2, "routes[0].paths[0]"), place


def test_usage(t):
    for words in (["--flatten"], ["--json", "--other"], ["extra"]):
        done = gateway.run("check", *words)
        assert done.returncode == 2 and done.stderr, done


def test_positions(t):
    answer = broken(a_yaml=HEAD + "services:\n- name: a\n  host: h\n  prot: 80\n  port: x\n")
    same({"services": [{"prot": "unknown field", "port": "expected an integer"}]}, answer["fields"])
    got = [(p["line"], p["column"], p["path"], p["reason"]) for p in answer["positions"]]
    same([(5, 3, "services[0].prot", "unknown field"), (6, 9, "services[0].port", "expected an integer")],
         got)
    same("port", answer["positions"][0]["meant"])
    same('declarative config is invalid: {services={{port="expected an integer",prot="unknown field"}}}',
         answer["message"])


def test_several_files_count_as_one(t):
    answer = broken(a_yaml=HEAD + "services: [{name: a, host: h}, {name: b}]\n",
                    b_yaml=HEAD + "services: [{name: c, port: x, host: h}]\n---\n" + HEAD +
                    "services: [{name: a, host: h}]\n")
    same({"services": [None, {"host": "required field missing"}, {"port": "expected an integer"},
                       "uniqueness violation: 'services' entity with name set to 'a' already declared"]},
         answer["fields"])
    same('declarative config is invalid: {services={[2]={host="required field missing"},'
         '[3]={port="expected an integer"},[4]="uniqueness violation: \'services\' entity with name set to '
         "'a' already declared\"}}", answer["message"])


def test_names_with_dots(t):
    text = HEAD + "services: [{name: a, host: h, 'x.y[0]\"': 1, '': 2}]\n"
    same({"services": [{'x.y[0]"': "unknown field", "": "unknown field"}]}, broken(a_yaml=text)["fields"])
    errors = broken("--flatten", a_yaml=text)["flattened_errors"][0]["errors"]
    same(["", 'x.y[0]"'], sorted(error["field"] for error in errors))


def test_unreadable(t):
    answer = broken(a_yaml="a: [\n")
    assert answer["fields"]["error"].startswith("failed parsing declarative configuration: "), answer
    answer = broken(a_json='{"a": 1,}')
    assert answer["fields"]["error"].startswith("failed parsing declarative configuration: "), answer
    done = gateway.run("check", "--json", "-c", "/nowhere/x.yaml")
    assert done.returncode == 1 and "No such file" in json.loads(done.stdout)["fields"]["error"], done


def test_settings_are_named(t):
    answer = broken(a_yaml=HEAD, s_yaml="sluice:\n  shrads: 2\n")
    same({"@entity": ["sluice.shrads: unknown setting (did you mean 'shards'?)"]}, answer["fields"])


def test_dangling_beside_others(t):
    """References have Kong's shape, but where their kind holds other errors they stand at their place."""
    answer = broken(a_yaml=HEAD + "routes:\n- {name: r1, paths: [/], service: no}\n- {name: r2, paths: [x]}\n")
    same({"routes": [{"service": "invalid reference 'service: no' (no such entry in 'services')"},
                     {"paths": ["should start with: / (fixed path) or ~/ (regex path)"]}]}, answer["fields"])
    text = HEAD + "services: [{name: s, host: h, plugins: [{name: key-auth, consumer: c, id: %s}]}]\n" % ID
    same({"plugins": {ID: ["invalid reference 'consumer: c' (no such entry in 'consumers')"]}},
         broken(a_yaml=text)["fields"])
    same("key-auth", broken("--flatten", a_yaml=text)["flattened_errors"][0]["entity_name"])


def test_flattened(t):
    answer = broken("--flatten", a_json=json.dumps({
        "_format_version": "3.0", "services": [
            {"name": "s", "id": ID, "host": "h", "retries": -1, "tags": ["a", 5], "routes": [
                {"name": "r", "paths": ["/a", "b"], "plugins": [{"name": "nope", "tags": ["x"]}]}]}],
        "consumers": [5], "foo": 1}))
    same({"consumers": ["expected a record"], "foo": "unknown field"}, answer["fields"])
    items = {item["entity_type"]: item for item in answer["flattened_errors"]}
    same(["plugin", "route", "service"], sorted(items))
    same({"name": "r", "paths": ["/a", "b"], "service": {"id": ID}}, items["route"]["entity"])
    same([{"type": "field", "field": "paths.2",
           "message": "should start with: / (fixed path) or ~/ (regex path)"}], items["route"]["errors"])
    same((["x"], "nope"), (items["plugin"]["entity_tags"], items["plugin"]["entity_name"]))
    service = items["service"]
    same((ID, "s", None), (service["entity_id"], service["entity_name"], service.get("entity_tags")))
    same(["retries", "tags.2"], sorted(error["field"] for error in service["errors"]))


def test_twice_with_ids(t):
    """What stands twice is shown with the id that it has, or would have."""
    answer = broken("--flatten", a_yaml=HEAD + "consumers:\n- username: a\n  keyauth_credentials: [{key: k}]\n"
                    "keyauth_credentials: [{key: k, consumer: a}]\n")
    item = answer["flattened_errors"][0]
    derived = uuid.uuid5(uuid.uuid5(uuid.UUID(SPACE), "keyauth_credentials"), "keyauth_credentials:*:k")
    same((str(derived), "keyauth_credential"), (item["entity_id"], item["entity_type"]))
    same({"key": "k", "consumer": "a", "id": str(derived)}, item["entity"])
    same([{"type": "entity", "message": "uniqueness violation: 'keyauth_credentials' entity with key set to 'k' "
           "already declared"}], item["errors"])


def test_many_errors(t):
    services = [{"name": "s%d" % i} for i in range(1500)]
    answer = broken(a_json=json.dumps({"_format_version": "3.0", "services": services}))
    same((1000, 500), (len(answer["positions"]), answer["more_errors"]))
    same(1000, len(answer["fields"]["services"]))
