#include "pretend.h"

#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml-impl.h"

#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

// the CUDA backend's own text, see CMakeLists.txt
struct ggml_backend_cuda_context;
#include "cuda_optimize.inc"

namespace {

enum class Flavour { PRETEND, CUDA, RPC };

struct Device {
    Flavour             flavour;
    std::string         name;
    size_t              memory;
    ggml_backend_device device;
    ggml_backend_buffer_type buft;
};

struct Registry {
    std::string                          name;
    std::string                          host_name;
    std::vector<std::unique_ptr<Device>> devices;
    ggml_backend_buffer_type             host_buft;
    ggml_backend_reg                     reg;
};

Device & of(ggml_backend_dev_t dev) { return *static_cast<Device *>(dev->context); }
Device & of(ggml_backend_buffer_type_t buft) { return *static_cast<Device *>(buft->context); }

bool like_cuda(const Device & device) { return device.flavour != Flavour::RPC; }

// ---------------------------------------------------------------------------------------------------------- buffers
const ggml_backend_buffer_i DEVICE_BUFFER = {
    /* .free_buffer   = */ [](ggml_backend_buffer_t) {},
    /* .get_base      = */ [](ggml_backend_buffer_t) { return reinterpret_cast<void *>(uintptr_t(0x1000)); },
    /* .init_tensor   = */ nullptr,
    /* .memset_tensor = */ [](ggml_backend_buffer_t, ggml_tensor *, uint8_t, size_t, size_t) {},
    /* .set_tensor    = */ [](ggml_backend_buffer_t, ggml_tensor *, const void *, size_t, size_t) {},
    /* .get_tensor    = */ [](ggml_backend_buffer_t, const ggml_tensor *, void * data, size_t, size_t size) { memset(data, 0, size); },
    /* .set_tensor_2d = */ nullptr,
    /* .get_tensor_2d = */ nullptr,
    /* .cpy_tensor    = */ [](ggml_backend_buffer_t, const ggml_tensor *, ggml_tensor *) { return true; },
    /* .clear         = */ [](ggml_backend_buffer_t, uint8_t) {},
    /* .reset         = */ nullptr,
};

ggml_backend_buffer_t lazy_host_buffer(ggml_backend_buffer_type_t buft, size_t size) {
    void * base = mmap(nullptr, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return nullptr;
    }
    ggml_backend_buffer_t buffer = ggml_backend_cpu_buffer_from_ptr(base, size);
    buffer->buft = buft;
    buffer->iface.free_buffer = [](ggml_backend_buffer_t b) { munmap(b->context, b->size + 1); };
    buffer->iface.clear = [](ggml_backend_buffer_t, uint8_t) {};
    return buffer;
}

constexpr int64_t ROW_PADDING = 512; // MATRIX_ROW_PADDING (ggml/src/ggml-cuda/common.cuh)

// the reserved batch never takes the vector kernel, so K and V that are not f16 get a copy in f16 behind the result
// (ggml/src/ggml-cuda/fattn.cu:722-756, fattn-common.cuh:53-88)
size_t flash_attention_size(const ggml_tensor * t) {
    const ggml_tensor * k = t->src[1];
    const ggml_tensor * v = t->src[2];
    const bool v_is_k = v->view_src && (v->view_src == k || (v->view_src == k->view_src && v->view_offs == k->view_offs));
    size_t end = ggml_nbytes(t);
    if (k->type != GGML_TYPE_F16) {
        end = GGML_PAD(end, 128) + ggml_nelements(k) * ggml_type_size(GGML_TYPE_F16);
    }
    if (v->type != GGML_TYPE_F16 && !v_is_k) {
        end = GGML_PAD(end, 128) + ggml_nelements(v) * ggml_type_size(GGML_TYPE_F16);
    }
    return end;
}

// (ggml/src/ggml-cuda/ggml-cuda.cu:900-920)
size_t cuda_alloc_size(ggml_backend_buffer_type_t, const ggml_tensor * t) {
    size_t size = t->op == GGML_OP_FLASH_ATTN_EXT ? flash_attention_size(t) : ggml_nbytes(t);
    if (ggml_is_quantized(t->type) && t->ne[0] % ROW_PADDING != 0) {
        size += ggml_row_size(t->type, ROW_PADDING - t->ne[0] % ROW_PADDING);
    }
    return size;
}

ggml_backend_buffer_type device_buft(Device & device) {
    return {
        {
            /* .get_name       = */ [](ggml_backend_buffer_type_t b) { return of(b).name.c_str(); },
            /* .alloc_buffer   = */ [](ggml_backend_buffer_type_t b, size_t size) { return ggml_backend_buffer_init(b, DEVICE_BUFFER, nullptr, size); },
            /* .get_alignment  = */ [](ggml_backend_buffer_type_t b) -> size_t { return like_cuda(of(b)) ? 128 : 32; },
            /* .get_max_size   = */ nullptr,
            /* .get_alloc_size = */ like_cuda(device) ? cuda_alloc_size : nullptr,
            /* .is_host        = */ nullptr,
        },
        &device.device,
        &device,
    };
}

// --------------------------------------------------------------------------------------------------- what CUDA refuses
// (ggml/src/ggml-cuda/fattn.cu:541-632)
bool cuda_flash_attention(const ggml_tensor * t) {
    const ggml_tensor * q = t->src[0];
    const ggml_tensor * k = t->src[1];
    const ggml_tensor * v = t->src[2];
    const ggml_tensor * mask = t->src[3];
    const int64_t gqa_ratio = q->ne[2] / k->ne[2];
    float max_bias = 0.0f;
    memcpy(&max_bias, (const float *) t->op_params + 1, sizeof(float));

    bool gqa = gqa_ratio >= 2 && mask && max_bias == 0.0f && k->ne[1] % 256 == 0;
    for (const ggml_tensor * s : { q, k, v, mask }) {
        if (s == nullptr || ggml_is_quantized(s->type)) {
            continue;
        }
        for (int i = 1; i < GGML_MAX_DIMS; i++) {
            gqa = gqa && s->nb[i] % 16 == 0;
        }
    }
    switch (k->ne[0]) {
        case 40: case 64: case 72: case 80: case 96: case 112: case 128: case 256:
            if (v->ne[0] != k->ne[0]) { return false; }
            break;
        case 192: if (v->ne[0] != 128 || !gqa || gqa_ratio % 8 != 0) { return false; } break;
        case 320: if (v->ne[0] != 256 || !gqa || gqa_ratio % 32 != 0) { return false; } break;
        case 512: if (v->ne[0] != 512 || !gqa) { return false; } break;
        case 576: if (v->ne[0] != 512 || !gqa) { return false; } break;
        default: return false;
    }
    for (ggml_type type : { k->type, v->type }) {
        switch (type) {
            case GGML_TYPE_F32: case GGML_TYPE_F16: case GGML_TYPE_BF16: case GGML_TYPE_Q4_0: case GGML_TYPE_Q4_1:
            case GGML_TYPE_Q5_0: case GGML_TYPE_Q5_1: case GGML_TYPE_Q8_0: break;
            default: return false;
        }
    }
    return !(mask && mask->ne[2] != 1);
}

// the cases of ggml/src/ggml-cuda/ggml-cuda.cu:5149-5628 that a graph of llama.cpp can meet
bool cuda_supports(const ggml_tensor * t) {
    const ggml_tensor * a = t->src[0];
    const ggml_tensor * b = t->src[1];
    switch (t->op) {
        case GGML_OP_FLASH_ATTN_EXT:
            return cuda_flash_attention(t);
        case GGML_OP_UNARY:
            return ggml_is_contiguous(a);
        case GGML_OP_GLU:
            return ggml_is_contiguous_1(a);
        case GGML_OP_MUL_MAT:
        case GGML_OP_MUL_MAT_ID:
            return a->nb[0] == ggml_element_size(a) && b->nb[0] == ggml_element_size(b) &&
                   !(b->type == GGML_TYPE_F16 && a->type != GGML_TYPE_F16) &&
                   !(t->op == GGML_OP_MUL_MAT_ID && ggml_get_op_params_i32(t, 3) == GGML_PREC_F32);
        case GGML_OP_GET_ROWS:
            if (a->type == GGML_TYPE_IQ4_NL || a->type == GGML_TYPE_MXFP4) {
                return a->ne[0] % 256 == 0;
            }
            return true;
        case GGML_OP_SET_ROWS:
            return a->type == GGML_TYPE_F32 || (a->type == GGML_TYPE_F16 && t->type == GGML_TYPE_F16);
        case GGML_OP_REPEAT:
            return a->type == GGML_TYPE_F32 || a->type == GGML_TYPE_F16;
        case GGML_OP_NORM:
        case GGML_OP_RMS_NORM:
        case GGML_OP_L2_NORM:
        case GGML_OP_SUM:
            return ggml_is_contiguous_rows(a);
        case GGML_OP_SUM_ROWS:
        case GGML_OP_MEAN:
            return a->type == GGML_TYPE_F32 && t->type == GGML_TYPE_F32 && ggml_is_contiguous_rows(a);
        case GGML_OP_ROPE:
            return a->nb[0] == ggml_type_size(a->type) && ggml_is_contiguous_2(a);
        case GGML_OP_SSM_CONV:
            return a->ne[1] % 128 == 0;
        case GGML_OP_SSM_SCAN:
            if (t->src[3]->ne[0] == 1) {
                return (a->ne[0] == 96 || a->ne[0] == 128 || a->ne[0] == 256) && a->ne[1] % 16 == 0;
            }
            return ggml_get_op_params_i32(t, 0) <= 1 && a->ne[0] == 16 && a->ne[1] == 1 && a->ne[2] % 128 == 0 && t->src[4]->ne[1] == 1;
        case GGML_OP_GROUP_NORM:
            return ggml_is_contiguous(a);
        case GGML_OP_LIGHTNING_INDEXER:
            return a->ne[0] == 128 && (a->ne[1] == 64 || a->ne[1] == 32);
        default:
            return true;
    }
}

// ----------------------------------------------------------------------------------------------------------- backend
ggml_guid_t pretend_guid() {
    static ggml_guid guid = { 0x6c, 0x6c, 0x6d, 0x64, 0x65, 0x63, 0x6c, 0x2d, 0x70, 0x72, 0x65, 0x74, 0x65, 0x6e, 0x64, 0x00 };
    return &guid;
}

ggml_backend_t backend_init(ggml_backend_dev_t dev, const char *) {
    ggml_backend_i iface = {};
    if (of(dev).flavour == Flavour::CUDA) {
        iface.graph_optimize = ggml_backend_cuda_graph_optimize;
    }
    iface.get_name      = [](ggml_backend_t b) { return of(b->device).name.c_str(); };
    iface.free          = [](ggml_backend_t b) { delete b; };
    iface.synchronize   = [](ggml_backend_t) {};
    iface.graph_compute = [](ggml_backend_t, ggml_cgraph *) { return GGML_STATUS_SUCCESS; };
    iface.set_tensor_async = [](ggml_backend_t, ggml_tensor *, const void *, size_t, size_t) {};
    iface.get_tensor_async = [](ggml_backend_t, const ggml_tensor *, void *, size_t, size_t) {};
    iface.cpy_tensor_async = [](ggml_backend_t, ggml_backend_t, const ggml_tensor *, ggml_tensor *) { return true; };
    iface.event_record  = [](ggml_backend_t, ggml_backend_event_t) {};
    iface.event_wait    = [](ggml_backend_t, ggml_backend_event_t) {};
    return new ggml_backend{ pretend_guid(), iface, dev, nullptr };
}

void device_props(ggml_backend_dev_t dev, ggml_backend_dev_props * props) {
    const Device & device = of(dev);
    props->name         = device.name.c_str();
    props->description  = device.name.c_str();
    props->memory_free  = device.memory;
    props->memory_total = device.memory;
    props->type         = GGML_BACKEND_DEVICE_TYPE_GPU;
    props->device_id    = nullptr;
    props->caps = {
        /* .async                = */ true,
        /* .host_buffer          = */ like_cuda(device),
        /* .buffer_from_host_ptr = */ false,
        /* .events               = */ true,
        /* .mmap_support         = */ true,
    };
}

// (ggml/src/ggml-cuda/ggml-cuda.cu:5636-5655)
bool cuda_offload(ggml_backend_dev_t, const ggml_tensor * t) {
    switch (t->op) {
        case GGML_OP_GET_ROWS: return false;
        case GGML_OP_MUL_MAT:  return t->ne[1] >= 32;
        case GGML_OP_MUL_MAT_ID:
        case GGML_OP_ROPE:
        case GGML_OP_ROPE_BACK: return t->ne[2] >= 32;
        default: return ggml_nrows(t) >= 32;
    }
}

bool device_supports(ggml_backend_dev_t dev, const ggml_tensor * t) {
    const Device & device = of(dev);
    if (like_cuda(device)) {
        for (const ggml_tensor * s : t->src) { // on another of our devices
            if (s && s->buffer && s->buffer->iface.get_base == DEVICE_BUFFER.get_base && s->buffer->buft->device != dev) {
                return false;
            }
        }
    }
    return device.flavour != Flavour::CUDA || cuda_supports(t);
}

ggml_backend_device device_of(Device & device, ggml_backend_reg_t reg) {
    ggml_backend_device_i iface = {};
    iface.get_name        = [](ggml_backend_dev_t d) { return of(d).name.c_str(); };
    iface.get_description = iface.get_name;
    iface.get_memory      = [](ggml_backend_dev_t d, size_t * free, size_t * total) { *free = *total = of(d).memory; };
    iface.get_type        = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; };
    iface.get_props       = device_props;
    iface.init_backend    = backend_init;
    iface.get_buffer_type = [](ggml_backend_dev_t d) { return &of(d).buft; };
    if (like_cuda(device)) {
        iface.get_host_buffer_type = [](ggml_backend_dev_t d) { return &static_cast<Registry *>(d->reg->context)->host_buft; };
        iface.offload_op           = cuda_offload;
    }
    iface.supports_op       = device_supports;
    iface.supports_buft     = [](ggml_backend_dev_t d, ggml_backend_buffer_type_t b) { return b == &of(d).buft; };
    iface.event_new         = [](ggml_backend_dev_t d) { return new ggml_backend_event{ d, nullptr }; };
    iface.event_free        = [](ggml_backend_dev_t, ggml_backend_event_t e) { delete e; };
    iface.event_synchronize = [](ggml_backend_dev_t, ggml_backend_event_t) {};
    return { iface, reg, &device };
}

// ---------------------------------------------------------------------------------------------------------- registry
void add(Flavour flavour, const std::string & name, int count, size_t memory) {
    auto * registry = new Registry(); // lives as long as the process, like every registry
    registry->name      = name;
    registry->host_name = name + "_Host";
    registry->reg.api_version = GGML_BACKEND_API_VERSION;
    registry->reg.context     = registry;
    registry->reg.iface = {
        /* .get_name         = */ [](ggml_backend_reg_t r) { return static_cast<Registry *>(r->context)->name.c_str(); },
        /* .get_device_count = */ [](ggml_backend_reg_t r) { return static_cast<Registry *>(r->context)->devices.size(); },
        /* .get_device       = */ [](ggml_backend_reg_t r, size_t i) { return &static_cast<Registry *>(r->context)->devices.at(i)->device; },
        /* .get_proc_address = */ [](ggml_backend_reg_t, const char *) -> void * { return nullptr; },
    };
    for (int i = 0; i < count; i++) {
        auto device = std::make_unique<Device>();
        device->flavour = flavour;
        device->name    = name + std::to_string(i);
        device->memory  = memory;
        device->device  = device_of(*device, &registry->reg);
        device->buft    = device_buft(*device);
        registry->devices.push_back(std::move(device));
    }
    registry->host_buft = *ggml_backend_cpu_buffer_type();
    registry->host_buft.iface.get_name = [](ggml_backend_buffer_type_t b) { return static_cast<Registry *>(b->context)->host_name.c_str(); };
    registry->host_buft.iface.alloc_buffer = lazy_host_buffer;
    registry->host_buft.device  = &registry->devices.at(0)->device;
    registry->host_buft.context = registry;
    ggml_backend_register(&registry->reg);
}

} // namespace

void pretend_register(const std::string & backends) {
    std::stringstream parts(backends);
    for (std::string part; std::getline(parts, part, '+');) {
        std::stringstream words(part);
        std::string kind, count = "1", mib = "24576";
        std::getline(words, kind, ':');
        std::getline(words, count, ':');
        std::getline(words, mib, ':');
        if (kind == "cpu") {
            continue;
        }
        const int    n      = std::stoi(count.empty() ? "1" : count);
        const size_t memory = size_t(std::stoull(mib.empty() ? "24576" : mib)) << 20;
        if (n < 1) {
            throw std::invalid_argument("no devices in " + part);
        }
        if (kind == "pretend") {
            add(Flavour::PRETEND, "PRETEND", n, memory);
        } else if (kind == "cuda") {
            add(Flavour::CUDA, "CUDA", n, memory);
        } else if (kind == "rpc") {
            add(Flavour::RPC, "RPC", n, memory);
        } else {
            throw std::invalid_argument("unknown backend " + kind);
        }
    }
}

void pretend_lazy_cpu() {
    ggml_backend_cpu_buffer_type()->iface.alloc_buffer = lazy_host_buffer;
}
