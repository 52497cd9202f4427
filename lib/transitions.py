#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turn transitions.tbl into the code's table (code), or into the drawing's edges (dot)."""
import sys

STATES = {'new': 0, 'blocked': 1, 'waiting': 2, 'running': 3, 'completed': 4, 'dead': 5, 'cancelled': 6, 'gone': 7}


def rows(path):
    with open(path, encoding='utf-8') as table:
        for number, line in enumerate(table, 1):
            fields = line.split('#')[0].split()
            if not fields:
                continue
            if len(fields) != 7 or fields[0] not in STATES or fields[1] not in STATES:
                sys.exit(f'{path}:{number}: want seven fields: from to event by outcome reason rule')
            yield fields


def code(table):
    out = ['/* Made from transitions.tbl. */', '#ifndef JOBQ_TRANSITIONS_H', '#define JOBQ_TRANSITIONS_H', '',
           'struct jobq_transition {', '    int from, to; /* enum jobq_row_state; 0: no row yet */',
           '    const char *event, *by, *outcome, *reason;', '    int rule; /* of lifecycle.md */', '};', '',
           'static const struct jobq_transition jobq_transitions[] = {']
    masks = {}
    for source, target, event, by, outcome, reason, rule in rows(table):
        out.append(f'    {{ .from = {STATES[source]}, .to = {STATES[target]}, .event = "{event}", .by = "{by}", '
                   f'.outcome = "{outcome}", .reason = "{reason}", .rule = {rule} }}, /* {source} -> {target} */')
        masks[event] = masks.get(event, 0) | 1 << STATES[source]
    out += ['};', '#define JOBQ_TRANSITION_COUNT (sizeof jobq_transitions / sizeof jobq_transitions[0])', '',
            '/* The states from which an event is legal, as JOBQ_ROW_BIT masks. */']
    out += [f'#define JOBQ_FROM_{event.upper()} {mask:#x}u' for event, mask in masks.items()]
    return '\n'.join(out + ['', '#endif', ''])


def dot(table):
    edges = {}
    for source, target, event, *_ in rows(table):
        edges.setdefault((source, target), []).append(event)
    lines = [f'{source} -> {target}: {", ".join(dict.fromkeys(events))}' for (source, target), events in edges.items()]
    return '\n'.join(lines) + '\n'


def main():
    mode, table, target = sys.argv[1:4]
    text = {'code': code, 'dot': dot}[mode](table)
    if target == '-':
        sys.stdout.write(text)
    else:
        with open(target, 'w', encoding='utf-8') as out:
            out.write(text)


main()
