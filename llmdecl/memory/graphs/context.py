"""What llama.cpp's graphs are built of (`llm_graph_context`, src/llama-graph.cpp).

Method names are llama.cpp's; numbers that decide no size (scales, epsilons, frequencies) are
left out. A weight is fetched by its name in the file; one that the file lacks is `None`.
"""

from collections.abc import Callable

from llmdecl.memory.ggml import TYPES
from llmdecl.memory.ggml.ops import shape_of
from llmdecl.memory.ggml.tensor import F16, F32, I32, OUTPUT, Tensor
from llmdecl.memory.graphs.caches import States
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.layers import Layers

GetRows = Callable[[Tensor, Tensor], Tensor]


class Context(Layers):
    """All of it: with attention, recurrent states, and what comes after the blocks."""

    __slots__ = ()

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
