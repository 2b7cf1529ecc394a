# SPDX-License-Identifier: Apache-2.0
"""Who acts, and who may do what."""
