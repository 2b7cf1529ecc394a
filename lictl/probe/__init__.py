# SPDX-License-Identifier: Apache-2.0
"""The Python face of the native core.  Importing this package imports nothing else."""
