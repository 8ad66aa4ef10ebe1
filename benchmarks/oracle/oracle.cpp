// What llama.cpp allocates for a model and a llama-server command line, without weights and without a GPU.
//
// Reads one JSON object a line, {"model": PATH, "backend": "cpu" | "pretend:2:24576" | ..., "args": [...], "graph": false},
// and writes one JSON object a line: the columns of truth.json, or {"error": ...}. Every request runs in a child process.
// {"tensors_of": PATH} names the tensors that the architecture of a GGUF file asks for.
#include "arg.h"
#include "common.h"
#include "fit.h"
#include "log.h"
#include "speculative.h"

#include "ggml-impl.h"
#include "llama-context.h"
#include "llama-ext.h"
#include "llama-memory-hybrid-iswa.h"
#include "llama-memory-hybrid.h"
#include "llama-memory-recurrent.h"
#include "llama-model.h"

#include "peek.h"
#include "pretend.h"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

// keeps the order of the columns
using json = nlohmann::ordered_json;

namespace {

// -------------------------------------------------------------------------------------------------------------- log
struct Log {
    std::vector<std::string> errors;
    std::string              graph;
    std::string              line;
};

Log the_log;

void on_log(ggml_log_level level, const char * text, void *) {
    static ggml_log_level last = GGML_LOG_LEVEL_NONE;
    if (level != GGML_LOG_LEVEL_CONT) {
        last = level;
    }
    fputs(text, stderr); // a file that the parent quotes from after a crash
    the_log.line += text;
    for (size_t end; (end = the_log.line.find('\n')) != std::string::npos; the_log.line.erase(0, end + 1)) {
        const std::string line = the_log.line.substr(0, end);
        if (last == GGML_LOG_LEVEL_ERROR || last == GGML_LOG_LEVEL_WARN) {
            the_log.errors.push_back(line);
        }
        const size_t at = line.find("graph");
        if (at != std::string::npos && line.find("splits = ") != std::string::npos) {
            the_log.graph = line.substr(at);
        }
    }
}

// ------------------------------------------------------------------------------------------------------- llama-server
// what tools/server adds to the parsed arguments (server.cpp:148-174, server-context.cpp:41-52, 995-998)
void as_server(common_params & params) {
    if (params.embedding && params.n_batch > params.n_ubatch) {
        params.n_batch = params.n_ubatch;
    }
    if (params.n_parallel < 0) {
        params.n_parallel = 4;
        params.kv_unified = true;
    }
    if (params.kv_unified_per_slot > 0 && params.n_ctx == 0 && (uint32_t) params.fit_params_min_ctx != UINT32_MAX) {
        params.n_ctx = params.n_parallel * params.kv_unified_per_slot;
    }
    if (params.embedding ||
            (params.pooling_type != LLAMA_POOLING_TYPE_UNSPECIFIED && params.pooling_type != LLAMA_POOLING_TYPE_NONE)) {
        params.n_outputs_max         = params.n_batch;
        params.n_outputs_max_per_seq = 1;
    } else {
        const auto limits = common_speculative_get_output_limits(
            params.n_batch, params.n_parallel, common_speculative_n_max(&params.speculative));
        params.n_outputs_max         = std::max<int32_t>(1, limits.total);
        params.n_outputs_max_per_seq = std::max<int32_t>(1, limits.per_seq);
    }
}

// -------------------------------------------------------------------------------------------------------------- graph
json dimensions(const int64_t * ne) { return { ne[0], ne[1], ne[2], ne[3] }; }

json describe(const ggml_tensor * t, ggml_backend_sched_t sched, const std::map<const ggml_tensor *, std::string> & ids) {
    const auto id = [&](const ggml_tensor * s) -> std::string {
        const auto found = ids.find(s);
        return found == ids.end() ? s->name : found->second;
    };
    json row = { { "id", id(t) }, { "name", t->name }, { "op", ggml_op_desc(t) }, { "type", ggml_type_name(t->type) }, { "ne", dimensions(t->ne) } };
    json sources = json::array();
    for (const ggml_tensor * s : t->src) {
        if (s) {
            sources.push_back(id(s));
        }
    }
    row["src"] = sources;
    if (t->view_src) {
        row["view_of"] = id(t->view_src);
        row["view_offset"] = t->view_offs;
    }
    if (t->flags & GGML_TENSOR_FLAG_INPUT)  { row["input"]  = true; }
    if (t->flags & GGML_TENSOR_FLAG_OUTPUT) { row["output"] = true; }
    const peek_place place = peek_allocator_place(peek_scheduler_allocator(sched), t);
    if (t->buffer && !t->view_src) {
        row["held_by"] = ggml_backend_buffer_name(t->buffer); // weights and caches
    } else if (place.buffer >= 0) {
        ggml_backend_buffer_type_t buft = ggml_backend_sched_get_buffer_type(sched, ggml_backend_sched_get_backend(sched, place.buffer));
        row["buffer"] = ggml_backend_buft_name(buft);
        row["chunk"]  = place.chunk;
        row["offset"] = place.offset;
        row["size"]   = ggml_backend_buft_get_alloc_size(buft, t);
    }
    return row;
}

// the prompt graph as the scheduler cut it and the allocator laid it out
json reserved_graph(llama_context & ctx) {
    const llama_cparams & cparams = ctx.get_cparams();
    const uint32_t n_tokens = std::min(cparams.n_ctx, cparams.n_ubatch);
    llama_memory_context_ptr memory;
    if (ctx.memory) {
        memory = ctx.memory->init_full();
    }
    std::vector<size_t> sizes(ctx.backend_ptrs.size());
    ctx.graph_reserve(n_tokens, cparams.n_seq_max, std::min(n_tokens, cparams.n_outputs_max), memory.get(), true, sizes.data());

    ggml_backend_sched_t sched = ctx.sched.get();
    ggml_cgraph * graph = peek_scheduler_graph(sched);
    std::map<const ggml_tensor *, std::string> ids;
    for (int i = 0; i < graph->n_leafs; i++) {
        ids[graph->leafs[i]] = "l" + std::to_string(i);
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        ids[graph->nodes[i]] = "n" + std::to_string(i);
    }
    json out = { { "splits", json::array() }, { "leafs", json::array() }, { "nodes", json::array() } };
    for (int i = 0; i < peek_scheduler_n_splits(sched); i++) {
        const peek_split split = peek_scheduler_split(sched, i);
        json inputs = json::array();
        for (int j = 0; j < split.n_inputs; j++) {
            inputs.push_back(split.inputs[j]->name);
        }
        out["splits"].push_back({ { "backend", ggml_backend_name(ggml_backend_sched_get_backend(sched, split.backend)) },
                                  { "start", split.i_start }, { "end", split.i_end }, { "inputs", inputs } });
    }
    const auto backend = [&](int i) { return i < 0 ? "none" : ggml_backend_name(ggml_backend_sched_get_backend(sched, i)); };
    for (int i = 0; i < graph->n_leafs; i++) {
        json row = describe(graph->leafs[i], sched, ids);
        row["backend"] = backend(peek_scheduler_leaf_backend(sched, i));
        out["leafs"].push_back(row);
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        json row = describe(graph->nodes[i], sched, ids);
        row["backend"] = backend(peek_scheduler_node_backend(sched, i));
        out["nodes"].push_back(row);
    }
    return out;
}

// ------------------------------------------------------------------------------------------------------------ answer
struct Sizes {
    bool   host = false;
    size_t weights = 0, kv = 0, recurrent = 0, output = 0, compute = 0;

    json columns() const {
        return { { "weights", weights }, { "kv", kv }, { "recurrent", recurrent }, { "output", output }, { "compute", compute } };
    }
};

llama_memory_recurrent * recurrent_of(llama_memory_i * memory) {
    if (auto * hybrid = dynamic_cast<llama_memory_hybrid *>(memory)) {
        return hybrid->get_mem_recr();
    }
    if (auto * hybrid = dynamic_cast<llama_memory_hybrid_iswa *>(memory)) {
        return hybrid->get_mem_recr();
    }
    return dynamic_cast<llama_memory_recurrent *>(memory);
}

std::runtime_error failed(const std::string & what) {
    std::string text = what;
    for (const std::string & line : the_log.errors) {
        text += "; " + line;
    }
    return std::runtime_error(text);
}

json answer(const json & request) {
    const auto start = std::chrono::steady_clock::now();
    pretend_lazy_cpu();
    pretend_register(request.value("backend", std::string("cpu")));

    std::vector<std::string> words = { "llama-server", "-m", request.at("model").get<std::string>(), "--fit", "off" };
    for (const json & word : request.value("args", json::array())) {
        words.push_back(word.get<std::string>());
    }
    std::vector<char *> argv;
    for (std::string & word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);

    common_params params;
    llama_log_set(on_log, nullptr);
    if (!common_params_parse((int) words.size(), argv.data(), params, LLAMA_EXAMPLE_SERVER)) {
        throw failed("llama-server would refuse these arguments");
    }
    llama_log_set(on_log, nullptr); // parsing puts its own back
    llama_backend_init();
    as_server(params);

    auto mparams = common_model_params_to_llama(params);
    auto cparams = common_context_params_to_llama(params);
    json out = json::object();
    if (params.fit_params) {
        const auto status = common_fit_params(params.model.path.c_str(), &mparams, &cparams, params.tensor_split,
            params.tensor_buft_overrides.data(), params.fit_params_target.data(), params.fit_params_min_ctx, nullptr, GGML_LOG_LEVEL_ERROR);
        json split = json::array();
        for (size_t i = 0; i < std::max<size_t>(1, ggml_backend_dev_count() - 1); i++) {
            split.push_back(params.tensor_split[i]);
        }
        json overrides = json::array();
        for (const auto * o = params.tensor_buft_overrides.data(); o->pattern; o++) {
            overrides.push_back({ o->pattern, ggml_backend_buft_name(o->buft) });
        }
        out["fit"] = { { "status", int(status) }, { "n_ctx", cparams.n_ctx }, { "n_gpu_layers", mparams.n_gpu_layers }, { "tensor_split", split }, { "overrides", overrides } };
    }
    mparams.no_alloc  = true; // both as common/fit.cpp does
    mparams.load_mode = LLAMA_LOAD_MODE_NONE;

    llama_model * model = llama_model_load_from_file(params.model.path.c_str(), mparams);
    if (model == nullptr) {
        throw failed("llama.cpp does not load the model");
    }
    llama_context * ctx = llama_init_from_model(model, cparams);
    if (ctx == nullptr) {
        throw failed("llama.cpp does not make a context");
    }

    const llama_cparams & made = ctx->get_cparams();
    out["arch"]                 = llm_arch_name(model->arch);
    out["n_ctx"]                = made.n_ctx;
    out["n_ctx_seq"]            = made.n_ctx_seq;
    out["n_seq_max"]            = made.n_seq_max;
    out["n_batch"]              = made.n_batch;
    out["n_ubatch"]             = made.n_ubatch;
    out["kv_unified"]           = made.kv_unified;
    out["n_outputs_max"]        = made.n_outputs_max;
    out["n_vocab"]              = llama_vocab_n_tokens(llama_model_get_vocab(model));
    out["pipeline_parallel"]    = made.pipeline_parallel;
    out["flash_attn_effective"] = made.flash_attn;
    out["graph"]                = the_log.graph;

    std::map<ggml_backend_buffer_type_t, Sizes> sizes;
    for (const auto & [buft, size] : model->memory_breakdown()) {
        sizes[buft].weights += size;
    }
    if (ctx->memory) {
        std::map<ggml_backend_buffer_type_t, size_t> recurrent;
        if (auto * memory = recurrent_of(ctx->memory.get())) {
            recurrent = memory->memory_breakdown();
        }
        for (const auto & [buft, size] : ctx->memory->memory_breakdown()) {
            const size_t state = recurrent.count(buft) ? recurrent.at(buft) : 0;
            sizes[buft].kv        += size - state;
            sizes[buft].recurrent += state;
        }
    }
    for (size_t i = 0; i < ctx->backend_ptrs.size(); i++) {
        sizes[ctx->backend_buft[i]].compute += ctx->backend_buf_exp_size[i];
    }
    if (ctx->buf_output) {
        sizes[ggml_backend_buffer_get_type(ctx->buf_output.get())].output += ggml_backend_buffer_get_size(ctx->buf_output.get());
    }

    json devices = json::array();
    for (const auto & device : model->devices) {
        devices.push_back(ggml_backend_dev_name(device.dev));
    }
    out["devices"] = devices;
    std::map<std::string, Sizes> by_device;
    json buffers = json::object();
    std::map<std::string, std::pair<bool, Sizes>> by_name;
    for (const auto & [buft, s] : sizes) {
        const bool host = ggml_backend_buft_is_host(buft);
        by_name[ggml_backend_buft_name(buft)] = { host, s };
        std::string owner = "host";
        for (const auto & device : model->devices) {
            if (ggml_backend_dev_buffer_type(device.dev) == buft) {
                owner = ggml_backend_dev_name(device.dev);
            }
        }
        Sizes & d = by_device[owner];
        d.weights += s.weights; d.kv += s.kv; d.recurrent += s.recurrent; d.output += s.output; d.compute += s.compute;
    }
    for (const auto & [name, entry] : by_name) {
        json row = { { "host", entry.first } };
        row.update(entry.second.columns());
        buffers[name] = row;
    }
    out["buffers"] = buffers;
    json per_device = json::object();
    for (const json & name : devices) {
        per_device[name.get<std::string>()] = by_device[name.get<std::string>()].columns();
    }
    per_device["host"] = by_device["host"].columns();
    out["per_device"] = per_device;
    if (!the_log.errors.empty()) {
        out["warnings"] = the_log.errors;
    }
    if (request.value("graph", false)) {
        out["reserved"] = reserved_graph(*ctx);
    }
    out["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
}

// the tensors that an architecture asks for, given the metadata of a GGUF file: optional ones included, each f32
json wanted_tensors(const std::string & path) {
    pretend_lazy_cpu();
    llama_log_set(on_log, nullptr);
    llama_backend_init();
    gguf_init_params init = { /*.no_alloc =*/ true, /*.ctx =*/ nullptr };
    gguf_context * gguf = gguf_init_from_file(path.c_str(), init);
    if (gguf == nullptr) {
        throw failed("not a GGUF file");
    }
    llama_model_params mparams = llama_model_default_params();
    mparams.devices = nullptr;
    mparams.progress_callback = [](float, void *) { return true; };
    llama_model * model = llama_model_init_from_user(gguf, [](ggml_tensor *, void *) {}, nullptr, mparams);
    if (model == nullptr) {
        throw failed("llama.cpp does not make the model");
    }
    json tensors = json::object();
    for (const auto & [name, tensor] : model->tensors_by_name) {
        tensors[name] = dimensions(tensor->ne);
    }
    return { { "tensors", tensors } };
}

// -------------------------------------------------------------------------------------------------------------- loop
std::string tail(int fd, size_t most) {
    const off_t size = lseek(fd, 0, SEEK_END);
    std::string text(std::min<size_t>(most, size_t(size)), '\0');
    const ssize_t n = pread(fd, text.data(), text.size(), size - off_t(text.size()));
    text.resize(n > 0 ? size_t(n) : 0);
    return text;
}

void write_all(int fd, const std::string & text) {
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = write(fd, text.data() + at, text.size() - at);
        if (n <= 0) {
            return;
        }
        at += size_t(n);
    }
}

std::string in_child(const std::string & line) {
    const int said = memfd_create("answer", 0);
    const int log  = memfd_create("log", 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(log, STDERR_FILENO);
        dup2(log, STDOUT_FILENO);
        setenv("GGML_NO_BACKTRACE", "1", 1); // or an assertion starts a debugger
        json out;
        try {
            const json request = json::parse(line);
            out = request.contains("tensors_of") ? wanted_tensors(request.at("tensors_of")) : answer(request);
        } catch (const std::exception & e) {
            out = { { "error", e.what() } };
        }
        write_all(said, out.dump(-1, ' ', false, json::error_handler_t::replace));
        fflush(nullptr);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    std::string text = tail(said, size_t(1) << 30);
    if (text.empty()) {
        const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : "exit " + std::to_string(WEXITSTATUS(status));
        text = json({ { "error", how + ": " + tail(log, 600) }, { "crash", true } }).dump(-1, ' ', false, json::error_handler_t::replace);
    }
    close(said);
    close(log);
    return text;
}

} // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        if (!line.empty()) {
            std::cout << in_child(line) << std::endl;
        }
    }
    return 0;
}
