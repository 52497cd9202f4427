#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files as C arrays:  embed.py OUT NAME=FILE..."""
import sys


def main():
    parts = ['/* SPDX-License-Identifier: MIT */\n#include "page_data.h"\n']
    for pair in sys.argv[2:]:
        name, path = pair.split('=', 1)
        with open(path, 'rb') as file:
            data = file.read()
        rows = [', '.join(str(byte) for byte in data[i:i + 24]) for i in range(0, len(data), 24)]
        parts.append('const unsigned char %s[] = {\n%s,\n};\nconst size_t %s_size = %d;\n'
                     % (name, ',\n'.join(rows), name, len(data)))
    with open(sys.argv[1], 'w', encoding='ascii') as out:
        out.write('\n'.join(parts))


if __name__ == '__main__':
    main()
