#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Sluice, nginx and HAProxy side by side and compares what a request costs each.

The proxy has one core for itself; origin and load generator use another. Subjects
take turns in every round, in changing order, and ratios come from runs of one round."""
import argparse
import json
import os
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import added  # noqa: E402
import floods  # noqa: E402
import report  # noqa: E402
from processes import ROOT, BenchError, Processes, build_tools, choose_cores, raise_file_limit, tell  # noqa: E402
from scenarios import SCENARIOS, Run, Size, find_scenarios  # noqa: E402
from subjects import DEFAULT_BINARY, peer_subjects, sluice_subject  # noqa: E402

CONFIGURATION_LIMIT = 20000     # characters kept of a generated file; 10 000 routes are all alike
CHECK_SIZE = Size(warmup_s=0.2, seconds=1.0, idle=200, idle_rate=500, steady_rate=2000, reloads=10, reload_rate=500)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('scenario', nargs='*',
                        help='names from --list; all if none is given. `plugins [NAME...]`: what each of the common '
                             'plugins adds to a plain request. `floods [KIND...]`: what floods do to others')
    parser.add_argument('--list', action='store_true', help='list the scenarios and stop')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=3.0, help='measured time of one run')
    parser.add_argument('--warmup', type=float, default=1.0, help='seconds before it')
    parser.add_argument('--peers', default='nginx,haproxy', help='comma separated, or "none"')
    parser.add_argument('--binary', type=Path, default=DEFAULT_BINARY, help='the gateway to measure')
    parser.add_argument('--against', type=Path, metavar='BINARY', help='another gateway binary as a peer')
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='gateway setting')
    parser.add_argument('--skip-sluice', action='store_true', help='measure the peers only')
    parser.add_argument('--cores', help='PROXY,ORIGIN,LOAD; default 0,1,1, or 0,1,2 if there are three')
    parser.add_argument('--idle', type=int, default=10000, help='idle connections of idle10000')
    parser.add_argument('--out', type=Path, default=ROOT / 'bench' / 'results')
    parser.add_argument('--json', action='store_true', help='print one JSON document instead of tables')
    parser.add_argument('--check', action='store_true',
                        help='run everything once and briefly, fail on any error, claim nothing about time')
    return parser.parse_args()


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.processes = Processes()
        self.tools = ROOT / 'build' / 'bench-tools'
        self.cores = choose_cores(arguments.cores)
        self.size = CHECK_SIZE if arguments.check else Size(arguments.warmup, arguments.seconds, arguments.idle)
        self.rounds = 1 if arguments.check else arguments.rounds
        self.settings = dict(text.split('=', 1) for text in arguments.set)
        self.subjects = self.find_subjects()
        self.machine = report.machine_description()
        self.machine['core_use'] = vars(self.cores)
        self.machine['file_limit'] = raise_file_limit()
        self.machine['versions'] = {name: subject.version() for name, subject in self.subjects.items()}
        self.failures = []
        self.records = []

    def find_subjects(self):
        """Subjects that are there, Sluice first; what is missing is said."""
        found = {}
        if not self.arguments.skip_sluice:
            found['sluice'] = sluice_subject('sluice', self.arguments.binary.resolve())
            if not found['sluice'].path():
                raise BenchError(f'{self.arguments.binary} is missing: build first, or give --skip-sluice')
        if self.arguments.against:
            found['sluice-other'] = sluice_subject('sluice-other', self.arguments.against.resolve())
        chosen = self.arguments.peers.split(',')
        known = {subject.program for subject in peer_subjects(self.arguments.binary.resolve()).values()}
        for name in chosen:
            if name not in known and name != 'none':
                tell(f'{name} is not a peer this benchmark can set up: left out')
        for name, subject in peer_subjects(self.arguments.binary.resolve()).items():
            if subject.program not in chosen and (not subject.own or self.arguments.skip_sluice):
                continue
            if subject.path():
                found[name] = subject
            elif name == subject.program:
                tell(f'{name} is not installed: left out')
        return found

    def subjects_of(self, scenario):
        own = [name for name in self.subjects if name.startswith('sluice')]
        return [self.subjects[name] for name in own + list(scenario.peers) if name in self.subjects]

    def run_scenario(self, scenario):
        subjects = self.subjects_of(scenario)
        if not subjects:
            tell(f'{scenario.name}: nobody to measure')
            return
        rows, configurations = [], {}
        rounds = 1 if scenario.single_round else self.rounds
        for round_number in range(rounds):
            # Rotated and, in every other round, reversed: nobody always follows the same one.
            turn = round_number % len(subjects)
            order = subjects[turn:] + subjects[:turn]
            for position, subject in enumerate(order if round_number % 2 == 0 else reversed(order)):
                tell(f'{scenario.name}: round {round_number + 1} of {rounds}: {subject.name}')
                metrics = self.run_one(scenario, subject, configurations)
                rows.append({'scenario': scenario.name, 'round': round_number, 'position': position,
                             'subject': subject.name, 'reference': subjects[0].name} | metrics)
        rows.sort(key=lambda row: (row['round'], [s.name for s in subjects].index(row['subject'])))
        self.finish(scenario, subjects, rows, configurations)

    def run_one(self, scenario, subject, configurations):
        with Run(self.processes, self.tools, self.cores, self.size, scenario, subject, self.settings) as run:
            metrics = scenario.measure(run)
            private = str(run.plan.directory)
            configurations[subject.name] = {
                name: text.replace(private, 'DIR')[:CONFIGURATION_LIMIT] for name, text in run.files.items()}
            argv = ' '.join(str(word) for word in subject.argv(subject.program, run.plan, self.cores.proxy))
            configurations[subject.name]['command'] = argv.replace(private, 'DIR').replace(f'{ROOT}/', '')
        if metrics['errors'] or not metrics['requests']:
            where = f'{scenario.name}: {subject.name}: {metrics["errors"]} errors, {metrics["requests"]} requests'
            tell(f'{where} {metrics["error_kinds"]}')
            if subject.name not in scenario.tolerant_of:
                self.failures.append(where)
        return metrics

    def finish(self, scenario, subjects, rows, configurations):
        incomparable = [subject.name for subject in subjects if subject.unequal]
        notes = [f'{subject.name}: {subject.note}' for subject in subjects if subject.note]
        if self.arguments.check:
            tell(f'{scenario.name}: ran with {", ".join(subject.name for subject in subjects)}')
            return
        self.records.append(report.write_results(self.arguments.out, scenario, rows, self.machine,
                                                 configurations, incomparable))
        if not self.arguments.json:
            print(report.scenario_text(scenario, rows, notes, incomparable), end='\n\n', flush=True)

    def run(self, scenarios):
        build_tools(self.tools)
        # The runner must not take time from the proxy.
        os.sched_setaffinity(0, {self.cores.load})
        try:
            for scenario in scenarios:
                self.run_scenario(scenario)
        finally:
            self.processes.stop_all()
        if self.arguments.json:
            print(json.dumps(self.records))
        return self.failures


def main():
    arguments = parse_arguments()
    if arguments.list:
        for scenario in SCENARIOS:
            print(f'{scenario.name:16} {scenario.title}')
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if arguments.scenario[:1] == ['plugins']:
            return added.run(arguments, arguments.scenario[1:])
        if arguments.scenario[:1] == ['floods']:
            return floods.run(arguments, arguments.scenario[1:])
        failures = Bench(arguments).run(find_scenarios(arguments.scenario))
    except BenchError as error:
        tell(f'bench: {error}')
        return 1
    except KeyboardInterrupt:
        return 130
    for failure in failures:
        tell(f'FAILED {failure}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
