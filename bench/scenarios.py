# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what is asked of a proxy, who takes part, how one run is measured.

A scenario is a row of SCENARIOS. Its `measure` function gets a Run (one proxy,
started and ready) and returns a dict of metrics; report.py knows their names."""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from outside import h2load, measured_by, wrk
from processes import LOWEST, NICE, BenchError, free_port, is_listening, tree_resident_bytes, wait_until
from subjects import ORIGIN, PLUGINS, Plan, consumer_key, jwt_token, make_certificate

PEERS = ('nginx', 'haproxy')
CONSUMERS = 100
CALM_RELOAD_INTERVAL_S = 0.5
RELOAD_INTERVAL_S = 0.01


@dataclass
class Size:
    """How much of everything: full runs and the small ones of --check."""
    warmup_s: float = 1.0
    seconds: float = 3.0
    idle: int = 10000
    idle_rate: int = 1000
    steady_rate: int = 20000
    reloads: int = 1000
    reload_rate: int = 2000


class Run:
    """One proxy under one scenario, with its origin and its load generator."""

    def __init__(self, processes, tools, cores, size, scenario, subject, settings):
        self.processes, self.tools, self.cores, self.size = processes, tools, cores, size
        self.scenario, self.subject, self.settings = scenario, subject, settings
        self.directory = tempfile.TemporaryDirectory(prefix='sluice-bench-')
        self.files = {}
        self.started = []

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self):
        directory = Path(self.directory.name)
        scenario = self.scenario
        self.origin_port = free_port() if scenario.one_process else self.start_origin()
        self.plan = Plan(directory, free_port(), self.origin_port, scenario.routes, scenario.consumers,
                         scenario.rate_limit, keys=scenario.keys, cache=scenario.cache, plugins=scenario.plugins,
                         tls=scenario.tls, http2=scenario.http2, stream=scenario.stream,
                         second=scenario.second, second_port=0 if scenario.second is None else free_port(),
                         idle=self.size.idle if scenario.name == 'idle10000' or scenario.second is not None else 0,
                         settings=self.settings if self.subject.says_ready else {})
        if scenario.tls or scenario.second is not None:
            make_certificate(self.plan)
        if scenario.second is not None:
            self.plan.second_origin_port = self.start_origin(LOWEST)
        if scenario.rate_limit == 'redis':
            self.start_redis(directory)
        self.target_path = directory / 'targets'
        self.target_path.write_text(''.join(line + '\n' for line in scenario.targets()))
        self.files = self.subject.write_config(self.plan)
        self.proxy = self.subject.start(self.processes, self.plan, self.cores.proxy)
        self.started.append((self.proxy, self.subject.stop_signal))

    def __exit__(self, *_exception):
        for process, stop_signal in reversed(self.started):
            self.processes.stop(process, stop_signal)
            if process.stdout:
                process.stdout.close()
        self.directory.cleanup()

    def start_origin(self, nice=NICE):
        origin = self.processes.start([self.tools / 'origin'], self.cores.origin, stdout=subprocess.PIPE, nice=nice)
        self.started.append((origin, signal.SIGTERM))
        return int(origin.stdout.readline())

    def start_redis(self, directory):
        port = self.plan.redis_port = free_port()
        log_path = directory / 'redis.log'
        argv = ['redis-server', '--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
                '--logfile', log_path, '--dir', directory]
        redis = self.processes.start(argv, self.cores.origin)
        self.started.append((redis, signal.SIGTERM))
        wait_until(lambda: is_listening(port), redis, 'redis-server', log_path)

    def start_load(self, direct=False, **options):
        """Starts the generator; `options` are its flags, True for those without value."""
        port = self.origin_port if direct else self.plan.listen_port
        flags = {'connections': self.scenario.connections, 'warmup': self.size.warmup_s,
                 'duration': self.size.seconds} | options
        argv = [self.tools / 'load', '--port', port, '--target', self.target_path]
        if not direct:
            argv += ['--pid', self.proxy.pid]
        for header in self.scenario.headers:
            argv += ['--header', header]
        if self.scenario.one_process:
            flags = {'origin-port': self.origin_port} | flags
        if self.scenario.tls and not direct:
            flags = {'tls': True} | flags
        for name, value in flags.items():
            argv += [f'--{name}'] if value is True else [f'--{name}', value]
        return self.processes.start(argv, self.cores.load, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end_load(self, load):
        output, complaint = load.communicate(timeout=600)
        self.processes.stop(load)
        if self.proxy.poll() is not None:
            log = (self.plan.directory / 'stderr').read_text(errors='replace')[-2000:]
            raise BenchError(f'{self.subject.name} died under load, status {self.proxy.returncode}\n{log}')
        if load.returncode != 0:
            raise BenchError(f'the load generator failed: {complaint.decode()}')
        return json.loads(output)

    def start_tap(self):
        """Listens to the packets of the next load, if it may: only root opens packet sockets."""
        if os.geteuid() != 0:
            return None
        argv = [self.tools / 'tap', self.plan.listen_port, self.origin_port, self.size.warmup_s, self.size.seconds]
        return self.processes.start(argv, self.cores.load, stdout=subprocess.PIPE)

    def end_tap(self, tap):
        output, _ = tap.communicate(timeout=60)
        self.processes.stop(tap)
        return json.loads(output) if tap.returncode == 0 else {}

    def load(self, **options):
        return self.end_load(self.start_load(**options))


def common_metrics(result):
    """The metrics every scenario has, from the generator's JSON."""
    proxy, latency = result['proxy'], result['latency_us']
    return {
        'cpu_us': proxy['cpu_us_per_request'], 'user_us': proxy['user_us_per_request'],
        'system_us': proxy['system_us_per_request'], 'rps': result['rps'], 'p50_us': latency['p50'],
        'p90_us': latency['p90'], 'p99_us': latency['p99'], 'p99_9_us': latency['p99_9'],
        'max_us': latency['max'], 'rss_mib': proxy['rss_end'] / 2**20, 'core_share': proxy['core_share'],
        'requests': result['requests'], 'errors': result['errors']['total'],
        'error_kinds': json.dumps(result['errors']) if result['errors']['total'] else '',
    }


def measure_saturation(run):
    return common_metrics(run.load())


def measure_churn(run):
    return common_metrics(run.load(close=True))


def measure_handshakes(run, **options):
    """A connection per request: a handshake, one small request, the end."""
    result = run.load(close=True, **options)
    metrics = common_metrics(result)
    tls = result['tls']
    metrics['handshakes_per_second'] = tls['handshakes'] / result['seconds']
    metrics['resumed_share'] = tls['resumed'] / max(tls['handshakes'], 1)
    return metrics


def measure_resumption(run):
    return measure_handshakes(run, **{'tls-resume': True})


def measure_half(run):
    """Latency at half of this proxy's own saturation, against the origin directly at the same rate."""
    saturation = run.load(duration=max(run.size.seconds / 3, 0.3))
    metrics = measure_rate(run, max(round(saturation['rps'] / 2), 1))
    metrics['errors'] += saturation['errors']['total']
    metrics['saturation_rps'] = saturation['rps']
    return metrics


def measure_steady(run):
    """The same at a rate that leaves the generator's own core time to be on time."""
    return measure_rate(run, run.size.steady_rate)


def measure_rate(run, rate):
    tap = run.start_tap()
    result = run.load(rate=rate)
    own = run.end_tap(tap) if tap else {}
    direct = run.load(direct=True, rate=rate)
    metrics = common_metrics(result)
    metrics['errors'] += direct['errors']['total']
    for name in ('p50', 'p99', 'p99_9'):
        metrics[f'added_{name}_us'] = result['latency_us'][name] - direct['latency_us'][name]
        metrics[f'direct_{name}_us'] = direct['latency_us'][name]
        if own.get('requests'):
            metrics[f'own_{name}_us'] = own[name]
    return metrics


def measure_idle(run):
    """Idle connections after a warm run, so that they alone explain the growth."""
    run.load(duration=min(run.size.seconds, 1.0))
    result = run.load(idle=run.size.idle, rate=run.size.idle_rate, timeout=20)
    proxy, idle = result['proxy'], result['idle']
    metrics = common_metrics(result)
    opened = max(idle['opened'], 1)
    metrics['idle_opened'] = idle['opened']
    metrics['errors'] += idle['failed'] + idle['closed']
    metrics['idle_bytes'] = (proxy['rss_start'] - proxy['rss_before_idle']) / opened
    metrics['idle_anonymous_bytes'] = (proxy['anonymous_start'] - proxy['anonymous_before_idle']) / opened
    return metrics


def measure_reload(run):
    """SIGHUP after SIGHUP, each with a changed file, while requests arrive at a constant rate."""
    count = run.size.reloads
    duration = count * RELOAD_INTERVAL_S * 1.2 + 1.0
    load = run.start_load(rate=run.size.reload_rate, duration=duration)
    memory = {}

    def send_signals():
        time.sleep(run.size.warmup_s)
        memory['before'] = tree_resident_bytes(run.proxy.pid)
        for n in range(1, count + 1):
            if run.proxy.poll() is not None:
                return
            run.plan.revision = n
            run.subject.write_config(run.plan)
            run.proxy.send_signal(signal.SIGHUP)
            time.sleep(RELOAD_INTERVAL_S)
            if n == max(count // 10, 1):
                memory['tenth'] = tree_resident_bytes(run.proxy.pid)

    sender = threading.Thread(target=send_signals)
    sender.start()
    result = run.end_load(load)
    sender.join()
    log = (run.plan.directory / 'stderr').read_text(errors='replace')
    metrics = common_metrics(result)
    after = tree_resident_bytes(run.proxy.pid)
    metrics |= {
        'reloads': count, 'reload_lines': sum('reload' in line for line in log.splitlines()),
        'rss_before_mib': memory.get('before', 0) / 2**20, 'rss_tenth_mib': memory.get('tenth', 0) / 2**20,
        'rss_after_mib': after / 2**20,
    }
    return metrics


def measure_calm_reload(run):
    """What reloads of a large configuration, of which one route changes, add to the latency of its traffic."""
    count = max(run.size.reloads // 50, 2)
    duration = max(count * CALM_RELOAD_INTERVAL_S, run.size.seconds)
    calm = run.load(rate=run.size.reload_rate, duration=duration)
    load = run.start_load(rate=run.size.reload_rate, duration=duration)

    def send_signals():
        for n in range(1, count + 1):
            time.sleep(CALM_RELOAD_INTERVAL_S)
            run.plan.revision = n
            run.subject.write_config(run.plan)
            run.proxy.send_signal(signal.SIGHUP)

    sender = threading.Thread(target=send_signals)
    sender.start()
    result = run.end_load(load)
    sender.join()
    metrics = common_metrics(result)
    metrics['errors'] += calm['errors']['total']
    metrics['reloads'] = count
    for name in ('p99', 'p99_9', 'max'):
        metrics[f'added_{name}_us'] = result['latency_us'][name] - calm['latency_us'][name]
        metrics[f'calm_{name}_us'] = calm['latency_us'][name]
    return metrics


@dataclass
class Scenario:
    name: str
    title: str
    targets: Callable                   # () -> lines of the target file
    measure: Callable = measure_saturation
    peers: tuple = PEERS
    connections: int = 64
    routes: int = 0
    consumers: int = 0
    rate_limit: str = ''
    cache: bool = False
    tls: bool = False
    http2: bool = False
    stream: bool = False
    one_process: bool = False           # the generator is the origin as well
    second: str | None = None           # options of another listener
    keys: int = 0
    plugins: tuple = ()
    headers: tuple = ()                 # of every request
    extra_metrics: tuple = ()           # beside those every scenario shows
    open_loop: bool = False
    single_round: bool = False
    has_ratios: bool = True
    note: str = ''
    tolerant_of: tuple = ()             # peers whose errors are a finding, not a fault


def one_target(size_bytes):
    return lambda: [f'/api/v1/items/bytes/{size_bytes}']


def distinct_targets():
    """So that a request can be told from the others under way."""
    return [f'/api/v1/{n}/items/bytes/128' for n in range(10000)]


def route_targets(count):
    """All routes once per cycle, in a fixed order that no cache line likes."""
    def targets():
        return [f'/r{(n * 7919) % count}/items/bytes/128' for n in range(count)]
    return targets


def token_targets():
    return [f'/api/v1/items/bytes/128\tAuthorization: Bearer {jwt_token(n)}' for n in range(CONSUMERS)]


def key_targets():
    return [f'/api/v1/items/bytes/128\tapikey: {consumer_key(n)}' for n in range(CONSUMERS)]


def gateway_targets():
    return [f'{target}\tapikey: {consumer_key(n % CONSUMERS)}' for n, target in enumerate(route_targets(1000)())]


def plugin_scenarios(names):
    """[(plugin, the scenario with it, the same without it)]: the same requests in all of them. acl needs somebody to
    judge, so it stands on key-auth."""
    unknown = [name for name in names if name not in PLUGINS]
    if unknown:
        raise BenchError(f'unknown plugin {unknown[0]}; known: {", ".join(PLUGINS)}')

    def scenario(*plugins):
        return Scenario('+'.join(('plain', *plugins)), '', key_targets, keys=CONSUMERS, plugins=plugins,
                        headers=(f'Origin: {ORIGIN}',))

    below = {'acl': ('key-auth',)}
    return [(name, scenario(*below.get(name, ()), name), scenario(*below.get(name, ())))
            for name in names or PLUGINS]


LATENCY_METRICS = ('own_p50_us', 'own_p99_us', 'added_p50_us', 'added_p99_us', 'direct_p50_us', 'direct_p99_us',
                   'saturation_rps')

HANDSHAKE_METRICS = ('handshakes_per_second', 'resumed_share')

SCENARIOS = [
    Scenario('plain', '128 B, keep-alive, 64 connections, saturation', one_target(128)),
    Scenario('one_process', 'the same, origin and clients in one process on one ring', one_target(128),
             one_process=True),
    Scenario('wrk', 'the same, asked for by wrk', one_target(128), measured_by(wrk)),
    Scenario('10k', '10 KB, keep-alive, 64 connections, saturation', one_target(10240)),
    Scenario('dialects', '128 B through a Kong route, a Mapping, an HTTPRoute and an AWS route', one_target(128),
             peers=('mapping', 'httproute', 'aws')),
    Scenario('1m', '1 MB, keep-alive, 16 connections, saturation', one_target(1 << 20), connections=16,
             peers=PEERS + ('nginx-unbuffered', 'haproxy-splice')),
    Scenario('stream1g', 'raw TCP: answers of 64 MB, keep-alive, 4 connections, saturation; 16 of them are a GB',
             one_target(1 << 26), connections=4, peers=('haproxy', 'haproxy-splice'), stream=True),
    Scenario('churn', '128 B, a new connection per request, 64 at a time', one_target(128), measure_churn),
    Scenario('routes1000', '1 000 routes, all used', route_targets(1000), routes=1000),
    Scenario('routes10000', '10 000 routes, all used', route_targets(10000), routes=10000),
    Scenario('gateway1000', f'1 000 routes, {CONSUMERS} keys, each with a group and a rate limit', gateway_targets,
             routes=1000, keys=CONSUMERS, plugins=('key-auth', 'acl', 'rate-limiting')),
    Scenario('jwt_ratelimit', f'JWT HS256 of {CONSUMERS} consumers and a local rate limit each', token_targets,
             peers=('haproxy', 'nginx-no-jwt'), consumers=CONSUMERS, rate_limit='local'),
    Scenario('ratelimit_redis', 'rate limit counted in Redis', one_target(128), peers=(), rate_limit='redis'),
    Scenario('cache', '128 B answered from the cache, keep-alive, 64 connections, saturation', one_target(128),
             peers=('nginx',), cache=True),
    Scenario('tls', '128 B over TLS 1.3, keep-alive, 64 connections, saturation', one_target(128), tls=True),
    Scenario('tls_1m', '1 MB over TLS 1.3, keep-alive, 16 connections, saturation', one_target(1 << 20),
             connections=16, tls=True),
    Scenario('tls_full', 'TLS 1.3, P-256: a full handshake and 128 B per connection', one_target(128),
             measure_handshakes, tls=True, extra_metrics=HANDSHAKE_METRICS),
    Scenario('tls_resumed', 'TLS 1.3: a resumed handshake and 128 B per connection', one_target(128),
             measure_resumption, tls=True, extra_metrics=HANDSHAKE_METRICS),
    Scenario('h2load', '128 B by HTTP/2 over TLS: 4 connections of 32 streams, saturation', one_target(128),
             measured_by(h2load), peers=('nginx',), tls=True, http2=True),
    Scenario('idle10000', 'idle keep-alive connections, then a constant rate on 64 others', one_target(128),
             measure_idle, extra_metrics=('idle_opened', 'idle_bytes', 'idle_anonymous_bytes'),
             open_loop=True),
    Scenario('half', 'open loop at half of the own saturation, against the origin directly', distinct_targets,
             measure_half, extra_metrics=LATENCY_METRICS, open_loop=True),
    Scenario('half_one_process', 'the same, origin and clients in one process on one ring', distinct_targets,
             measure_half, extra_metrics=LATENCY_METRICS, open_loop=True, one_process=True),
    Scenario('steady', '20 000 req/s, open loop, against the origin directly', distinct_targets,
             measure_steady, extra_metrics=LATENCY_METRICS[:-1], open_loop=True),
    Scenario('reload', 'SIGHUP reloads under a constant rate', one_target(128), measure_reload,
             peers=('nginx',), open_loop=True, single_round=True, has_ratios=False, tolerant_of=('nginx',),
             note='CPU has the reloads in it, of nginx only what workers alive at the end used',
             extra_metrics=('reloads', 'reload_lines', 'rss_before_mib', 'rss_tenth_mib', 'rss_after_mib')),
    Scenario('reload10000', '20 SIGHUP reloads of 10 000 routes of which one changes, under a constant rate',
             route_targets(10000), measure_calm_reload, peers=(), routes=10000, open_loop=True, has_ratios=False,
             extra_metrics=('reloads', 'added_p99_us', 'added_p99_9_us', 'added_max_us', 'calm_p99_9_us')),
]


def find_scenarios(names):
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    if 'tls' in names: # all that is about it
        names = [name for name in names if name != 'tls'] + [name for name in by_name if name.startswith('tls')]
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise BenchError(f'unknown scenario {unknown[0]}; known: {", ".join(by_name)}')
    return [by_name[name] for name in names] if names else SCENARIOS
