-- SPDX-License-Identifier: MIT
SELECT @.fold()
