# SPDX-License-Identifier: Apache-2.0
"""The steps; Alembic reads them."""
