// A look into the private structs of ggml's scheduler and graph allocator.
#pragma once

#include "ggml-backend.h"
#include "ggml.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEEK_API __attribute__((visibility("default")))

struct peek_place {
    int    buffer; // index of the backend whose buffer holds the tensor; -1: not the allocator's business
    int    chunk;
    size_t offset;
};

struct peek_split {
    int                   backend;
    int                   i_start; // of the nodes, in the graph before the copies were put in
    int                   i_end;
    int                   n_inputs;
    struct ggml_tensor ** inputs;
};

// where the last reservation put `tensor`
PEEK_API struct peek_place peek_allocator_place(ggml_gallocr_t allocator, const struct ggml_tensor * tensor);

PEEK_API ggml_gallocr_t       peek_scheduler_allocator(ggml_backend_sched_t sched);
PEEK_API struct ggml_cgraph * peek_scheduler_graph(ggml_backend_sched_t sched); // with the copies
PEEK_API int                  peek_scheduler_node_backend(ggml_backend_sched_t sched, int i);
PEEK_API int                  peek_scheduler_leaf_backend(ggml_backend_sched_t sched, int i);
PEEK_API int                  peek_scheduler_n_splits(ggml_backend_sched_t sched);
PEEK_API struct peek_split    peek_scheduler_split(ggml_backend_sched_t sched, int i);

#ifdef __cplusplus
}
#endif
