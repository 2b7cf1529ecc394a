# SPDX-License-Identifier: Apache-2.0
"""The site key, keys of warrants wrapped by it, and the key that signs the audit chain."""
