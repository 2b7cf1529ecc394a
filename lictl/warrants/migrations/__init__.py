# SPDX-License-Identifier: Apache-2.0
"""How the tables of the store came to be what they are: one file in `versions` for each step (Alembic).

A step is never changed once it was released. It uses no table of `lictl.warrants.schema`, which is that of today.
"""
