# SPDX-License-Identifier: Apache-2.0
"""The proxies under test: Sluice and its peers, how each is configured and started.

A subject is a row of SUBJECTS. Its configuration is made from a `Plan`, which
says what the scenario needs; README.md explains the tuning of the peers."""
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from processes import ROOT, is_listening, wait_until

KEEPALIVE_S = 600
HUGE_LIMIT = 1_000_000_000
ORIGIN = 'https://shop.example.com'


@dataclass
class Plan:
    """What one scenario asks of a proxy, and where it runs."""
    directory: Path
    listen_port: int
    origin_port: int
    routes: int = 0         # 0 = one route for everything
    consumers: int = 0      # with a JWT each, 0 = no JWT
    rate_limit: str = ''    # '', 'local' or 'redis'
    redis_port: int = 0
    cache: bool = False     # responses are kept
    tls: bool = False       # clients speak TLS
    http2: bool = False     # ... and may speak HTTP/2
    keys: int = 0           # consumers with a key and a group each
    plugins: tuple = ()     # by name, from PLUGINS
    stream: bool = False    # raw TCP, whatever is spoken over it
    second_port: int = 0    # another listener, for floods
    second: str | None = None     # its options
    second_origin_port: int = 0   # for /a, which floods ask for
    idle: int = 0
    revision: int = 0       # changes the text, for reloads
    settings: dict = field(default_factory=dict)


def make_certificate(plan):
    """A P-256 key with a certificate that it has signed itself; together, as HAProxy wants them, and apart."""
    paths = [str(plan.directory / name) for name in ('tls.key', 'tls.crt')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-keyout', paths[0], '-out', paths[1], '-days', '2', '-subj', '/CN=bench.test'],
                   check=True, capture_output=True)
    both = ''.join(Path(path).read_text() for path in reversed(paths))
    (plan.directory / 'tls.pem').write_text(both)


def consumer_key(index):
    return f'consumer-{index}-key'


# One for all consumers: HAProxy 2.6 takes the secret only as text in its configuration.
CONSUMER_SECRET = hashlib.sha256(b'bench secret').hexdigest()


def jwt_token(index):
    """An HS256 token with iss and an exp far ahead."""
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b'=')

    head = encode(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())
    claims = encode(json.dumps({'iss': consumer_key(index), 'exp': 4102444800, 'sub': str(index)}).encode())
    signature = hmac.new(CONSUMER_SECRET.encode(), head + b'.' + claims, hashlib.sha256).digest()
    return b'.'.join([head, claims, encode(signature)]).decode()


# --- Sluice ---------------------------------------------------------------------------------------------


def sluice_routes(plan):
    if plan.routes == 0:
        return '      - {name: all, paths: [/], strip_path: false}\n'
    changed = f', tags: [revision-{plan.revision}]'
    return ''.join(f'      - {{name: r{n}, paths: [/r{n}/], strip_path: false{"" if n else changed}}}\n'
                   for n in range(plan.routes))


# As somebody who needs them would set them up.
PLUGINS = {
    'key-auth': '{key_names: [apikey]}',
    'acl': '{allow: [gold, staff]}',
    'ip-restriction': '{allow: [127.0.0.0/8, 10.0.0.0/8, "2001:db8::/32"], deny: [10.0.0.13]}',
    'cors': f'{{origins: ["{ORIGIN}"], methods: [GET, POST], credentials: true, max_age: 3600}}',
    'rate-limiting': f'{{minute: {HUGE_LIMIT}, policy: local}}',
    'correlation-id': '{header_name: X-Correlation-ID, echo_downstream: true}',
}


def sluice_plugins(plan):
    plugins = [f'      - name: {name}\n        config: {PLUGINS[name]}\n' for name in plan.plugins]
    if plan.consumers:
        plugins.append('      - name: jwt\n        config: {claims_to_verify: [exp]}\n')
    if plan.rate_limit:
        plugins.append('      - name: rate-limiting\n'
                       f'        config: {{minute: {HUGE_LIMIT}, policy: {plan.rate_limit}}}\n')
    if plan.cache:
        plugins.append('      - name: proxy-cache\n'
                       '        config: {strategy: memory, content_type: [application/octet-stream]}\n')
    return '    plugins:\n' + ''.join(plugins) if plugins else ''


def sluice_stream_config(plan):
    return {'sluice.yaml': '_format_version: "3.0"\nservices:\n  - name: origin\n    protocol: tcp\n'
                           f'    host: 127.0.0.1\n    port: {plan.origin_port}\n    routes:\n'
                           f'      - {{name: all, protocols: [tcp], destinations: [{{port: {plan.listen_port}}}]}}\n'}


def sluice_config(plan):
    if plan.stream:
        return sluice_stream_config(plan)
    text = '_format_version: "3.0"\nservices:\n'
    text += f'  - name: origin\n    url: http://127.0.0.1:{plan.origin_port}\n'
    text += '    routes:\n' + sluice_routes(plan) + sluice_plugins(plan)
    if plan.second_origin_port:
        text += f'  - name: second\n    url: http://127.0.0.1:{plan.second_origin_port}\n'
        text += '    routes: [{paths: [/a]}]\n'
    if plan.revision:
        text += f'    tags: [revision-{plan.revision}]\n'
    if plan.consumers or plan.keys:
        text += 'consumers:\n'
    for n in range(plan.keys):
        text += f'  - username: consumer-{n}\n    acls: [{{group: gold}}]\n'
        text += f'    keyauth_credentials: [{{key: {consumer_key(n)}}}]\n'
    for n in range(plan.consumers):
        text += f'  - username: consumer-{n}\n    jwt_secrets:\n'
        text += f'      - {{key: {consumer_key(n)}, secret: {CONSUMER_SECRET}, algorithm: HS256}}\n'
    return {'sluice.yaml': text}


# The same service and route in the other dialects, for the scenario `dialects`.


def mapping_config(plan):
    return {'mapping.yaml': 'apiVersion: getambassador.io/v3alpha1\nkind: Mapping\nmetadata: {name: all}\n'
                            'spec: {hostname: "*", prefix: /, rewrite: "", timeout_ms: 0,\n'
                            f'       service: "127.0.0.1:{plan.origin_port}"}}\n'}


def httproute_config(plan):
    return {'httproute.yaml': f'''\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: c}}
spec: {{controllerName: sluice.dev/gateway}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: g, namespace: default}}
spec:
  gatewayClassName: c
  listeners: [{{name: http, port: {plan.listen_port}, protocol: HTTP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r, namespace: default}}
spec:
  parentRefs: [{{name: g}}]
  rules:
    - matches: [{{path: {{type: PathPrefix, value: /}}}}]
      backendRefs: [{{name: origin, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: origin, namespace: default}}
spec: {{ports: [{{name: http, port: 80, targetPort: {plan.origin_port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: origin-1, namespace: default, labels: {{kubernetes.io/service-name: origin}}}}
addressType: IPv4
ports: [{{name: http, port: {plan.origin_port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
'''}


def aws_config(plan):
    return {'api.tf': f'''\
resource "aws_apigatewayv2_api" "a" {{
  name          = "a"
  protocol_type = "HTTP"
}}
resource "aws_apigatewayv2_integration" "i" {{
  api_id           = aws_apigatewayv2_api.a.id
  integration_type = "HTTP_PROXY"
  integration_uri  = "http://127.0.0.1:{plan.origin_port}"
}}
resource "aws_apigatewayv2_route" "r" {{
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "$default"
  target    = "integrations/${{aws_apigatewayv2_integration.i.id}}"
}}
'''}


def sluice_file(plan):
    """The configuration that was written, in whichever dialect."""
    names = ('sluice.yaml', 'mapping.yaml', 'httproute.yaml', 'api.tf')
    return next(name for name in names if (plan.directory / name).exists())


def sluice_argv(program, plan, core):
    settings = {
        'shards': 1, 'cpu_affinity': core, 'proxy_listen': f'127.0.0.1:{plan.listen_port}',
        'proxy_access_log': 'off', 'admin_listen': 'off', 'status_listen': 'off',
        'keepalive_requests': 1000000000, # as the peers: h2load begins no new connections
    }
    if plan.tls:
        settings |= {'proxy_listen': f'127.0.0.1:{plan.listen_port} ssl' + ' http2' * plan.http2,
                     'ssl_cert': plan.directory / 'tls.crt',
                     'ssl_cert_key': plan.directory / 'tls.key'}
    if plan.second is not None:
        settings['proxy_listen'] += f', 127.0.0.1:{plan.second_port} {plan.second} backlog=16384'
        settings |= {'ssl_cert': plan.directory / 'tls.crt', 'ssl_cert_key': plan.directory / 'tls.key'}
    if plan.stream:
        settings |= {'proxy_listen': 'off', 'stream_listen': f'127.0.0.1:{plan.listen_port}',
                     'proxy_stream_access_log': 'off'}
    if plan.rate_limit == 'redis':
        settings |= {'redis_host': '127.0.0.1', 'redis_port': plan.redis_port}
    settings |= plan.settings
    argv = [program, 'run', '-c', plan.directory / sluice_file(plan)]
    for key, value in settings.items():
        argv += ['--set', f'{key}={value}']
    return argv


# --- nginx ----------------------------------------------------------------------------------------------

NGINX_MAIN = '''\
{user}worker_processes 1;
worker_rlimit_nofile {files};
pid nginx.pid;
error_log stderr crit;
events {{
    use epoll;
    worker_connections {connections};
    multi_accept on;
    accept_mutex off;
}}
http {{
    access_log off;
    server_tokens off;
    keepalive_timeout {keepalive}s;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout {keepalive}s;
    }}
    server {{
        listen 127.0.0.1:{listen}{ssl} reuseport backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header Via "1.1 nginx";
        add_header Via "1.1 nginx";
{server}
    }}
}}
'''

NGINX_UNBUFFERED = '''\
        proxy_buffering off;
        proxy_buffer_size 256k;
        proxy_buffers 4 256k;
        proxy_busy_buffers_size 256k;
'''


NGINX_TLS = '''\
        ssl_certificate tls.crt;
        ssl_certificate_key tls.key;
        ssl_protocols TLSv1.3;
        ssl_session_cache off;
        ssl_session_tickets on;
        ssl_session_timeout 1d;
'''


# What comes nearest to each of PLUGINS; `limited` is what is counted.
NGINX_PLUGINS = {
    'key-auth': '''\
        if ($consumer = "") { return 401; }
        proxy_set_header X-Consumer-Username $consumer;
''',
    'acl': '        if ($permitted = 0) { return 403; }\n',
    'ip-restriction': '''\
        deny 10.0.0.13;
        allow 127.0.0.0/8;
        allow 10.0.0.0/8;
        allow 2001:db8::/32;
        deny all;
''',
    'cors': '''\
        add_header Access-Control-Allow-Origin $allowed_origin;
        add_header Access-Control-Allow-Credentials true;
        add_header Vary Origin;
''',
    'rate-limiting': '        limit_req zone=limited burst=1000000 nodelay;\n',
    'correlation-id': '''\
        proxy_set_header X-Correlation-ID $request_id;
        add_header X-Correlation-ID $request_id;
''',
}


def nginx_plugins(plan):
    """What they need around the server."""
    text = ''
    if 'key-auth' in plan.plugins:
        keys = ''.join(f'        "{consumer_key(n)}" consumer-{n};\n' for n in range(plan.keys))
        text += f'    map_hash_max_size 4096;\n    map $http_apikey $consumer {{\n        default "";\n{keys}    }}\n'
    if 'acl' in plan.plugins:
        groups = ''.join(f'        consumer-{n} 1;\n' for n in range(plan.keys))
        text += f'    map $consumer $permitted {{\n        default 0;\n{groups}    }}\n'
    if 'cors' in plan.plugins:
        text += f'    map $http_origin $allowed_origin {{\n        "{ORIGIN}" "{ORIGIN}";\n    }}\n'
    if 'rate-limiting' in plan.plugins:
        limited = '$consumer' if 'key-auth' in plan.plugins else '$binary_remote_addr'
        text += f'    limit_req_zone {limited} zone=limited:10m rate=1000000r/s;\n'
    return text


def nginx_config(plan, unbuffered=False):
    http = f'    # revision {plan.revision}\n'
    server = NGINX_UNBUFFERED if unbuffered else ''
    http += nginx_plugins(plan)
    server += ''.join(NGINX_PLUGINS[name] for name in plan.plugins)
    if plan.rate_limit:
        http += '    limit_req_zone $http_authorization zone=limit:10m rate=1000000r/s;\n'
        server += '        limit_req zone=limit burst=1000000 nodelay;\n'
    if plan.cache:
        http += '    proxy_cache_path kept keys_zone=kept:10m use_temp_path=off;\n'
        http += '    open_file_cache max=1000;\n'
        server += '        proxy_cache kept;\n        proxy_cache_valid 200 1h;\n'
    if plan.second is not None:
        server += f'        listen 127.0.0.1:{plan.second_port} {plan.second} reuseport backlog=16384;\n'
        server += f'        location /a/ {{ proxy_pass http://127.0.0.1:{plan.second_origin_port}; }}\n'
    if plan.tls or plan.second is not None:
        server += NGINX_TLS
    if plan.routes == 0:
        server += '        location / { proxy_pass http://origin; }\n'
    for n in range(plan.routes):
        server += f'        location /r{n}/ {{ proxy_pass http://origin; }}\n'
    return {'nginx.conf': NGINX_MAIN.format(
        user='user root;\n' if os.geteuid() == 0 else '', files=20000 if plan.idle else 4096,
        connections=16384 if plan.idle else 2048, keepalive=KEEPALIVE_S, http=http, origin=plan.origin_port,
        listen=plan.listen_port, ssl=' ssl' * plan.tls + ' http2' * plan.http2, server=server)}


def nginx_argv(program, plan, _core):
    return [program, '-e', 'stderr', '-p', plan.directory, '-c', plan.directory / 'nginx.conf',
            '-g', 'daemon off;']


# --- HAProxy --------------------------------------------------------------------------------------------

HAPROXY_MAIN = '''\
# revision {revision}
global
    nbthread 1
    maxconn {maxconn}
{glob}
defaults
    mode http
    option http-keep-alive
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client {keepalive}s
    timeout server {keepalive}s
    timeout http-keep-alive {keepalive}s
{defaults}
frontend bench
    bind 127.0.0.1:{listen} backlog 4096{ssl}
    http-request set-header Via "1.1 haproxy"
    http-response set-header Via "1.1 haproxy"
{frontend}
backend origin
    server origin 127.0.0.1:{origin} pool-max-conn 1024 pool-purge-delay {keepalive}s
{extra}'''

HAPROXY_JWT = '''\
    http-request set-var(txn.token) http_auth_bearer
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
    http-request set-var(txn.iss) var(txn.token),jwt_payload_query('$.iss')
    http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.iss),map_str({directory}/consumers.map) -m found }}
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str HS256 }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.alg,"{secret}") 1 }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
'''

HAPROXY_LIMIT = '''\
    http-request track-sc0 var(txn.iss) table limits
    http-request deny deny_status 429 if {{ sc_http_req_rate(0,limits) gt {limit} }}
'''

HAPROXY_KEYS = '''\
    http-request set-var(txn.consumer) req.hdr(apikey),map_str({directory}/keys.map)
    http-request deny deny_status 401 unless {{ var(txn.consumer) -m found }}
    http-request deny deny_status 403 unless {{ var(txn.consumer),map_str({directory}/groups.map) -m str gold staff }}
    http-request track-sc0 var(txn.consumer) table limits
    http-request deny deny_status 429 if {{ sc_http_req_rate(0,limits) gt {limit} }}
    http-request set-header X-Consumer-Username %[var(txn.consumer)]
'''

HAPROXY_TABLE = '''\
backend limits
    stick-table type string len 64 size 100k expire 60s store http_req_rate(60s)
'''


HAPROXY_TCP = '''\
global
    nbthread 1
    maxconn 1000
{glob}defaults
    mode tcp
    timeout connect 5s
    timeout client {keepalive}s
    timeout server {keepalive}s
{defaults}frontend in
    bind 127.0.0.1:{listen}
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
'''


def haproxy_config(plan, splice=False):
    files = {}
    if plan.stream:
        return {'haproxy.cfg': HAPROXY_TCP.format(
            glob='    tune.pipesize 262144\n' if splice else '', keepalive=KEEPALIVE_S,
            defaults='    option splice-response\n' if splice else '', listen=plan.listen_port,
            origin=plan.origin_port)}
    frontend = extra = ''
    if plan.consumers:
        frontend += HAPROXY_JWT.format(directory=plan.directory, secret=CONSUMER_SECRET)
        files['consumers.map'] = ''.join(f'{consumer_key(n)} {n}\n' for n in range(plan.consumers))
    if plan.rate_limit:
        frontend += HAPROXY_LIMIT.format(limit=HUGE_LIMIT)
        extra = HAPROXY_TABLE
    if plan.keys:
        frontend += HAPROXY_KEYS.format(directory=plan.directory, limit=HUGE_LIMIT)
        files['keys.map'] = ''.join(f'{consumer_key(n)} consumer-{n}\n' for n in range(plan.keys))
        files['groups.map'] = ''.join(f'consumer-{n} gold\n' for n in range(plan.keys))
        extra = HAPROXY_TABLE
    if plan.routes:
        frontend += f'    use_backend %[path,map_beg({plan.directory}/routes.map,none)]\n'
        files['routes.map'] = ''.join(f'/r{n}/ origin\n' for n in range(plan.routes))
        extra += 'backend none\n    http-request deny deny_status 404\n'
    else:
        frontend += '    default_backend origin\n'
    glob = '    no strict-limits\n' if plan.idle else ''
    glob += '    tune.pipesize 262144\n' if splice else ''
    files['haproxy.cfg'] = HAPROXY_MAIN.format(
        revision=plan.revision, maxconn=plan.idle + 500 if plan.idle else 1000, glob=glob,
        keepalive=KEEPALIVE_S, defaults='    option splice-response\n' if splice else '',
        listen=plan.listen_port, frontend=frontend,
        ssl=f' ssl crt {plan.directory}/tls.pem ssl-min-ver TLSv1.3' if plan.tls else '',
        origin=plan.origin_port, extra=extra)
    return files


def haproxy_argv(program, plan, _core):
    return [program, '-db', '-f', plan.directory / 'haproxy.cfg']


# --- the table ------------------------------------------------------------------------------------------


@dataclass
class Subject:
    name: str
    program: str            # a path, or a name looked up in PATH
    config: Callable        # Plan -> {file name: text}
    argv: Callable          # program, Plan, core -> argument vector
    version_flag: str
    stop_signal: int = signal.SIGTERM
    says_ready: bool = False
    note: str = ''
    own: bool = False       # the gateway itself, set up otherwise
    unequal: bool = False   # does less work than the others: shown, but never "the strongest"

    def path(self):
        """Debian keeps servers in /usr/sbin, which not every user has in PATH."""
        return shutil.which(self.program, path=os.environ.get('PATH', '') + ':/usr/local/sbin:/usr/sbin')

    def version(self):
        done = subprocess.run([self.path(), self.version_flag], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).strip().splitlines()
        return lines[0] if lines else 'unknown'

    def write_config(self, plan):
        files = self.config(plan)
        for name, text in files.items():
            new = plan.directory / (name + '.new')
            new.write_text(text)
            new.rename(plan.directory / name)
        return files

    def start(self, processes, plan, core):
        """Starts it on `core` and returns the process when it serves."""
        log_path = plan.directory / 'stderr'
        with open(log_path, 'wb') as log:
            process = processes.start(self.argv(self.path(), plan, core), core, stderr=log, cwd=plan.directory)

        def ready():
            if self.says_ready:
                return any(line.startswith('ready') for line in log_path.read_text().splitlines())
            return is_listening(plan.listen_port)

        wait_until(ready, process, self.name, log_path)
        return process


def sluice_subject(name, binary):
    return Subject(name, str(binary), sluice_config, sluice_argv, 'version', signal.SIGINT, says_ready=True)


def peer_subjects(binary=None):
    """Every peer, the variants that only some scenarios use included; `binary` is the gateway's."""
    def nginx_unbuffered(plan):
        return nginx_config(plan, unbuffered=True)

    def haproxy_splice(plan):
        return haproxy_config(plan, splice=True)

    def dialect(name, config):
        return Subject(name, str(binary or DEFAULT_BINARY), config, sluice_argv, 'version', signal.SIGINT,
                       says_ready=True, note='the same gateway', own=True)

    subjects = [
        dialect('mapping', mapping_config), dialect('httproute', httproute_config), dialect('aws', aws_config),
        Subject('nginx', 'nginx', nginx_config, nginx_argv, '-v'),
        Subject('haproxy', 'haproxy', haproxy_config, haproxy_argv, '-v'),
        Subject('nginx-unbuffered', 'nginx', nginx_unbuffered, nginx_argv, '-v',
                note='proxy_buffering off, 256k buffer'),
        Subject('haproxy-splice', 'haproxy', haproxy_splice, haproxy_argv, '-v',
                note='option splice-response, 256k pipes'),
        Subject('nginx-no-jwt', 'nginx', nginx_config, nginx_argv, '-v',
                note='limit_req only: nginx cannot verify a JWT', unequal=True),
    ]
    return {subject.name: subject for subject in subjects}


DEFAULT_BINARY = ROOT / 'build' / 'sluice'
