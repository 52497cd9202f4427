#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""extract.py DOCUMENT OUTPUT: the first C block of a document, as a file that can be compiled."""
import sys

from page import blocks

with open(sys.argv[1], encoding='utf-8') as document:
    program = blocks(document.read(), 'c')[0]
with open(sys.argv[2], 'w', encoding='utf-8') as out:
    out.write(program)
