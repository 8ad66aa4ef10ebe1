"""The word for the quantization in the names of GGUF files. Pure."""

import re

WORD = re.compile(
    r"(?<![a-z0-9])"
    r"(?:UD-)?"
    r"(?:I?Q\d(?:_(?:\d+|K[A-Z]{0,2}|NL|XXS|XS|S|M|L|XL|XXL|H|P|R\d))*"
    r"|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32)"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)
"""As publishers write it: `Q4_K_M`, `UD-Q4_K_XL`, `iq4_xs`, `MXFP4`, `bf16`; `UD-` is Unsloth's
for types chosen by layer."""


def quantization_of(path: str) -> str | None:
    """The last such word of the file's name, else of its folders, in capitals; `None` without.

    `FP16` is `F16`: two spellings of one type.
    """
    folder, _, name = path.rpartition("/")
    for text in (name, folder):
        if words := WORD.findall(text):
            return normalise(words[-1])
    return None


def normalise(word: str) -> str:
    """The spelling by which two words are compared."""
    return re.sub(r"\bFP(?=(16|32)$)", "F", word.strip().upper())
