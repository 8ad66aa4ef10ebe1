#undef GGML_SHARED
#undef GGML_BACKEND_SHARED
#include "ggml-alloc.c"

#include "peek.h"

struct peek_place peek_allocator_place(ggml_gallocr_t allocator, const struct ggml_tensor * tensor) {
    struct peek_place place = { -1, 0, 0 };
    const size_t i = ggml_hash_find(&allocator->hash_set, (struct ggml_tensor *) tensor);
    if (i == GGML_HASHSET_FULL || !ggml_bitset_get(allocator->hash_set.used, i) || tensor->view_src || tensor->data) {
        return place;
    }
    const struct hash_node * node = &allocator->hash_values[i];
    if (node->addr.chunk < 0) {
        return place;
    }
    place.buffer = node->buffer_id;
    place.chunk  = node->addr.chunk;
    place.offset = node->addr.offset;
    return place;
}
