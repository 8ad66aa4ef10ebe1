"""What llama.cpp's graphs are built of (`llm_graph_context`, src/llama-graph.cpp).

Method names are llama.cpp's; numbers that decide no size (scales, epsilons, frequencies) are
left out. A weight is fetched by its name in the file; one that the file lacks is `None`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml import TYPES
from llmdecl.memory.ggml.ops import Graph, row_size, shape_of
from llmdecl.memory.ggml.tensor import F16, F32, I32, OUTPUT, PRECISE, Tensor
from llmdecl.memory.graphs.caches import KvCache, Memory, States
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

OFFLOAD_BATCH = 32

WeightTable = Mapping[str, tuple[TensorType, tuple[int, ...]]]
"""Type and shape of every tensor of the file, by name."""

GetRows = Callable[[Tensor, Tensor], Tensor]


@dataclass(slots=True)
class Attention:
    """Inputs of attention: where the batch's keys and values go, and the masks.

    `full` and `swa` are `(cache, k_idxs, v_idxs, mask, k_rot, v_rot)`; without a cache the
    parts but the mask are `None`.
    """

    full: "AttentionInput | None" = None
    swa: "AttentionInput | None" = None

    def of(self, h: HParams, il: int) -> "AttentionInput":
        """The inputs of a block's kind."""
        found = self.swa if self.swa is not None and h.is_swa[il] else self.full
        assert found is not None
        return found


@dataclass(slots=True)
class AttentionInput:
    """One kind of attention's inputs."""

    mask: Tensor
    cache: KvCache | None = None
    k_idxs: Tensor | None = None
    v_idxs: Tensor | None = None
    k_rot: Tensor | None = None
    v_rot: Tensor | None = None


@dataclass(slots=True)
class Layer:
    """Weights of a block by attribute: `attn_q` is `blk.N.attn_q.weight`, `attn_q_b` its bias,
    `attn_q_s` its scale. Calling it fetches a name as it is written: `layer("ssm_a")`."""

    context: "Context"
    prefix: str
    il: int

    def __call__(self, name: str) -> Any:
        """The weight that is called so in the file."""
        return self.context.weight(self.prefix + name, self.il)

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_b") and (found := self(f"{name[:-2]}.bias")) is not None:
            return found
        if name.endswith("_s") and (found := self(f"{name[:-2]}.scale")) is not None:
            return found
        return self(f"{name}.weight")


@dataclass(slots=True)
class Context(Graph):
    """One graph under construction.

    `n_tokens` of `n_seqs` sequences with `n_outputs` rows of results, on `site`, with `memory`
    full. `keep` lists the blocks that are built: those left out repeat what others do.
    """

    h: HParams
    run: RunParameters
    site: Site
    memory: Memory
    weights: WeightTable
    n_tokens: int
    n_seqs: int
    n_outputs: int
    keep: tuple[int, ...]
    nodes: list[Tensor] = field(default_factory=list)
    leafs: list[Tensor] = field(default_factory=list)
    t_embd: Tensor | None = None
    t_logits: Tensor | None = None
    t_embd_pooled: Tensor | None = None
    t_h_nextn: Tensor | None = None
    t_inp_embd: Tensor | None = None
    fused: list[tuple[str, Tensor, int]] = field(default_factory=list)
    """Fused operations with their blocks: llama.cpp checks where each is computed."""
    unfused: frozenset[str] = frozenset()
    """Those that this check has turned off."""
    _weights: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    _layers: dict[int, Layer] = field(default_factory=dict)

    # shorthand for what builders name again and again

    @property
    def n_embd(self) -> int:
        """Width of the model."""
        return self.h.n_embd

    @property
    def n_layer(self) -> int:
        """Blocks, without nextn blocks."""
        return self.h.n_layer

    @property
    def n_seq_tokens(self) -> int:
        """Tokens of each sequence."""
        return self.n_tokens // self.n_seqs

    @property
    def arch(self) -> str:
        """The architecture's name."""
        return self.h.arch

    # weights

    def weight(self, name: str, layer: int = -1) -> Any:
        """The weight `name`, or `None`; `layer`: the block that uses it."""
        given = self.weights.get(name)
        if given is None:
            return None
        buffer = self.site.buffer(name, given[0], given[1], layer=layer)
        key = name, buffer.place
        found = self._weights.get(key)
        if found is None:
            found = Graph.new(self, given[0], *given[1])
            found.name = name
            found.weight = True
            found.place = buffer.place
            found.streamable = buffer.streamable
            self._weights[key] = found
        return found

    def layer(self, il: int, prefix: str = "blk") -> Layer:
        """Weights of block `il`."""
        return Layer(self, f"{prefix}.{il}.", il)

    def tok_embd(self) -> Any:
        """The embedding matrix, on the CPU."""
        return self.weight("token_embd.weight")

    def output(self) -> Any:
        """The output matrix: its own, or the embedding once more, where the output is."""
        own = self.weight("output.weight")
        if own is not None:
            return own
        kind, ne = self.weights["token_embd.weight"]
        buffer = self.site.buffer("output.weight", kind, ne)
        found = Graph.new(self, kind, *ne)
        found.name = "output.weight"
        found.weight = True
        found.place = buffer.place
        found.streamable = buffer.streamable
        return found

    def rope_factors(self, il: int) -> Any:
        """Frequency factors, if the file has some (src/llama-model.cpp:2337)."""
        if (found := self.weight("rope_freqs.weight", il)) is not None:
            return found
        long = self.run.n_ctx_seq > self.h.n_ctx_orig_yarn
        return self.weight(f"rope_factors_{'long' if long else 'short'}.weight", il)

    # naming, which for two names is placing

    def cb(self, tensor: Tensor, name: str, il: int = -1) -> Tensor:
        """`cb`: norms and last results of a block stay on its device (llama-context.cpp:2640)."""
        tensor.name = name
        if (
            il >= 0
            and name in ("norm", "l_last")
            and (self.n_tokens < OFFLOAD_BATCH or self.site.full_offload)
        ):
            place = self.site.layers[il]
            if self.site.supports(place, tensor):
                tensor.backend = place
        return tensor

    # inputs

    def build_inp_embd(self, tok_embd: Tensor | None = None) -> Tensor:
        """Token embeddings; an input for raw embeddings is there as well (:2376)."""
        h = self.h
        tokens = self.input(I32, self.n_tokens, name="inp_tokens")
        raw = self.input(F32, h.n_embd_inp, self.n_tokens, name="inp_embd")
        cur = self.get_rows(tok_embd if tok_embd is not None else self.tok_embd(), tokens)
        if h.n_embd_inp != h.n_embd:
            cur = self.pad(cur, h.n_embd_inp - h.n_embd)
        self.expand(cur)
        self.expand(raw)
        if h.n_embd_inp != h.n_embd:
            cur = self.view_2d(cur, h.n_embd, self.n_tokens, cur.nb[1])
        self.t_inp_embd = cur
        if h.f_embedding_scale:
            if not cur.contiguous:
                cur = self.cont(cur)
            cur = self.scale(cur)
        self.cb(cur, "embd")
        self.expand(cur)
        return cur

    def build_inp_pos(self) -> Tensor:
        """Positions (:2465)."""
        return self.input(I32, self.n_tokens * self.h.n_pos_per_embd, name="inp_pos")

    def build_inp_attn_scale(self) -> Tensor:
        """Temperatures of attention by position (:2479)."""
        return self.input(F32, 1, 1, self.n_tokens, name="inp_attn_scale")

    def build_inp_out_ids(self) -> Tensor:
        """Which tokens' results are wanted (:2494)."""
        return self.input(I32, self.n_outputs, name="out_ids")

    def build_inp_mean(self) -> Tensor:
        """Weights of tokens in their sequences' means (:2516)."""
        return self.input(F32, self.n_tokens, self.n_seqs, name="mean")

    def build_inp_cls(self) -> Tensor:
        """One token of each sequence (:2530)."""
        return self.input(I32, self.n_seqs, name="cls")

    def mask_type(self) -> TensorType:
        """Flash attention wants f16 masks."""
        return F16 if self.run.flash_attn else F32

    def build_kq_mask(self, cache: KvCache) -> Tensor:
        """Which cells a token may see (:29)."""
        streams = 1 if self.run.kv_unified else self.n_seqs
        return self.input(
            self.mask_type(), cache.size, self.n_tokens // streams, 1, streams, name="kq_mask"
        )

    def _cached(self, cache: KvCache, *, rotations: bool) -> AttentionInput:
        k_idxs = cache.k_idxs(self, self.n_tokens)
        v_idxs = None if cache.k_only else cache.v_idxs(self, self.n_tokens)
        inp = AttentionInput(self.build_kq_mask(cache), cache, k_idxs, v_idxs)
        if rotations:
            inp.k_rot, inp.v_rot = cache.k_rot(self), cache.v_rot(self)
        return inp

    def build_attn_inp_kv(self) -> Attention:
        """`build_attn_inp_kv` or, where layers slide their window, `build_attn_inp_kv_iswa`."""
        memory = self.memory
        assert memory.kv is not None
        inp = Attention(full=self._cached(memory.kv, rotations=True))
        if memory.swa is not None:
            inp.swa = self._cached(memory.swa, rotations=True)
        return inp

    build_attn_inp_kv_iswa = build_attn_inp_kv

    def build_attn_inp_k(self) -> Attention:
        """Keys that hold the values as well: no rotations (:2952)."""
        assert self.memory.kv is not None
        inp = Attention(full=self._cached(self.memory.kv, rotations=False))
        if self.memory.swa is not None:
            inp.swa = self._cached(self.memory.swa, rotations=False)
        return inp

    def build_attn_inp_no_cache(self) -> Attention:
        """The batch attends to itself (:2757)."""
        kind, n = self.mask_type(), self.n_tokens
        inp = Attention(full=AttentionInput(self.input(kind, n, n, name="kq_mask")))
        if self.h.swa_type:
            inp.swa = AttentionInput(self.input(kind, n, n, name="kq_mask_swa"))
        return inp

    # layers

    def build_lora_mm(self, w: Tensor, cur: Tensor, scale: Tensor | None = None) -> Tensor:
        """A weight's product; adapters are the ledger's own part (:1520)."""
        res = self.mul_mat(w, cur)
        return res if scale is None else self.mul(res, scale)

    def build_lora_mm_id(
        self, w: Tensor, cur: Tensor, ids: Tensor, scale: Tensor | None = None
    ) -> Tensor:
        """The same for a stack of experts (:1555)."""
        res = self.mul_mat_id(w, cur, ids)
        if scale is None:
            return res
        s = self.reshape(scale, 1, scale.ne[0], 1)
        s = self.repeat_4d(s, 1, scale.ne[0], cur.ne[2], 1)
        return self.mul(res, self.get_rows(s, ids))

    def build_norm(
        self, cur: Tensor, mw: Tensor | None, mb: Tensor | None, kind: str, il: int
    ) -> Tensor:
        """`kind` is `LLM_NORM`, `LLM_NORM_RMS` or `LLM_NORM_GROUP` (:1597)."""
        if kind == "LLM_NORM":
            cur = self.norm(cur)
        elif kind == "LLM_NORM_RMS":
            cur = self.rms_norm(cur)
        else:
            cur = self.reshape(cur, cur.ne[0], 1, cur.ne[1])
            cur = self.group_norm(cur)
            cur = self.reshape(cur, cur.ne[0], cur.ne[2])
        if mw is not None or mb is not None:
            self.cb(cur, "norm", il)
        if mw is not None:
            cur = self.mul(cur, mw)
        if mb is not None:
            cur = self.add(cur, mb)
        return cur

    def build_qkv(
        self,
        layer: Layer,
        cur: Tensor,
        head_q: int,
        n_head: int,
        n_head_kv: int,
        il: int,
        *,
        head_k: int = 0,
        head_v: int = 0,
        reshape: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, from one matrix or three (:1647)."""
        head_k, head_v = head_k or head_q, head_v or head_q
        fused = layer("attn_qkv.weight")
        heads = (head_q, n_head), (head_k, n_head_kv), (head_v, n_head_kv)
        if fused is not None:
            return self._fused_qkv(layer, fused, cur, heads, reshape=reshape)
        parts = []
        for name, (head, count) in zip(("attn_q", "attn_k", "attn_v"), heads, strict=True):
            part = self.build_lora_mm(layer(f"{name}.weight"), cur, layer(f"{name}.scale"))
            bias = layer(f"{name}.bias")
            if bias is not None:
                part = self.add(part, bias)
            if reshape and self.h.f_clamp_kqv:
                part = self.clamp(part)
            part.name = f"{name}-{il}"
            parts.append((part, head, count))
        if not reshape:
            return parts[0][0], parts[1][0], parts[2][0]
        q, k, v = (self.reshape(p, head, count, self.n_tokens) for p, head, count in parts)
        return q, k, v

    def _fused_qkv(
        self,
        layer: Layer,
        w: Tensor,
        cur: Tensor,
        heads: tuple[tuple[int, int], ...],
        *,
        reshape: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        qkv = self.build_lora_mm(w, cur, layer("attn_qkv.scale"))
        bias = layer("attn_qkv.bias")
        if bias is None and layer("attn_q.bias") is not None:
            bias = self.concat(layer("attn_q.bias"), layer("attn_k.bias"), 0)
            bias = self.concat(bias, layer("attn_v.bias"), 0)
        if bias is not None:
            qkv = self.add(qkv, bias)
        if reshape and self.h.f_clamp_kqv:
            qkv = self.clamp(qkv)
        if reshape:
            q, k, v = (
                self.view_3d(qkv, head, n, self.n_tokens, row_size(qkv.type, head), qkv.nb[1])
                for head, n in heads
            )
            return q, k, v
        q, k, v = (self.view_2d(qkv, head * n, self.n_tokens, qkv.nb[1]) for head, n in heads)
        return self.cont(q), self.cont(k), self.cont(v)

    def build_ffn(
        self,
        cur: Tensor,
        up: Tensor | None,
        up_b: Tensor | None,
        gate: Tensor | None,
        gate_b: Tensor | None,
        down: Tensor | None,
        down_b: Tensor | None,
        op: str,
        il: int,
        *,
        parallel: bool = True,
        up_s: Tensor | None = None,
        gate_s: Tensor | None = None,
        down_s: Tensor | None = None,
        act_scales: Tensor | None = None,
        clamped: bool = False,
    ) -> Tensor:
        """`op` is `LLM_FFN_SILU` and so on without the prefix; `parallel` is `LLM_FFN_PAR` (:1762).

        `clamped`: `swiglu_clamp_shexp` has a limit for this block.
        """
        tmp = self.build_lora_mm(up, cur) if up is not None else cur
        if up_b is not None:
            tmp = self.add(tmp, up_b)
        if up_s is not None:
            tmp = self.mul(tmp, up_s)
        if gate is not None:
            cur = self.build_lora_mm(gate, cur if parallel else tmp)
            if gate_b is not None:
                cur = self.add(cur, gate_b)
            if gate_s is not None:
                cur = self.mul(cur, gate_s)
        else:
            cur = tmp
        cur, done = self._activate(
            cur, tmp, op, gated=gate is not None and parallel, clamped=clamped
        )
        if op == "GELU" and not (gate is not None and parallel) and act_scales is not None:
            cur = self.div(cur, act_scales)
        if gate is not None and parallel and not done:
            cur = self.mul(cur, tmp)
        cur.name = f"ffn_act-{il}"
        if down is not None:
            cur = self.build_lora_mm(down, cur)
        if down_b is not None:
            cur = self.add(cur, down_b)
        if down_s is not None:
            cur = self.mul(cur, down_s)
        return cur

    def _activate(
        self, cur: Tensor, up: Tensor, op: str, *, gated: bool, clamped: bool
    ) -> tuple[Tensor, bool]:
        """The activation; whether it has multiplied by `up` already."""
        if op in ("SILU", "GELU", "RELU"):
            if not gated:
                return self.unary(cur), False
            if not (op == "SILU" and clamped):
                return self.glu(cur, up), True
            if self.arch in ("deepseek4", "glm5-next"):
                return self.swiglu_clamp(cur, up), True
            up = self.clamp(up)
            return self.mul(self.clamp(self.silu(cur)), up), True
        if op == "RELU_SQR":
            return self.sqr(self.relu(cur)), False
        if op == "SWIGLU_OAI_MOE":
            return self.glu(cur, up), True
        return self.glu(cur), False  # SWIGLU, GEGLU, REGLU of two halves

    def build_moe_ffn(
        self,
        cur: Tensor,
        gate_inp: Tensor | None,
        up_exps: Tensor | None,
        gate_exps: Tensor | None,
        down_exps: Tensor,
        exp_probs_b: Tensor | None,
        n_expert: int,
        n_expert_used: int,
        op: str,
        il: int,
        *,
        norm_w: bool,
        gating: str = "SOFTMAX",
        w_scale: float = 0.0,
        gate_inp_b: Tensor | None = None,
        up_exps_b: Tensor | None = None,
        gate_exps_b: Tensor | None = None,
        down_exps_b: Tensor | None = None,
        probs_in: Tensor | None = None,
        gate_up_exps: Tensor | None = None,
        gate_up_exps_b: Tensor | None = None,
        up_exps_s: Tensor | None = None,
        gate_exps_s: Tensor | None = None,
        down_exps_s: Tensor | None = None,
        selected_experts: Tensor | None = None,
        clamped: bool = False,
    ) -> Tensor:
        """A layer of experts (:2007). `op` and `gating` are llama.cpp's without their prefixes.

        `w_scale` other than 0 and 1 scales the weights. `clamped`: `swiglu_clamp_exp` has a limit.
        """
        h, arch = self.h, self.arch
        n_embd, n_tokens = cur.ne[0], cur.ne[1]
        before = arch == "llama4"
        if probs_in is None:
            assert gate_inp is not None
            logits = self.build_lora_mm(gate_inp, cur)
        else:
            logits = probs_in
        if gate_inp_b is not None:
            logits = self.add(logits, gate_inp_b)
        probs = self._gate(logits, gating)
        selection = probs if exp_probs_b is None else self.add(probs, exp_probs_b)
        if arch == "llama4":
            selection = logits
        if arch == "grovemoe":
            selection = self.sigmoid(logits)
        if h.n_expert_groups > 1 and n_tokens > 0:
            selection = self._expert_groups(selection, n_expert, n_tokens)
        selected = selected_experts
        if selected is None:
            selected = self.argsort_top_k(selection, n_expert_used)
        if arch == "grovemoe" and n_expert != h.n_expert:
            selected = self.cast(self.scale(self.cast(selected, F32)), I32)
            probs = self.reshape(probs, 1, h.n_expert, n_tokens)
        else:
            probs = self.reshape(probs, 1, n_expert, n_tokens)
        weights = self.get_rows(probs, selected)
        if gating == "SOFTMAX_WEIGHT":
            weights = self.reshape(weights, n_expert_used, n_tokens)
            weights = self.reshape(self.soft_max(weights), 1, n_expert_used, n_tokens)
        if norm_w:
            weights = self.reshape(weights, n_expert_used, n_tokens)
            weights = self.div(weights, self.clamp(self.sum_rows(weights)))
            weights = self.reshape(weights, 1, n_expert_used, n_tokens)
        if w_scale not in (0.0, 1.0):
            weights = self.scale(weights)
        self.expand(weights)
        cur = self.reshape(cur, n_embd, 1, n_tokens)
        if before:
            cur = self.mul(self.repeat_4d(cur, n_embd, n_expert_used, n_tokens, 1), weights)
        if gate_up_exps is not None:
            both = self.build_lora_mm_id(gate_up_exps, cur, selected, up_exps_s)
            if gate_up_exps_b is not None:
                both = self.add_id(both, gate_up_exps_b, selected)
            n_ff = both.ne[0] // 2
            shape = n_ff, both.ne[1], both.ne[2], both.nb[1], both.nb[2]
            cur, up = self.view_3d(both, *shape), self.view_3d(both, *shape)
        else:
            assert up_exps is not None
            up = self.build_lora_mm_id(up_exps, cur, selected, up_exps_s)
            if up_exps_b is not None:
                up = self.add_id(up, up_exps_b, selected)
            if gate_exps is not None:
                cur = self.build_lora_mm_id(gate_exps, cur, selected, gate_exps_s)
            else:
                cur = up
            if gate_exps_b is not None:
                cur = self.add_id(cur, gate_exps_b, selected)
        has_gate = gate_exps is not None or gate_up_exps is not None
        cur = self._activate_experts(
            cur, up, op, gated=has_gate, clamped=clamped and gate_exps is not None
        )
        experts = self.build_lora_mm_id(down_exps, cur, selected, down_exps_s)
        if arch == "mistral4":
            experts.flags |= PRECISE
        if down_exps_b is not None:
            experts = self.add_id(experts, down_exps_b, selected)
        if not before:
            experts = self.mul(experts, weights)
        self.expand(experts)
        count = h.n_expert_used(il) if il >= 0 else n_expert_used
        parts = []
        for _ in range(count):
            parts.append(self.view_2d(experts, n_embd, n_tokens, experts.nb[2]))
            self.expand(parts[-1])
        out = parts[0]
        for part in parts[1:]:
            out = self.add(out, part)
            self.expand(out)
        if count == 1:
            out = self.cont(out)
        out.name = f"ffn_moe_out-{il}"
        return out

    def _gate(self, logits: Tensor, gating: str) -> Tensor:
        if gating == "SOFTMAX":
            return self.soft_max(logits)
        if gating == "SIGMOID":
            return self.sigmoid(logits)
        return logits if gating == "SOFTMAX_WEIGHT" else self.sqrt(self.softplus(logits))

    def _expert_groups(self, selection: Tensor, n_expert: int, n_tokens: int) -> Tensor:
        """The best groups of experts only (:2095)."""
        groups = self.h.n_expert_groups
        grouped = self.reshape(selection, n_expert // groups, groups, n_tokens)
        scores = self.argsort_top_k(grouped, 2)
        scores = self.get_rows(self.reshape(grouped, 1, *grouped.ne[:3]), scores)
        scores = self.sum_rows(self.reshape(scores, *scores.ne[1:]))
        scores = self.reshape(scores, scores.ne[1], scores.ne[2])
        best = self.argsort_top_k(scores, self.h.n_group_used)
        chosen = self.get_rows(grouped, best)
        masked = self.set_rows(self.fill(grouped), chosen, best)
        return self.reshape(masked, n_expert, n_tokens)

    def _activate_experts(
        self, cur: Tensor, up: Tensor, op: str, *, gated: bool, clamped: bool
    ) -> Tensor:
        if op == "SILU" and clamped:
            if self.arch in ("maple", "deepseek4", "glm5-next", "hy_v4"):
                return self.swiglu_clamp(cur, up)
            up = self.clamp(up)
            return self.mul(self.clamp(self.silu(cur)), up)
        if op in ("SILU", "GELU", "RELU"):
            return self.glu(cur, up) if gated else self.unary(cur)
        if op == "SWIGLU_OAI_MOE":
            return self.glu(cur, up)
        if op == "RELU_SQR":
            return self.sqr(self.relu(cur))
        act = self.scale(self.tanh(self.scale(cur)))  # SITU
        act = self.mul(act, self.sigmoid(cur))
        if self.h.real("activation_situ_linear_beta") > 0:
            up = self.scale(self.tanh(self.scale(up)))
        return self.mul(act, up)

    # attention

    def build_attn_mha(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        kq_b: Tensor | None,
        mask: Tensor | None,
        sinks: Tensor | None,
        v_mla: Tensor | None,
        il: int,
    ) -> Tensor:
        """Scores, softmax and values, or flash attention (:2616)."""
        v_trans = v.nb[1] > v.nb[2]
        streams = k.ne[3]
        each = q.ne[2] // streams
        q = self.view_4d(q, q.ne[0], q.ne[1], each, streams, q.nb[1], q.nb[2], q.nb[2] * each)
        q, k, v = (self.permute(t, 0, 2, 1, 3) for t in (q, k, v))
        if self.run.flash_attn and kq_b is None:
            if v_trans:
                v = self.transpose(v)
            if k.type is F32:
                k = self.cast(k, F16)
            if v.type is F32:
                v = self.cast(v, F16)
            cur = self.flash_attn_ext(q, k, v, mask, sinks)
            cur.name = f"flash_attn-{il}"
            self.fused.append(("FLASH_ATTN", cur, il))
            if v_mla is not None:
                cur = self.permute(cur, 0, 2, 1, 3)
                cur = self.mul_mat(v_mla, cur)
                cur = self.cont(self.permute(cur, 0, 2, 1, 3))
            cur = self.reshape(cur, cur.ne[0] * cur.ne[1], cur.ne[2] * cur.ne[3])
        else:
            cur = self._plain_attention(q, k, v, kq_b, mask, sinks, v_mla, v_trans=v_trans)
        self.expand(cur)
        return cur

    def _plain_attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        kq_b: Tensor | None,
        mask: Tensor | None,
        sinks: Tensor | None,
        v_mla: Tensor | None,
        *,
        v_trans: bool,
    ) -> Tensor:
        kq = self.mul_mat(k, q)
        if self.arch == "grok":
            kq = self.scale(self.tanh(self.scale(kq)))
        if self.h.attn_soft_cap:
            kq = self.scale(self.tanh(self.scale(kq)))
        if kq_b is not None:
            kq = self.add(kq, kq_b)
        kq = self.soft_max(kq, mask)
        if sinks is not None:
            kq.src.append(sinks)
        if not v_trans:
            v = self.cont(self.transpose(v))
        kqv = self.mul_mat(v, kq)
        if v_mla is not None:
            kqv = self.mul_mat(v_mla, kqv)
        cur = self.permute(kqv, 0, 2, 1, 3)
        cur = self.cont(cur, cur.ne[0] * cur.ne[1], cur.ne[2] * cur.ne[3])
        if not self.site.placement.kv_offload:
            cur.backend = self.site.cpu
        return cur

    def build_attn(
        self,
        inp: Attention,
        wo: Tensor | None,
        wo_b: Tensor | None,
        q: Tensor,
        k: Tensor | None,
        v: Tensor | None,
        il: int,
        *,
        kq_b: Tensor | None = None,
        sinks: Tensor | None = None,
        v_mla: Tensor | None = None,
        wo_s: Tensor | None = None,
    ) -> Tensor:
        """`build_attn` with whatever cache the inputs have (:2783-3210)."""
        one = inp.of(self.h, il)
        cache = one.cache
        if cache is None:
            assert k is not None
            assert v is not None
            for given in (q, k, v):
                self.expand(given)
            cur = self.build_attn_mha(q, k, v, kq_b, one.mask, sinks, v_mla, il)
            return self._attn_out(cur, wo, wo_b, wo_s)
        if one.k_rot is not None:
            q = self.mul_mat_hadamard(q, one.k_rot)
            k = None if k is None else self.mul_mat_hadamard(k, one.k_rot)
        if one.v_rot is not None and v is not None and not cache.k_only:
            v = self.mul_mat_hadamard(v, one.v_rot)
        windowed = inp.swa is not None
        order = (q, k, v) if windowed else (q, v, k)
        for part in order:
            if part is not None:
                self.expand(part)
        if k is not None:
            assert one.k_idxs is not None
            self.expand(cache.cpy_k(self, k, one.k_idxs, il))
        if v is not None and not cache.k_only:
            assert one.v_idxs is not None
            self.expand(cache.cpy_v(self, v, one.v_idxs, il))
        keys = cache.get_k(self, il)
        if cache.k_only:
            assert v is not None
            values = self.view_4d(keys, v.ne[0], *keys.ne[1:], *keys.nb[1:])
        else:
            values = cache.get_v(self, il)
        cur = self.build_attn_mha(q, keys, values, kq_b, one.mask, sinks, v_mla, il)
        if one.v_rot is not None:
            cur = self.mul_mat_hadamard(cur, one.v_rot)
        return self._attn_out(cur, wo, wo_b, wo_s)

    def _attn_out(
        self, cur: Tensor, wo: Tensor | None, wo_b: Tensor | None, wo_s: Tensor | None
    ) -> Tensor:
        if wo is not None:
            cur = self.build_lora_mm(wo, cur, wo_s)
        return cur if wo_b is None else self.add(cur, wo_b)

    # recurrent states

    def states(self) -> States:
        """The recurrent states of this context."""
        assert self.memory.rs is not None
        return self.memory.rs

    def build_rs_inp(self) -> tuple[Tensor, Tensor]:
        """Which rows are read: those of the batch, and those that only move (:3548)."""
        rows = self.states().size
        ids = self.input(I32, rows, name="rs_s_copy")
        return self.view_1d(ids, self.n_seqs), self.view_1d(ids, rows - self.n_seqs)

    def build_rs(
        self,
        inp: tuple[Tensor, Tensor],
        s: Tensor,
        state_size: int,
        n_seqs: int,
        get_state_rows: GetRows | None = None,
    ) -> Tensor:
        """States of the batch's sequences, zeroed where they are new (:3512)."""
        main, extra = inp
        states = self.reshape(s, state_size, s.ne[1])
        self.expand(self.scale_inplace(self.view_1d(states, state_size)))
        out = (get_state_rows or self.get_rows)(states, main)
        self.expand(out)
        moved = self.get_rows(states, extra)
        rows = self.states().size - n_seqs
        self.expand(self.cpy(moved, self.view_2d(s, state_size, rows, s.nb[1])))
        return out

    # after the blocks

    def embeds(self) -> bool:
        """The context returns embeddings (`cparams.embeddings`)."""
        return self.run.embedding

    def pooling(self) -> str:
        """How token vectors become one: `--pooling`, else the header's."""
        if self.run.pooling is not None:
            return self.run.pooling
        names = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
        return names.get(self.h.pooling_type, "none")

    def build_pooling(self) -> None:
        """One vector a sequence, and a classifier's head (:3711)."""
        if not self.embeds():
            return
        assert self.t_embd is not None
        cur = self.t_embd
        kind = self.pooling()
        usual = 1 if self.arch == "modern-bert" else -1
        mean = kind == "mean" or (
            kind == "rank" and self.h.number("classifier.pooling_type", usual) == 1
        )
        if mean:
            ids = self.build_inp_mean()
            cur = self.mul_mat(self.cont(self.transpose(cur)), ids)
        elif kind != "none":
            cur = self.get_rows(cur, self.build_inp_cls())
        if kind == "rank":
            cur = self._classify(cur)
        self.t_embd_pooled = cur
        self.expand(cur)

    def _classify(self, cur: Tensor) -> Tensor:
        if (w := self.weight("cls.weight")) is not None:
            cur = self.mul_mat(w, cur)
            if (b := self.weight("cls.bias")) is not None:
                cur = self.add(cur, b)
            cur = self.unary(cur)
            if (norm := self.weight("cls.norm.weight")) is not None:
                cur = self.build_norm(cur, norm, None, "LLM_NORM", -1)
        if (w := self.weight("cls.output.weight")) is not None:
            cur = self.mul_mat(w, cur)
            if (b := self.weight("cls.output.bias")) is not None:
                cur = self.add(cur, b)
        return self.soft_max(cur) if self.arch in ("qwen3", "qwen3vl") else cur

    def build_dense_out(self) -> None:
        """Two more projections of sentence transformers (:3686)."""
        first, second = self.weight("dense_2.weight"), self.weight("dense_3.weight")
        if not self.embeds() or (first is None and second is None):
            return
        last = self.t_embd_pooled if self.t_embd_pooled is not None else self.t_embd
        assert last is not None
        cur: Tensor = last
        if first is not None:
            cur = self.mul_mat(first, cur)
            if (b := self.weight("dense_2.bias")) is not None:
                cur = self.add(cur, b)
        if second is not None:
            cur = self.mul_mat(second, cur)
        self.t_embd_pooled = cur
        self.expand(cur)

    def finish(self) -> None:
        """What `llama_model::build_graph` adds to every architecture's graph."""
        self.build_pooling()
        self.build_dense_out()
        for tensor in (self.t_logits, self.t_embd, self.t_embd_pooled, self.t_h_nextn):
            if tensor is not None:
                tensor.flags |= OUTPUT


__all__ = ["TYPES", "Attention", "Context", "Layer", "shape_of"]
