# SPDX-License-Identifier: Apache-2.0
"""The record of what was done and read: a signed chain, its verification, and the comparison with the kernel."""
