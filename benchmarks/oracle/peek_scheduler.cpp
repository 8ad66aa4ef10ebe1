#undef GGML_SHARED
#undef GGML_BACKEND_SHARED
#include "ggml-backend.cpp"

#include "peek.h"

ggml_gallocr_t peek_scheduler_allocator(ggml_backend_sched_t sched) { return sched->galloc; }
ggml_cgraph *  peek_scheduler_graph(ggml_backend_sched_t sched) { return &sched->graph; }
int peek_scheduler_node_backend(ggml_backend_sched_t sched, int i) { return sched->node_backend_ids[i]; }
int peek_scheduler_leaf_backend(ggml_backend_sched_t sched, int i) { return sched->leaf_backend_ids[i]; }
int peek_scheduler_n_splits(ggml_backend_sched_t sched) { return sched->n_splits; }

peek_split peek_scheduler_split(ggml_backend_sched_t sched, int i) {
    const ggml_backend_sched_split & split = sched->splits[i];
    return { split.backend_id, split.i_start, split.i_end, split.n_inputs, split.inputs };
}
