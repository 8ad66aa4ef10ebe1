"""The real huggingface_hub asks the server that `HF_ENDPOINT` names; prints what it understood."""

import json

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

NAME, LARGE = "acme/tiny", "tiny-Q4_0.gguf"
api = HfApi()


def refused(kind, ask):
    try:
        ask()
    except kind:
        return True
    return False


info = api.model_info(NAME, files_metadata=True)
tree = [each for each in api.list_repo_tree(NAME, recursive=True) if hasattr(each, "size")]
said = get_hf_file_metadata(hf_hub_url(NAME, LARGE))
found = {
    "commit": [info.sha, said.commit_hash],
    "card": [info.card_data.license, info.card_data.base_model, info.gated],
    "paths": sorted(each.path for each in tree),
    "digests": [
        *(each.lfs.sha256 for each in info.siblings if each.rfilename == LARGE),
        *(each.lfs.sha256 for each in tree if each.path == LARGE),
        said.etag,
    ],
    "sizes": [said.size, *(each.size for each in tree if each.path == LARGE)],
    "xet": [said.xet_file_data.file_hash, *(e.xet_hash for e in tree if e.path == LARGE)],
    "branch": api.model_info(NAME, revision="refs/pr/3").sha,
    "files": [hf_hub_download(NAME, LARGE), hf_hub_download(NAME, "README.md")],
    "renamed": hf_hub_download("old/tiny", "mmproj-F16.gguf"),
    "refused": [
        refused(RepositoryNotFoundError, lambda: api.model_info("acme/none")),
        refused(RevisionNotFoundError, lambda: api.model_info(NAME, revision="nope")),
        refused(RemoteEntryNotFoundError, lambda: hf_hub_download(NAME, "nofile")),
        refused(GatedRepoError, lambda: hf_hub_download("acme/gated", LARGE)),
        refused(GatedRepoError, lambda: hf_hub_download("acme/gated", LARGE, token="hf_other")),
        refused(HfHubHTTPError, lambda: api.model_info(NAME, token="hf_revoked")),
    ],
}
print(json.dumps(found))
