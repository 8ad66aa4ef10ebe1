"""A configuration as supervisord itself understands it."""

import shlex
import warnings


def read(path):
    """Supervisord's own options for a configuration file."""
    from supervisor.options import ServerOptions

    options = ServerOptions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options.realize(args=["-c", str(path), "-n"], doc="supervisord")
    return options


def commands(path):
    """Argv by program."""
    return {
        process.name: shlex.split(process.command)
        for group in read(path).process_group_configs
        for process in group.process_configs
    }
