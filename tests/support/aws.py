# SPDX-License-Identifier: Apache-2.0
"""AWS as far as functions need it: Lambda's Invoke, STS, and the metadata of machines and containers. Signatures are
computed afresh from what came over the wire, by the rules of Signature Version 4."""
import hashlib
import hmac
import json
import re
import time
import urllib.parse

from tests.support import origin

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), "
    r"Signature=([0-9a-f]{64})$")


def quoted(text):
    return urllib.parse.quote(text, safe="/-_.~")


def signature_of(request, secret, day, region, service, names):
    path, _, query = request.target.partition("?")
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    lines = ["%s:%s" % (name, " ".join(request.get(name).split())) for name in names.split(";")]
    canonical = "\n".join([request.method, quoted(path), "&".join("%s=%s" % pair for pair in pairs)] + lines
                          + ["", names, hashlib.sha256(request.body).hexdigest()])
    scope = "%s/%s/%s/aws4_request" % (day, region, service)
    text = "\n".join(["AWS4-HMAC-SHA256", request.get("X-Amz-Date"), scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def signer_of(request, secrets, region, service):
    """The id of the key that has signed, after a check of all of it."""
    match = AUTHORIZATION.match(request.get("Authorization", ""))
    assert match, request.get("Authorization")
    key, day, its_region, its_service, names, signature = match.groups()
    assert (its_region, its_service) == (region, service), match.groups()
    assert request.get("X-Amz-Date").startswith(day)
    assert abs(time.time() - time.mktime(time.strptime(request.get("X-Amz-Date"), "%Y%m%dT%H%M%SZ"))
               + time.timezone) < 60
    assert "host" in names.split(";") and "x-amz-date" in names.split(";")
    assert signature == signature_of(request, secrets[key], day, region, service, names), key
    return key


class Aws(origin.Origin):
    """Answers all of it; `events` are (function, qualifier, event) of good invocations, `asked` everything else."""

    def __init__(self, answer=None, region="eu-west-1", **kw):
        self.region, self.answer = region, answer or (lambda name, event: (200, [], b'{"ok":true}'))
        self.secrets, self.tokens = {"AKID": "secret/+key"}, {}
        self.events, self.asked, self.signers, self.flaws = [], [], [], []
        self.lifetime, self.given = 3600, 0
        super().__init__(self.handle, **kw)

    def handle(self, request):
        try:
            return self.serve_request(request)
        except Exception as error:  # whatever is wrong is told to the test
            self.flaws.append(repr(error))
            return origin.answer(403, body=b'{"Message":"denied"}')

    def serve_request(self, request):
        path = request.target.partition("?")[0]
        if path.startswith("/2015-03-31/functions/"):
            return self.invoke(request)
        with self.lock:
            self.asked.append(request.target)
        if path == "/latest/api/token":
            assert request.method == "PUT" and request.get("X-aws-ec2-metadata-token-ttl-seconds")
            return origin.answer(body=b"imds-token", content_type="text/plain")
        if path.startswith("/latest/meta-data/iam/security-credentials/"):
            assert request.get("X-aws-ec2-metadata-token", "imds-token") == "imds-token"
            if path.endswith("/"):
                return origin.answer(body=b"machine-role\n", content_type="text/plain")
            return origin.answer(body=self.keys_json("MACHINE"))
        if path == "/container":
            assert request.get("Authorization") == "container-token"
            return origin.answer(body=self.keys_json("CONTAINER"))
        return self.sts(request)

    def new_keys(self, prefix):
        with self.lock:
            self.given += 1
            key = "%s%d" % (prefix, self.given)
            self.secrets[key], self.tokens[key] = "of-" + key, "token/of+%s==" % key
        return key, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))

    def keys_json(self, prefix):
        key, until = self.new_keys(prefix)
        return json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": self.secrets[key],
                           "Token": self.tokens[key], "Expiration": until}).encode()

    def sts(self, request):
        form = dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))
        if form["Action"] == "AssumeRole":
            key = signer_of(request, self.secrets, self.region, "sts")
            assert request.get("X-Amz-Security-Token") == self.tokens.get(key)
            assert form["RoleArn"] == "arn:aws:iam::1:role/other" and form["RoleSessionName"]
        else:
            assert form["Action"] == "AssumeRoleWithWebIdentity" and form["WebIdentityToken"] == "web.token"
            assert form["RoleArn"] == "arn:aws:iam::1:role/web" and not request.get("Authorization")
        key, until = self.new_keys("ROLE" if form["Action"] == "AssumeRole" else "WEB")
        return origin.answer(content_type="text/xml", body=(
            "<%sResponse><Result><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>"
            "<SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></Result></%sResponse>"
            % (form["Action"], key, self.secrets[key], self.tokens[key], until, form["Action"])).encode())

    def invoke(self, request):
        key = signer_of(request, self.secrets, self.region, "lambda")
        assert request.method == "POST" and request.get("X-Amz-Security-Token") == self.tokens.get(key)
        path, _, query = request.target.partition("?")
        name = urllib.parse.unquote(path.split("/")[3])
        event = json.loads(request.body)
        with self.lock:
            self.signers.append(key)
            self.events.append((name, query, event))
            self.last = request
        status, headers, body = self.answer(name, event)
        return origin.answer(status, headers=[("X-Amzn-RequestId", "id-1")] + headers, body=body)
