# SPDX-License-Identifier: Apache-2.0
"""Mediation: from batches of records to each agency's stream."""
