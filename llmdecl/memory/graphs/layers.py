"""Parts of a block: norms, projections, networks, experts (src/llama-graph.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, I32, PRECISE, Tensor
from llmdecl.memory.graphs.inputs import Inputs, Layer


class Layers(Inputs):
    """The same with what blocks are built of but attention."""

    __slots__ = ()

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
