# SPDX-License-Identifier: Apache-2.0
"""From raw rows to medians, paired ratios, tables, CSV, JSON and an SVG plot.

A row is one run: {'round', 'position', 'subject', metric: value, ...}."""
import csv
import json
import os
import platform
import statistics
import subprocess
import time
from html import escape
from pathlib import Path

from processes import ROOT

# name: (heading, decimals, True if less is better)
METRICS = {
    'cpu_us': ('CPU us/req', 2, True),
    'rps': ('req/s', 0, False),
    'p50_us': ('p50 us', 0, True),
    'p99_us': ('p99 us', 0, True),
    'p99_9_us': ('p99.9 us', 0, True),
    'rss_mib': ('RSS MiB', 1, True),
    'idle_opened': ('idle opened', 0, False),
    'idle_bytes': ('RSS bytes/idle', 0, True),
    'idle_anonymous_bytes': ('anonymous bytes/idle', 0, True),
    'handshakes_per_second': ('handshakes/s', 0, False),
    'resumed_share': ('resumed', 2, False),
    'saturation_rps': ('saturation req/s', 0, False),
    'added_p50_us': ('added p50 us', 0, True),
    'added_p99_us': ('added p99 us', 0, True),
    'own_p50_us': ('own p50 us', 0, True),
    'own_p99_us': ('own p99 us', 0, True),
    'direct_p50_us': ('direct p50 us', 0, True),
    'direct_p99_us': ('direct p99 us', 0, True),
    'added_p99_9_us': ('added p99.9 us', 0, True),
    'added_max_us': ('added max us', 0, True),
    'calm_p99_9_us': ('p99.9 without reloads us', 0, True),
    'reloads': ('reloads', 0, False),
    'reload_lines': ('reload lines logged', 0, False),
    'rss_before_mib': ('RSS before MiB', 1, True),
    'rss_tenth_mib': ('RSS at 1/10 MiB', 1, True),
    'rss_after_mib': ('RSS after MiB', 1, True),
}
COMMON = ('cpu_us', 'rps', 'p50_us', 'p99_us', 'p99_9_us', 'rss_mib')
RATIOS = ('cpu_us', 'rps', 'p50_us', 'p99_us', 'p99_9_us', 'rss_mib', 'added_p50_us', 'added_p99_us',
          'own_p50_us', 'own_p99_us', 'idle_bytes')
BUSY_SHARE = 0.9    # below it the proxy was not the bottleneck of a closed loop


def spread(values):
    """(median, least, greatest)"""
    return statistics.median(values), min(values), max(values)


def by_subject(rows):
    grouped = {}
    for row in rows:
        grouped.setdefault(row['subject'], {})[row['round']] = row
    return grouped


def summarize(rows):
    """{subject: {metric: (median, least, greatest)}}, errors summed."""
    summary = {}
    for subject, rounds in by_subject(rows).items():
        runs = list(rounds.values())
        summary[subject] = {name: spread([run[name] for run in runs]) for name in METRICS if name in runs[0]}
        for name in ('user_us', 'system_us', 'core_share'):
            summary[subject][name] = spread([run[name] for run in runs])
        summary[subject]['errors'] = sum(run['errors'] for run in runs)
    return summary


def paired_ratios(rows, subject, peer):
    """{metric: spread of subject/peer, each from one round}; metrics that reach zero are left out."""
    grouped = by_subject(rows)
    result = {}
    for name in RATIOS:
        pairs = [(grouped[subject][n].get(name, 0), grouped[peer][n].get(name, 0))
                 for n in grouped[subject] if n in grouped[peer]]
        if pairs and all(value > 0 for pair in pairs for value in pair):
            result[name] = spread([mine / theirs for mine, theirs in pairs])
    return result


def strongest_ratios(summary, ratios):
    """Per metric the ratio to the peer whose median is best: {metric: (peer, spread)}."""
    result = {}
    for name in RATIOS:
        peers = [peer for peer in ratios if name in ratios[peer]]
        if peers:
            choose = min if METRICS[name][2] else max
            best = choose(peers, key=lambda peer, metric=name: summary[peer][metric][0])
            result[name] = (best, ratios[best][name])
    return result


def compare(rows, incomparable=()):
    """The first subject of the rows against every other one, and against the strongest."""
    summary = summarize(rows)
    first = rows[0]['reference']
    ratios = {peer: paired_ratios(rows, first, peer) for peer in summary if peer != first}
    fair = {peer: value for peer, value in ratios.items() if peer not in incomparable}
    return {'reference': first, 'summary': summary, 'ratios': ratios,
            'strongest': strongest_ratios(summary, fair)}


def number(value, decimals):
    return f'{value:,.{decimals}f}'.replace(',', ' ')


def spread_text(values, decimals):
    middle, least, greatest = (number(value, decimals) for value in values)
    return middle if least == greatest else f'{middle} ({least}-{greatest})'


def table_text(heading, lines):
    """Columns as wide as needed; the first one is left-aligned."""
    cells = [heading] + lines
    widths = [max(len(line[column]) for line in cells) for column in range(len(heading))]
    text = []
    for line in cells:
        padded = [cell.ljust(width) if n == 0 else cell.rjust(width)
                  for n, (cell, width) in enumerate(zip(line, widths))]
        text.append('  ' + '  '.join(padded).rstrip())
    return '\n'.join(text)


def result_lines(scenario, compared):
    names = [name for name in COMMON + scenario.extra_metrics]
    heading = [''] + [METRICS[name][0] for name in names] + ['user+sys us', 'errors']
    lines = []
    limited = False
    for subject, values in compared['summary'].items():
        line = [subject]
        for name in names:
            line.append(spread_text(values[name], METRICS[name][1]) if name in values else '-')
        if not scenario.open_loop and values['core_share'][0] < BUSY_SHARE:
            line[1 + names.index('rps')] += ' c'
            limited = True
        line.append(f'{values["user_us"][0]:.1f}+{values["system_us"][0]:.1f}')
        line.append(str(values['errors']))
        lines.append(line)
    text = table_text(heading, lines)
    if limited:
        text += '\n  c: the proxy had idle time, so origin or generator limited req/s; CPU still compares'
    return text


def ratio_lines(compared):
    names = [name for name in RATIOS if any(name in ratios for ratios in compared['ratios'].values())]
    heading = [f'{compared["reference"]} /'] + [METRICS[name][0] for name in names]
    lines = []
    for peer, ratios in compared['ratios'].items():
        lines.append([peer] + [spread_text(ratios[name], 2) if name in ratios else '-' for name in names])
    strongest = compared['strongest']
    lines.append(['strongest peer'] + [f'{strongest[name][1][0]:.2f} {strongest[name][0]}'
                                       if name in strongest else '-' for name in names])
    return table_text(heading, lines)


def scenario_text(scenario, rows, notes, incomparable):
    compared = compare(rows, incomparable)
    rounds = len({row['round'] for row in rows})
    text = f'{scenario.name}: {scenario.title} (rounds: {rounds}; median with least-greatest)\n'
    text += result_lines(scenario, compared)
    if compared['ratios'] and scenario.has_ratios:
        text += '\n' + ratio_lines(compared)
    for note in notes + [scenario.note] * bool(scenario.note):
        text += f'\n  {note}'
    return text


# --- what the run was made on -----------------------------------------------------------------------------


def command_output(argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()
    except OSError:
        return ''


def cpu_model():
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.machine()


def machine_description():
    changed = command_output(['git', 'status', '--porcelain', '--untracked-files=no']) != ''
    return {
        'date': time.strftime('%Y-%m-%d %H:%M:%S %z'),
        'cpu': cpu_model(),
        'cores': os.cpu_count(),
        'memory_mib': os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2**20,
        'kernel': platform.release(),
        'load_average': os.getloadavg()[0],
        'commit': command_output(['git', 'rev-parse', '--short=12', 'HEAD']) + ('-changed' if changed else ''),
        'compiler': command_output(['cc', '--version']).split('\n', maxsplit=1)[0],
    }


# --- files ------------------------------------------------------------------------------------------------


def write_csv(path, rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def svg_panel(metric, summary, left, top, width):
    """One bar per subject, with a whisker from the least to the greatest value."""
    heading, decimals, less_is_better = METRICS[metric]
    better = 'less is better' if less_is_better else 'more is better'
    parts = [f'<text x="{left}" y="{top}" class="h">{escape(heading)} <tspan class="s">{better}</tspan></text>']
    values = {name: data[metric] for name, data in summary.items() if metric in data}
    greatest = max((value[2] for value in values.values()), default=0) or 1
    for n, (name, (middle, least, most)) in enumerate(values.items()):
        y = top + 12 + n * 24
        scale = (width - 190) / greatest
        bar, low, high = (max(value, 0) * scale for value in (middle, least, most))
        x = left + 120
        colour = '#2b6cb0' if name.startswith('sluice') else '#a0aec0'
        parts.append(f'<text x="{left}" y="{y + 13}">{escape(name)}</text>')
        parts.append(f'<rect x="{x}" y="{y}" width="{bar:.1f}" height="17" fill="{colour}"/>')
        parts.append(f'<path d="M{x + low:.1f} {y + 8.5}H{x + high:.1f}" stroke="#222"/>')
        parts.append(f'<text x="{x + max(bar, high) + 5:.1f}" y="{y + 13}">{number(middle, decimals)}</text>')
    return parts


def svg_text(scenario, summary, machine):
    metrics = ['cpu_us', 'p99_us'] if scenario.open_loop else ['cpu_us', 'rps', 'p99_us']
    metrics += [name for name in scenario.extra_metrics if name.startswith(('added', 'idle_bytes', 'rss'))]
    panel_height = 40 + 24 * len(summary)
    height = 60 + panel_height * len(metrics)
    caption = f'{machine["cpu"]}, Linux {machine["kernel"]}, commit {machine["commit"]}, {machine["date"]}'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             '<style>.h{font-weight:bold}.s{font-weight:normal;fill:#666}</style>',
             '<rect width="100%" height="100%" fill="#fff"/>',
             f'<text x="16" y="24" font-size="15">{escape(scenario.name)}: {escape(scenario.title)}</text>',
             f'<text x="16" y="42" class="s">{escape(caption)}</text>']
    for n, metric in enumerate(metrics):
        parts += svg_panel(metric, summary, 16, 66 + n * panel_height, 608)
    return '\n'.join(parts + ['</svg>', ''])


def write_results(directory, scenario, rows, machine, configurations, incomparable):
    """<scenario>.csv has every run, .json what it was made on and the medians, .svg the picture."""
    directory.mkdir(parents=True, exist_ok=True)
    write_csv(directory / f'{scenario.name}.csv', rows)
    compared = compare(rows, incomparable)
    record = {'scenario': scenario.name, 'title': scenario.title, 'machine': machine} | compared
    record['configurations'] = configurations
    (directory / f'{scenario.name}.json').write_text(json.dumps(record, indent=1) + '\n')
    (directory / f'{scenario.name}.svg').write_text(svg_text(scenario, compared['summary'], machine))
    return record
