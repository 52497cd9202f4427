# SPDX-License-Identifier: MIT
"""Drives a queue that runs on Python: the same verbs as drive.mjs.  drive.py PEER ADDRESS VERB ...

Celery with results off and its default early acknowledgement; RQ's SimpleWorker, which forks no process for each job;
persist-queue's SQLiteAckQueue, which one process may use."""
import importlib.metadata
import os
import sys
import time

import told

SIZE, BULK, WARM_S = 200, 1000, 0.2
PREFETCH = 100


def payload(number):
    room = SIZE - len(f'{{"n":{number},"text":""}}')
    return {'n': number, 'text': 'x' * room}


class Celery:
    """No call for many: a producer of its own spares it the pool."""

    def __init__(self, path):
        from celery import Celery as App
        from redis import Redis
        self.server = Redis(unix_socket_path=path)
        self.app = App('bench', broker=f'redis+socket://{path}')
        self.app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=PREFETCH, worker_hijack_root_logger=False)
        self.task = self.app.task(name='bench')(told.ran)

    def add(self, job):
        self.task.apply_async((job,), retry=False)

    def add_many(self, jobs):
        with self.app.amqp.Producer(self.app.connection_for_write()) as producer:
            for job in jobs:
                self.task.apply_async((job,), producer=producer)

    def waiting(self):
        return self.server.llen('celery')

    def work(self, level):
        pool = ['-P', 'solo'] if level == 1 else ['-P', 'threads', '-c', str(level)]
        self.app.worker_main(['worker', *pool, '--without-gossip', '--without-mingle', '--without-heartbeat', '-l', 'ERROR',
                              '-n', f'worker{os.getpid()}@%h'])


class Rq:
    def __init__(self, path):
        from redis import Redis
        from rq import Queue
        self.queue = Queue(connection=Redis(unix_socket_path=path))

    def add(self, job):
        self.queue.enqueue(told.ran, job, result_ttl=0)

    def add_many(self, jobs):
        self.queue.enqueue_many([self.queue.prepare_data(told.ran, args=(job,), result_ttl=0) for job in jobs])

    def waiting(self):
        return self.queue.count

    def work(self, _level):
        from rq import SimpleWorker
        SimpleWorker([self.queue], connection=self.queue.connection).work()


class PersistQueue:
    def __init__(self, path):
        from persistqueue import SQLiteAckQueue
        self.queue = SQLiteAckQueue(os.path.dirname(path) or '.')

    def add(self, job):
        self.queue.put(job)

    def waiting(self):
        return self.queue.size

    def work(self, _level):
        while True:
            job = self.queue.get()
            told.ran(job)
            self.queue.ack(job)


PEERS = {'celery': Celery, 'rq': Rq, 'persist-queue': PersistQueue}


def put(queue, first, count):
    if count == 1 or not hasattr(queue, 'add_many'):
        for number in range(first, first + count):
            queue.add(payload(number))
    else:
        queue.add_many([payload(number) for number in range(first, first + count)])


def insert_for(queue, batch, first, seconds):
    start, count = time.monotonic(), 0
    while count == 0 or time.monotonic() - start < seconds:
        put(queue, first + count, batch)
        count += batch
    return count, time.monotonic() - start


def insert(queue, batch, seconds):
    warm, _ = insert_for(queue, batch, 1, WARM_S)
    count, took = insert_for(queue, batch, 1 + warm, seconds)
    if queue.waiting() != warm + count:
        sys.exit(f'{queue.waiting()} jobs wait of {warm + count} that were put')
    print(f'insert-{batch} {count / took} jobs/s')


def fill(queue, count):
    for done in range(0, count, BULK):
        put(queue, done + 1, min(BULK, count - done))


def send(queue, count, milliseconds):
    for number in range(1, count + 1):
        told.ran({'n': number})
        queue.add(payload(number))
        time.sleep(milliseconds / 1000)
    told.LINES.write()


def main(peer, address, verb, *words):
    if verb == 'version':
        print(importlib.metadata.version(peer))
        return
    queue = PEERS[peer](address)
    numbers = [float(word) for word in words]
    if verb == 'work':
        queue.work(int(numbers[0]))
    elif verb == 'fill':
        fill(queue, int(numbers[0]))
    elif verb == 'send':
        send(queue, int(numbers[0]), numbers[1])
    else:
        insert(queue, int(verb.split('-')[1]), numbers[0])


main(*sys.argv[1:])
