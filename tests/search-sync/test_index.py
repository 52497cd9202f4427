#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The small index server: what it answers is what the protocol says, and it really finds words."""
import sys

import kit


def put(index, id_, version, version_type='external'):
    return {'index': {'_index': index, '_id': id_, 'version': version, 'version_type': version_type}}


def gone(index, id_, version):
    return {'delete': {'_index': index, '_id': id_, 'version': version, 'version_type': 'external'}}


class IndexServer(kit.Case):
    def statuses(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return [list(item.values())[0]['status'] for item in answer.json['items']]

    def test_versions(self):
        """201 created, 200 updated, 409 for an older or equal version, also of what was deleted; 404 for what is not there"""
        self.assertEqual(self.statuses(self.index.bulk(
            put('t', 'a', 5), {'x': 1}, put('t', 'a', 6), {'x': 2}, put('t', 'a', 6), {'x': 3}, put('t', 'a', 4), {'x': 4},
            gone('t', 'a', 5), gone('t', 'a', 7), put('t', 'a', 7), {'x': 5}, gone('t', 'b', 9), put('t', 'b', 8), {'x': 6},
            put('t', 'b', 10), {'x': 7}, put('t', 'b', 10, 'external_gte'), {'x': 8})),
            [201, 200, 409, 409, 409, 200, 409, 404, 409, 201, 200])
        self.assertEqual(self.index.documents('t'), {'b': (10, {'x': 8})})
        self.assertEqual(self.index.ask('GET', '/t/_doc/a').status, 404)
        self.assertEqual(self.index.ask('GET', '/t/_doc/b').json['_source'], {'x': 8})
        self.assertEqual(self.index.ask('GET', '/t/_count').json, {'count': 1})

    def test_own_versions(self):
        """without the sender's version each write is the next; create refuses what is there"""
        self.assertEqual(self.statuses(self.index.bulk(
            {'index': {'_index': 't', '_id': 'a'}}, {'x': 1}, {'index': {'_index': 't', '_id': 'a'}}, {'x': 2},
            {'create': {'_index': 't', '_id': 'a'}}, {'x': 3}, {'delete': {'_index': 't', '_id': 'a'}},
            {'create': {'_index': 't', '_id': 'a'}}, {'x': 4})), [201, 200, 409, 200, 201])
        self.assertEqual(self.index.documents('t'), {'a': (4, {'x': 4})})

    def test_search(self):
        """words are found in every text, after an update the new ones and not the old; a deleted one is not found"""
        self.index.bulk(put('t', 'a', 1), {'title': 'Kırmızı bisiklet', 'more': {'tags': ['dağ', 'yol']}},
                        put('t', 'b', 1), {'title': 'Mavi bisiklet'}, put('other', 'c', 1), {'title': 'bisiklet'})
        found = lambda words: [h['_id'] for h in self.index.ask(
            'GET', '/t/_search?q=' + kit.urllib.parse.quote(words)).json['hits']['hits']]
        self.assertEqual(sorted(found('bisiklet')), ['a', 'b'])
        self.assertEqual(found('yol bisiklet'), ['a'])
        self.assertEqual(found('"AND NOT( *'), [])
        self.index.bulk(put('t', 'a', 2), {'title': 'Yeşil araba'}, gone('t', 'b', 2))
        self.assertEqual((found('bisiklet'), found('araba')), ([], ['a']))

    def test_malformed(self):
        """a malformed body is refused as a whole, and nothing of it is done"""
        good = b'{"index":{"_index":"t","_id":"a"}}\n{"x":1}\n'
        for bad in (good[:-1], good + b'{"index":\n', good + b'{"move":{"_index":"t","_id":"b"}}\n{}\n',
                    good + b'{"index":{"_index":"t"}}\n{}\n', good + b'{"index":{"_index":"t","_id":"b"}}\n', b'', b'[]\n',
                    good + b'{"index":{"_index":"t","_id":"b","version":1.5,"version_type":"external"}}\n{}\n',
                    good + b'{"index":{"_index":"t","_id":"b","version":3}}\n{}\n'):
            answer = self.index.ask('POST', '/_bulk', bad)
            self.assertEqual((answer.status, answer.json['status']), (400, 400), bad)
        self.assertEqual(self.index.documents('t'), {})
        self.assertEqual(self.index.ask('POST', '/t/_bulk', b'x' * (17 << 20)).status, 413)

    def test_single_failures(self):
        """a document that does not fit fails alone; so does one that a test names"""
        made = self.index.ask('PUT', '/t', {'mappings': {'properties': {'price': {'type': 'double'}}}})
        self.assertEqual(made.status, 200)
        self.assertEqual(self.index.ask('PUT', '/t', {}).status, 400)
        self.index.ask('POST', '/_faults', {'id': 'd', 'status': 429, 'times': 1})
        lines = [put('t', 'a', 1), {'price': 1}, put('t', 'b', 1), {'price': 'NaN'}, put('t', 'c', 1), {'price': '2.5'},
                 put('t', 'd', 1), {'price': None}, put('t', 'e', 1), b'{no json']
        answer = self.index.bulk(*lines)
        self.assertTrue(answer.json['errors'])
        self.assertEqual(self.statuses(answer), [201, 400, 201, 429, 400])
        self.assertIn('[price]', answer.json['items'][1]['index']['error']['reason'])
        self.assertEqual(sorted(self.index.documents('t')), ['a', 'c'])
        self.assertEqual(self.statuses(self.index.bulk(*lines)), [409, 400, 409, 201, 400])

    def test_killed(self):
        """what was answered is there after a kill"""
        self.index.bulk(*[part for i in range(50) for part in (put('t', str(i), 1), {'x': i})])
        self.index.kill()
        self.index.start()
        self.assertEqual(len(self.index.documents('t')), 50)

    def test_elsewhere(self):
        """what it does not know is refused; it listens on this machine only"""
        self.assertEqual(self.index.ask('GET', '/nothing/_count').status, 404)
        self.assertEqual(self.index.ask('PUT', '/_all').status, 400)
        self.assertIn('version', self.index.ask('GET', '/').json)
        self.assertEqual(kit.subprocess.run([kit.INDEX, self.folder + '/x.db', '--listen', '0.0.0.0:0'],
                                            stderr=kit.subprocess.DEVNULL, check=False).returncode, 2)


if __name__ == '__main__':
    sys.exit(kit.main())
