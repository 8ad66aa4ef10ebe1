"""The problems that `activate` finds."""

from llmdecl.diagnostics import Rule, Severity

ERROR = Severity.ERROR

UNQUOTABLE_FOLDER = Rule(
    "LD601",
    "unquotable-folder",
    ERROR,
    """A folder's path holds a character that supervisord's configuration can't carry between
double quotes: a double quote, a backslash, a percent sign or a line break; or one that no line of
systemd's units can, such as a line break. Choose another
folder with `--state-dir` or `--store-dir`, or install llmdecl somewhere else.""",
)
APPLY_IN_PROGRESS = Rule(
    "LD602",
    "apply-in-progress",
    ERROR,
    """Another process is changing this stack: one `apply`, `rollback` or `down` at a time.
Wait for it; when that process is gone, the lock is free by itself.""",
)
FOREIGN_RUN_FOLDER = Rule(
    "LD603",
    "foreign-run-folder",
    ERROR,
    """The folder for this stack's sockets is a symbolic link, belongs to another user, or
lets others in. Whoever can write there could take the place of a model. Look at it, remove
it, apply again.""",
)
MANAGER_START_FAILED = Rule(
    "LD604",
    "manager-start-failed",
    ERROR,
    """The manager did not start. Its own words are in the notes; supervisord's also in `llmdecl
logs supervisord`.""",
)
MANAGER_REFUSED = Rule(
    "LD605",
    "manager-refused",
    ERROR,
    """The manager answered a request with a fault, or not at all. Its log says more: `llmdecl logs
supervisord`, or `systemctl status 'llmdecl*'`.""",
)
ROUTER_REFUSED = Rule(
    "LD606",
    "router-refused",
    ERROR,
    """The router kept its old configuration, because it can't use the new one; often an
address that another program listens on.""",
)
ROUTER_SILENT = Rule(
    "LD607",
    "router-silent",
    ERROR,
    """The router does not answer on its control socket, or not with the configuration that
it was given. The end of its log is in the notes; more in `llmdecl logs router`.""",
)
MODEL_START_FAILED = Rule(
    "LD608",
    "model-start-failed",
    ERROR,
    """A model did not become ready. The end of its log is in the notes; more in `llmdecl
logs MODEL`.""",
)
NO_ANSWER = Rule(
    "LD609",
    "no-answer",
    ERROR,
    """A model is loaded and ready, but a real request for one token was not answered as it
should be.""",
)
CONTEXT_SMALLER = Rule(
    "LD610",
    "context-smaller-than-planned",
    ERROR,
    """The engine reports a smaller context for one request than the plan gives it, so long
requests would fail without a word. A trained context below `ctx-size` does this.""",
)
UNDO_FAILED = Rule(
    "LD611",
    "undo-failed",
    ERROR,
    """After a failed step the earlier generation was put back, and a step of that failed
too. The stack is between the two. `llmdecl status` shows what runs; `apply` or `rollback` go
on from here.""",
)
STACK_DOWN = Rule(
    "LD612",
    "stack-down",
    ERROR,
    """Nothing of this stack runs, or its router does not answer. `llmdecl apply` starts it.""",
)
UNKNOWN_MODEL = Rule(
    "LD613",
    "unknown-model",
    ERROR,
    """The applied stack has no model of this name or alias. `llmdecl status` lists them.""",
)
NO_GENERATION = Rule(
    "LD614",
    "no-generation",
    ERROR,
    """There is no such generation: nothing was applied yet, it was never written, or it is
older than the twenty that are kept. `llmdecl generations` lists them.""",
)
DAMAGED_GENERATION = Rule(
    "LD615",
    "damaged-generation",
    ERROR,
    """A file of a stored generation is missing or has other bytes than its manifest says, so
it is not what was once applied. Apply the spec instead: that writes a new generation.""",
)
PLAN_MOVED_ON = Rule(
    "LD616",
    "plan-moved-on",
    ERROR,
    """A saved plan is carried out exactly as it was shown or not at all; since it was saved,
the stack changed. Plan again.""",
)
NOT_CONFIRMED = Rule(
    "LD617",
    "not-confirmed",
    ERROR,
    """The verb changes what runs and asks first; without a terminal there is nobody to ask.
Give `--yes` to mean it.""",
)
DAMAGED_PLAN_FILE = Rule(
    "LD618",
    "damaged-plan-file",
    ERROR,
    """The file says that it is a saved plan, but can't be read as one by this version of
llmdecl.""",
)
PROCESS_STAYS = Rule(
    "LD619",
    "process-stays",
    ERROR,
    """A process of this stack did not end in time, not even after SIGKILL where that was
sent.""",
)
NO_LOG = Rule(
    "LD620",
    "no-log",
    ERROR,
    """There is no log of this name yet: the model never ran, or nothing was applied.""",
)
NO_ENDPOINT = Rule(
    "LD621",
    "no-endpoint",
    ERROR,
    """No endpoint of the applied stack serves this model by the OpenAI interface, or the
model is not one to talk to. `llmdecl status` shows endpoints and tasks.""",
)
CHAT_FAILED = Rule(
    "LD622",
    "chat-failed",
    ERROR,
    """The endpoint answered a chat request with an error, or the connection broke.""",
)
STEP_FAILED = Rule(
    "LD623",
    "step-failed",
    ERROR,
    """The system refused something that a step needs: a full disk, a missing right. State
and journal are whole; after mending the cause, apply again.""",
)
MODEL_REFUSED = Rule(
    "LD624",
    "model-refused",
    ERROR,
    """The router could not do what was asked of it for this model; its reason is in the
summary.""",
)
NO_ROOM = Rule(
    "LD625",
    "no-room-to-restart",
    Severity.WARNING,
    """A model that ran before the change could not be started again at once, because others
use the memory. It starts on its next request.""",
)
STATE_UNWRITABLE = Rule(
    "LD626",
    "state-unwritable",
    ERROR,
    """The state folder can't be made or written, so nothing was changed. It holds the generations
of this stack: name a folder of your own with `--state-dir` or LLMDECL_STATE_DIR, or free some
space.""",
)
ROUTER_UNRUNNABLE = Rule(
    "LD627",
    "router-unrunnable",
    ERROR,
    """The spec names a router that is not ours, and the manager could not start it: `router.path`
is missing or no program, or the endpoint asks for a key, which the router would need in its
environment, where `apply` puts no secrets. `llmdecl compile -o DIR` writes its configuration, whose
head says how it is started.""",
)
PLACEMENT_DIFFERS = Rule(
    "LD628",
    "placement-differs",
    ERROR,
    """A model is loaded, but its engine's log says that it is somewhere else than planned: on the
processor instead of a device, fewer layers on devices, flash attention off, or buffers of other
sizes. It would be slow, or take memory that the plan gives to others. The likely cause is in the
notes. `llmdecl status` and the metric `llmdecl_model_placement_mismatch` say the same of every
start.""",
)
PLACEMENT_UNKNOWN = Rule(
    "LD629",
    "placement-unknown",
    Severity.WARNING,
    """A model is loaded, and its engine's log does not say on which devices. The log needs
verbosity 4, which the plan sets; `extra-args` can change it.""",
)

ACCOUNT_UNUSABLE = Rule(
    "LD630",
    "account-unusable",
    ERROR,
    """With `manager.kind = "systemd"` the stack runs as the account `llmdecl`, which `apply` makes
by `systemd-sysusers`, and its units belong to root: `apply` is run by root, llmdecl is installed
where that account may read it (not in a home), and polkit 0.106 or newer lets the router start
models. With `systemd-user` everything is yours.""",
)
MANAGER_CHANGED = Rule(
    "LD631",
    "manager-changed",
    ERROR,
    """The stack runs under another manager than the spec asks for now. Two managers never own a
process together: `llmdecl down` stops everything under the old one, then `llmdecl apply` (or
`rollback`) starts it under the new.""",
)
UNREADABLE_FOR_ACCOUNT = Rule(
    "LD632",
    "unreadable-for-account",
    ERROR,
    """With `manager.kind = "systemd"` models run as the account `llmdecl` and read weights and
engines where they are: every folder on the way to a `file:` source or an engine's `path` has to let
that account in, and homes are hidden from it altogether. Move them, for example below `/srv`. Files
of keys (`api-keys-file`) stay root's, and have to be there.""",
)
FOREIGN_UNIT = Rule(
    "LD633",
    "foreign-unit",
    ERROR,
    """Where a file of the stack would be installed is one that `llmdecl apply` did not write, or
the unit is masked. Nothing of others is ever changed: move it away, or unmask the unit
(`systemctl unmask`), and apply again.""",
)
ANOTHER_STACK = Rule(
    "LD634",
    "another-stack",
    ERROR,
    """systemd keeps one stack of llmdecl for the system, and one for each user; the units that are
installed belong to the stack of another state folder. Give that one's `--state-dir`, or stop it
with `llmdecl down --state-dir`, as who applied it. A stack whose state folder is gone is
replaced.""",
)

RULES: tuple[Rule, ...] = (
    UNQUOTABLE_FOLDER,
    APPLY_IN_PROGRESS,
    FOREIGN_RUN_FOLDER,
    MANAGER_START_FAILED,
    MANAGER_REFUSED,
    ROUTER_REFUSED,
    ROUTER_SILENT,
    MODEL_START_FAILED,
    NO_ANSWER,
    CONTEXT_SMALLER,
    UNDO_FAILED,
    STACK_DOWN,
    UNKNOWN_MODEL,
    NO_GENERATION,
    DAMAGED_GENERATION,
    PLAN_MOVED_ON,
    NOT_CONFIRMED,
    DAMAGED_PLAN_FILE,
    PROCESS_STAYS,
    NO_LOG,
    NO_ENDPOINT,
    CHAT_FAILED,
    STEP_FAILED,
    MODEL_REFUSED,
    NO_ROOM,
    STATE_UNWRITABLE,
    ROUTER_UNRUNNABLE,
    PLACEMENT_DIFFERS,
    PLACEMENT_UNKNOWN,
    ACCOUNT_UNUSABLE,
    MANAGER_CHANGED,
    UNREADABLE_FOR_ACCOUNT,
    FOREIGN_UNIT,
    ANOTHER_STACK,
)
