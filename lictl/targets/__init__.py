# SPDX-License-Identifier: Apache-2.0
"""What an order names: the grammar of targets, and their pure compilation into kernel tables."""
