"""What a `source` may say."""

import pytest

from llmdecl.sources.reference import FileReference, HfReference, PypiReference, parse_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("file:/srv/m.gguf", FileReference("/srv/m.gguf")),
        ("file:../m 1.gguf", FileReference("../m 1.gguf")),
        (
            "pypi:Llm_Smol.LM2==0.1.2/llm/x.gguf",
            PypiReference("llm-smol-lm2", "0.1.2", "llm/x.gguf"),
        ),
        ("hf:o/r@refs/pr/3", HfReference("o", "r", "refs/pr/3", None)),
        (
            "hf:o/r@refs/convert/gguf/d/x.gguf",
            HfReference("o", "r", "refs/convert/gguf", "d/x.gguf"),
        ),
        ("pypi:a==1!2.0rc1.post2+cpu.1/x", PypiReference("a", "1!2.0rc1.post2+cpu.1", "x")),
    ],
)
def test_accepted(text, reference):
    """What is well written parses; package names are normalised, paths are kept."""
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no scheme"),
        ("/srv/m.gguf", "no scheme"),
        ("file:", "names no file"),
        ("file:models/", "names no file"),
        ("file:///srv/m.gguf", "is a URL"),
        ("file:~/m.gguf", "not expanded"),
        ("file:a\0b", "control character"),
        ("ftp://a/b", "not a kind of source"),
        ("pypi:name/x.gguf", "pins no version"),
        ("pypi:name>=1/x.gguf", "pins no version"),
        ("pypi:name==1.*/x.gguf", "not an exact version"),
        ("pypi:name==1 2/x.gguf", "not an exact version"),
        ("pypi:-name==1/x.gguf", "not the name of a package"),
        ("pypi:--index-url==1/x.gguf", "not the name of a package"),
        ("pypi:name==1", "names no file in the wheel"),
        ("pypi:name==1/", "names no file in the wheel"),
        ("pypi:name==1/../x", "not a plain path"),
        ("pypi:name==1//etc/x", "not a plain path"),
        ("pypi:name==1/a/./x", "not a plain path"),
        ("pypi:name==1/a\\x", "not a plain path"),
        ("pypi:name==1/C:x", "not a plain path"),
        ("hf:org", "names no repository"),
        ("hf:org/repo:Q4_K_M", "`quantization` takes `Q4_K_M`"),
        ("https://huggingface.co/o/r", "its files are `hf:o/r`"),
        ("https://hf.co/o/r/tree/main", "its files are `hf:o/r`"),
        (
            "https://huggingface.co/o/r/blob/v1/a%20b.gguf?not-for-all-audiences=true",
            "its files are `hf:o/r@v1/a b.gguf`",
        ),
        ("https://a/b c.gguf", "as `%20`"),
        ("hf:org/repo@", "not a revision"),
        ("hf:org/repo/../x.gguf", "not a plain path"),
        ("hf:-org/repo", "names no repository"),
        ("https://a", "names no file on a web server"),
        ("https://user:secret@a/b.gguf", "holds a password"),
        ("http://example.org/b.gguf", "not encrypted"),
        ("https://a/b.gguf#md5=00", "is not `#sha256="),
        ("ollama:", "names no model"),
        ("ollama:a/b/c/d", "names no model"),
        ("ollama:a:", "names no model"),
    ],
)
def test_refused(text, reason):
    """Everything else is refused with a reason, and no word of it can become an option of pip."""
    with pytest.raises(ValueError, match=reason):
        parse_reference(text)
