// Devices that answer like a GPU and hold nothing.
#pragma once

#include <cstddef>
#include <string>

// Registers the devices of a description such as "cpu", "pretend:2:24576" (two of 24576 MiB each) or "rpc:1:8192";
// several are joined by "+". Throws std::invalid_argument.
//
//   pretend  as CUDA on Turing and newer, with every operation supported (the devices of truth.json)
//   cuda     the same, but refuses what CUDA refuses (flash attention of odd head sizes, Mamba of odd state sizes, ...)
//            and keeps alive what CUDA's fused expert routing reads
//   rpc      as an RPC device whose server computes on a CPU
void pretend_register(const std::string & backends);

// Buffers of plain CPU memory become untouched pages, so that a large recurrent state costs nothing.
void pretend_lazy_cpu();
