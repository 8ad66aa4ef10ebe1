# llama.cpp b10434 for cuda sm_86 sm_120a; inputs f0cc86d0c0d87f8f191e8648f82f545a1a51d4e7b9c5401505e44957922dd0a5
# cmake -C recipe.cmake -S SOURCE -B BUILD
# locked with GNU 12.2.0
cmake_policy(VERSION 3.14)
set(CMAKE_BUILD_TYPE "Release" CACHE STRING "")
set(CMAKE_BUILD_WITH_INSTALL_RPATH "ON" CACHE BOOL "")
set(CMAKE_CUDA_ARCHITECTURES "86-real;120a-real" CACHE STRING "")
set(CMAKE_CXX_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>" CACHE STRING "")
set(CMAKE_CXX_ARCHIVE_FINISH "<CMAKE_RANLIB> -D <TARGET>" CACHE STRING "")
set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>" CACHE STRING "")
set(CMAKE_C_ARCHIVE_FINISH "<CMAKE_RANLIB> -D <TARGET>" CACHE STRING "")
set(CMAKE_EXE_LINKER_FLAGS "-Wl,--build-id=none -Wl,--allow-shlib-undefined" CACHE STRING "")
set(CMAKE_INSTALL_RPATH "\$ORIGIN" CACHE STRING "")
set(CMAKE_MODULE_LINKER_FLAGS "-Wl,--build-id=none" CACHE STRING "")
set(CMAKE_SHARED_LINKER_FLAGS "-Wl,--build-id=none" CACHE STRING "")
set(GGML_BUILD_COMMIT "0c1e570" CACHE STRING "")
set(GGML_CUDA "ON" CACHE BOOL "")
set(GGML_RPC "ON" CACHE BOOL "")
set(LLAMA_BUILD_COMMIT "0c1e570" CACHE STRING "")
set(LLAMA_BUILD_NUMBER "10434" CACHE STRING "")
set(ODD "a \"quoted\" \\ \$HOME \${VAR} @AT@ ; two" CACHE STRING "")

# the folders of this build are not compiled in
set(CMAKE_C_FLAGS "\"-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
set(CMAKE_CXX_FLAGS "\"-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
set(CMAKE_CUDA_FLAGS "--threads 1 \"-Xcompiler=-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-Xcompiler=-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
