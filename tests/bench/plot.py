#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draw throughput against batch size, threads and backlog:  plot.py --build BUILD --out FOLDER [--seconds S] [--store NAME]... [--plot NAME]...

Writes batch.svg, threads.svg and backlog.svg. Servers are those of the addresses in REDIS_SOCKET and JOBQ_TEST_POSTGRES, and
everything on them is thrown away; run.sh --plots starts private ones."""
import argparse
import math
import os
import tempfile

from run import Memory, Postgres, Redis, Sqlite

COLOURS = {'memory': '#555555', 'sqlite full': '#1b6ca8', 'sqlite normal': '#5aa9e6', 'redis': '#c0392b', 'postgres': '#2e8b57'}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 70, 130, 34, 46


def decade_floor(value):
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return power


class Drawing:
    """Both axes are logarithmic: a line of half the height is not half as fast, and all stores fit."""

    def __init__(self, title, x_label, series):
        self.title, self.x_label = title, x_label
        self.series = {name: points for name, points in series.items() if points}
        xs = [x for points in self.series.values() for x, _ in points]
        ys = [y for points in self.series.values() for _, y in points]
        self.x0, self.x1 = min(xs), max(xs)
        self.y0, self.y1 = decade_floor(min(ys)), decade_floor(max(ys)) * 10
        self.ticks = sorted(set(xs))

    @staticmethod
    def part(value, low, high):
        return 0.5 if high == low else math.log(value / low) / math.log(high / low)

    def x(self, value):
        return LEFT + self.part(value, self.x0, self.x1) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return HEIGHT - BOTTOM - self.part(value, self.y0, self.y1) * (HEIGHT - TOP - BOTTOM)

    def grid(self):
        value = self.y0
        while value <= self.y1 * 1.001:
            yield f'<path class="g" d="M{LEFT} {self.y(value):.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 6}" y="{self.y(value) + 4:.1f}" text-anchor="end">{value:,.0f}</text>'
            value *= 10
        for tick in self.ticks:
            yield f'<path class="g" d="M{self.x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            yield f'<text x="{self.x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:,}</text>'

    def lines(self):
        """The names stand at the ends of their lines, moved apart where they would meet."""
        last = HEIGHT
        for name, points in sorted(self.series.items(), key=lambda item: item[1][-1][1]):
            colour = COLOURS[name]
            path = 'L'.join(f'{self.x(x):.1f} {self.y(y):.1f}' for x, y in points)
            at = min(self.y(points[-1][1]) + 4, last - 14)
            last = at
            yield f'<path class="l" stroke="{colour}" d="M{path}"/>'
            yield from (f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{colour}"/>' for x, y in points)
            yield f'<text x="{WIDTH - RIGHT + 8}" y="{at:.1f}" fill="{colour}">{name}</text>'

    def svg(self):
        body = [*self.grid(), *self.lines(),
                f'<text x="{LEFT}" y="18" font-weight="bold">{self.title}, jobs a second</text>',
                f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{self.x_label}</text>']
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
                'font-size="12">\n<!-- SPDX-License-Identifier: MIT; drawn by tests/bench/plot.py -->\n'
                '<style>.g{stroke:#ddd;fill:none}.l{fill:none;stroke-width:2}</style>\n'
                f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + '\n'.join(body) + '\n</svg>\n')


def series(store, figures):
    return [(x, store.mine(figure)[name][0]) for x, figure, name in figures]


PLOTS = {
    'batch': ('Put, by how many a call', 'jobs a call', [(n, f'insert-{n}', f'insert-{n}') for n in (1, 10, 100, 1000)]),
    'threads': ('Put one at a time, one handle, by threads', 'threads',
                [(n, f'threads-{n}', f'threads-{n}') for n in (1, 4, 16, 64)]),
    'backlog': ('Drained by a worker, by what waits', 'jobs that wait',
                [(n, f'backlog-{n}', 'backlog-drain') for n in (1000, 10000, 100000)]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--store', choices=['memory', 'sqlite', 'redis', 'postgres'], action='append')
    parser.add_argument('--plot', choices=list(PLOTS), action='append')
    options = parser.parse_args()
    options.quick = False
    chosen = options.store or ['memory', 'sqlite', 'redis', 'postgres']
    with tempfile.TemporaryDirectory(prefix='jobq-bench.') as folder:
        makers = {'memory': lambda: [Memory(options)], 'redis': lambda: [Redis(options)], 'postgres': lambda: [Postgres(options)],
                  'sqlite': lambda: [Sqlite(options, folder, mode) for mode in ('full', 'normal')]}
        stores = [store for name in chosen for store in makers[name]()]
        for name in options.plot or PLOTS:
            title, x_label, figures = PLOTS[name]
            drawing = Drawing(title, x_label, {store.name: series(store, figures) for store in stores})
            with open(os.path.join(options.out, name + '.svg'), 'w', encoding='utf-8') as out:
                out.write(drawing.svg())


main()
