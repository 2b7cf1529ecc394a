# SPDX-License-Identifier: Apache-2.0
"""Orders: their files, the law that they rest on, their life, and the store that keeps them."""
