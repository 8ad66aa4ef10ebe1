"""Every check of a model by subject, in the order of their diagnostics."""

from collections.abc import Mapping

from llmdecl.plan.checks.caches import check_architecture, check_caches
from llmdecl.plan.checks.companions import check_companions
from llmdecl.plan.checks.context import check_context
from llmdecl.plan.checks.device_code import check_attention_code, check_device_code
from llmdecl.plan.checks.file_type import check_file_type
from llmdecl.plan.checks.flags import check_environment, check_extra, check_settings
from llmdecl.plan.checks.model import Check
from llmdecl.plan.checks.placement import check_placement
from llmdecl.plan.checks.presence import check_presence
from llmdecl.plan.checks.task import check_task

CHECKS: Mapping[str, Check] = {
    "presence": check_presence,
    "companions": check_companions,
    "file-type": check_file_type,
    "context": check_context,
    "task": check_task,
    "caches": check_caches,
    "architecture": check_architecture,
    "placement": check_placement,
    "device-code": check_device_code,
    "attention-code": check_attention_code,
    "settings": check_settings,
    "extra-args": check_extra,
    "environment": check_environment,
}

OF_SIZE: tuple[Check, ...] = (check_context, check_caches, check_architecture, check_placement)
"""Those that another context, cache, file or place can fail."""
