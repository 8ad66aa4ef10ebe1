"""Every kind of source."""

from collections.abc import Mapping
from typing import Any

from llmdecl.sources.reference import (
    FileReference,
    HfReference,
    HttpsReference,
    OllamaReference,
    PypiReference,
    Reference,
)
from llmdecl.store.suppliers import file, hf, https, ollama, pypi
from llmdecl.store.suppliers.supplier import Supplier

SUPPLIERS: Mapping[type[Reference], Supplier[Any]] = {
    FileReference: file.SUPPLIER,
    HfReference: hf.SUPPLIER,
    HttpsReference: https.SUPPLIER,
    OllamaReference: ollama.SUPPLIER,
    PypiReference: pypi.SUPPLIER,
}
"""By the class of reference."""
