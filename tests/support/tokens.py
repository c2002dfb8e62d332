# SPDX-License-Identifier: Apache-2.0
"""Makes JSON Web Tokens: HS* with hmac, the others with the openssl program and keys made on the spot."""
import base64
import functools
import hashlib
import hmac
import json
import shutil
import subprocess
import tempfile

from tests.support.runner import Skip

CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66)}


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signing_input(alg, claims, header):
    head = {"typ": "JWT", "alg": alg, **header}
    return ".".join(b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))


def hs(claims, secret, alg="HS256", **header):
    text = signing_input(alg, claims, header)
    mac = hmac.new(secret.encode(), text.encode(), getattr(hashlib, "sha" + alg[2:]))
    return text + "." + b64url(mac.digest())


def signed(claims, key, alg, **header):
    """A token signed by `key`, a private key of the right kind as PEM."""
    text = signing_input(alg, claims, header)
    return text + "." + b64url(signature(alg, key, text.encode()))


def tampered(token):
    """The same token with one bit of its signature changed."""
    head, _, sig = token.rpartition(".")
    data = bytearray(base64.urlsafe_b64decode(sig + "=" * (-len(sig) % 4)))
    data[len(data) // 2] ^= 1
    return head + "." + b64url(bytes(data))


def openssl(*arguments, data=b""):
    if not shutil.which("openssl"):
        raise Skip("the openssl program is not installed")
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@functools.lru_cache(None)
def key_pair(alg):
    """(private, public) key as PEM text, the same at each call of one process."""
    if alg in CURVES:
        options = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + CURVES[alg][0]]
    elif alg == "EdDSA":
        options = ["-algorithm", "ED25519"]
    else:
        options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    private = openssl("genpkey", *options)
    return private.decode(), openssl("pkey", "-pubout", data=private).decode()


def signature(alg, key, data):
    with tempfile.NamedTemporaryFile() as k, tempfile.NamedTemporaryFile() as d:
        k.write(key.encode())
        d.write(data)
        k.flush()
        d.flush()
        if alg == "EdDSA":
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", k.name, "-in", d.name)
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]
        options = pss if alg[0] == "P" else []
        out = openssl("dgst", "-sha" + alg[2:], "-sign", k.name, *options, d.name)
    return raw_ecdsa(out, CURVES[alg][1]) if alg in CURVES else out


def raw_ecdsa(der, size):
    """DER SEQUENCE of two INTEGERs -> the two numbers, `size` bytes each."""
    at = 2 if der[1] < 0x80 else 3
    out = b""
    for _ in range(2):
        length = der[at + 1]
        out += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(size, b"\0")
        at += 2 + length
    return out


def der_integers(der):
    """The INTEGERs of a SEQUENCE, as bytes without leading zeros."""
    def length(at):
        if der[at] < 0x80:
            return at + 1, der[at]
        count = der[at] & 0x7f
        return at + 1 + count, int.from_bytes(der[at + 1:at + 1 + count], "big")
    at, end = length(1)
    end += at
    numbers = []
    while at < end:
        assert der[at] == 2, der[at]
        start, size = length(at + 1)
        numbers.append(der[start:start + size].lstrip(b"\0"))
        at = start + size
    return numbers


def jwk(alg, public, /, **members):
    """A public key (PEM) as a JSON Web Key."""
    if alg in CURVES:
        curve, size = CURVES[alg]
        point = openssl("pkey", "-pubin", "-outform", "DER", data=public.encode())[-2 * size:]
        key = {"kty": "EC", "crv": curve, "x": b64url(point[:size]), "y": b64url(point[size:])}
    elif alg == "EdDSA":
        key = {"kty": "OKP", "crv": "Ed25519",
               "x": b64url(openssl("pkey", "-pubin", "-outform", "DER", data=public.encode())[-32:])}
    else:
        n, e = der_integers(openssl("rsa", "-pubin", "-RSAPublicKey_out", "-outform", "DER",
                                    data=public.encode()))
        key = {"kty": "RSA", "n": b64url(n), "e": b64url(e)}
    return {**key, **members}
