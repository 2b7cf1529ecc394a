# SPDX-License-Identifier: Apache-2.0
"""The delivery function: the spool on disk, the protocol and the process that talks to agencies."""
