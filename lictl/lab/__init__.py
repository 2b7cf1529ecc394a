# SPDX-License-Identifier: Apache-2.0
"""A small ISP in network namespaces: the same lab for the demo, the tests and the benchmarks."""
