#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""doc/lifecycle.md says what the table of transitions and the header say.

test_lifecycle.py

  - the list of edges is what lib/transitions.py makes of lib/transitions.tbl
  - the two drawings name every event and every state, and no other
  - the list of events explains every event, and no other
  - the table of what each store has is what the stores declare
  - each default and limit of the table stands in the header's comment of the field that it names
"""
import re
import subprocess
import sys

from page import ROOT, Tap, blocks, read

PAGE = 'doc/lifecycle.md'
STATES = {'new', 'blocked', 'waiting', 'running', 'completed', 'dead', 'cancelled', 'gone'}
PLAIN = {'with', 'parents', 'or', 'by', 'open'}


def edges():
    done = subprocess.run([sys.executable, ROOT + '/lib/transitions.py', 'dot', ROOT + '/lib/transitions.tbl', '-'],
                          stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def events_of(text):
    return {event.strip() for line in text.splitlines() for event in line.split(':')[1].split(',')}


def section(text, title):
    return re.search(r'^## %s\n(.*?)(?=^## |\Z)' % re.escape(title), text, re.M | re.S).group(1)


def rows(text):
    """The cells of each line of the tables in text, without their heads."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if line.startswith('|') and not set(line) <= set('|- '):
            found.append(cells)
    return found


def struct_members(header, name):
    """member -> its comment, for a struct of the header whose members stand one a line."""
    body = re.search(r'^struct %s \{\n(.*?)^\};' % name, header, re.M | re.S).group(1)
    members = {}
    for line in body.splitlines():
        match = re.match(r'\s+[\w ]+?[ *]+(?:const )?\**(\w+);\s*(?:/\*(.*)\*/)?\s*$', line)
        if match:
            members[match.group(1)] = match.group(2) or ''
    return members


def numbers(text):
    return set(re.findall(r'-?\d+(?:,\d{3})*(?:\^\d+)?(?: [KM]iB)?', text))


def limit_problems(header, table):
    """Rows whose numbers are not in the header's comment of the field; how many numbers were compared."""
    problems, compared = [], 0
    for what, field, default, allowed in table:
        struct, member = field.strip('`').split('.')
        comment = struct_members(header, struct).get(member)
        if comment is None:
            problems.append('%s: no member %s' % (what, field))
            continue
        wanted = numbers(default + ' ' + allowed)
        if what.startswith('jitter'):
            wanted -= {'10'}  # of the default back-off, below
        if default == '0':
            wanted -= {'0'}  # zero means the default
        problems += ['%s: %s is not in "%s"' % (field, n, comment.strip()) for n in sorted(wanted - numbers(comment))]
        compared += len(wanted)
    return problems, compared


STORES = ('lib/memory.c', 'backends/sqlite/sqlite.c', 'backends/postgres/postgres.c', 'backends/redis/redis.c')


def declared(source):
    """The capability bits that a store's table declares."""
    match = re.search(r'\.capabilities = ([^,]*),', read(source))
    return set(re.findall(r'JOBQ_CAP_\w+', match.group(1)))


def capability_problems(text, header):
    """Cells of the table that are not what the store declares, and bits that the table leaves out."""
    table = [cells for cells in rows(text) if cells[0].startswith('`JOBQ_CAP_')]
    problems = ['%s is not in the table' % bit for bit in set(re.findall(r'^    (JOBQ_CAP_\w+) =', header, re.M)) -
                {cells[0].strip('`') for cells in table}]
    for column, source in enumerate(STORES):
        bits = declared(source)
        problems += ['%s: %s says %s' % (source, cells[0], cells[2 + column]) for cells in table
                     if (cells[2 + column] == 'yes') != (cells[0].strip('`') in bits)]
    return sorted(problems)


def main():
    page, header = read(PAGE), read('include/jobq/jobq.h')
    dot = edges()
    events = events_of(dot)
    listed = blocks(page, 'edges')
    drawn = set(re.findall(r'[a-z_]+', ' '.join(blocks(page, 'drawing'))))
    table = [row for row in rows(section(page, 'Defaults and limits')) if row[1].startswith('`')]
    explained = {e.strip() for row in rows(section(page, 'The drawing')) if row[0] != 'event' for e in row[0].split(',')}
    problems, compared = limit_problems(header, table)
    with Tap() as tap:
        tap.ok(len(events) >= 30, 'the table has events')
        tap.ok(listed == [dot], 'the list of edges is the table of transitions', 'want:\n' + dot)
        tap.none(sorted((events | STATES) - drawn), 'the drawings show every event and state')
        tap.none(sorted(drawn - events - STATES - PLAIN), 'the drawings show no other')
        tap.none(sorted(events ^ explained), 'the list of events explains each')
        tap.none(capability_problems(page, read('include/jobq/backend.h')), 'what each store has is what it declares')
        tap.ok(compared >= 40, 'numbers of limits were compared', compared)
        tap.none(problems, 'defaults and limits are those of the header')
        default = re.search(r'backoff; /\* (.*) \*/', header).group(1)
        tap.ok({'2,000', '10'} <= numbers(default), 'the default back-off is the header\'s', default)
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
