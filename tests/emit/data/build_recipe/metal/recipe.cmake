# llama.cpp b10434 for metal; inputs 55180a6c1fc840d2a551e1446e0ffa700a82fd06b84b3f120f3ed73b349e4be3
# cmake -C recipe.cmake -S SOURCE -B BUILD
# locked with GNU 12.2.0
cmake_policy(VERSION 3.14)
set(CMAKE_BUILD_TYPE "Release" CACHE STRING "")
set(CMAKE_BUILD_WITH_INSTALL_RPATH "ON" CACHE BOOL "")
set(CMAKE_INSTALL_RPATH "@loader_path" CACHE STRING "")
set(GGML_BUILD_COMMIT "0c1e570" CACHE STRING "")
set(GGML_METAL "ON" CACHE BOOL "")
set(GGML_RPC "ON" CACHE BOOL "")
set(LLAMA_BUILD_COMMIT "0c1e570" CACHE STRING "")
set(LLAMA_BUILD_NUMBER "10434" CACHE STRING "")

# the folders of this build are not compiled in
set(CMAKE_C_FLAGS "\"-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
set(CMAKE_CXX_FLAGS "\"-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
