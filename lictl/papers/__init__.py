# SPDX-License-Identifier: Apache-2.0
"""Papers: the certificates and reports that a carrier owes, as JSON and as pages to sign."""
