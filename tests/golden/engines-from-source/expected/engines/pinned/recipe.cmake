# llama.cpp 0.3.36 for cpu; inputs e83a10c9a809354515ca49046e9db713557df0889d8f76657b0f540a2337f376
# cmake -C recipe.cmake -S SOURCE -B BUILD
cmake_policy(VERSION 3.14)
set(CMAKE_BUILD_TYPE "Release" CACHE STRING "")
set(CMAKE_BUILD_WITH_INSTALL_RPATH "ON" CACHE BOOL "")
set(CMAKE_CXX_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>" CACHE STRING "")
set(CMAKE_CXX_ARCHIVE_FINISH "<CMAKE_RANLIB> -D <TARGET>" CACHE STRING "")
set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>" CACHE STRING "")
set(CMAKE_C_ARCHIVE_FINISH "<CMAKE_RANLIB> -D <TARGET>" CACHE STRING "")
set(CMAKE_EXE_LINKER_FLAGS "-Wl,--build-id=none" CACHE STRING "")
set(CMAKE_INSTALL_RPATH "\$ORIGIN" CACHE STRING "")
set(CMAKE_MODULE_LINKER_FLAGS "-Wl,--build-id=none" CACHE STRING "")
set(CMAKE_SHARED_LINKER_FLAGS "-Wl,--build-id=none" CACHE STRING "")
set(GGML_BUILD_COMMIT "unknown" CACHE STRING "")
set(GGML_LTO "ON" CACHE BOOL "")
set(GGML_NATIVE "OFF" CACHE BOOL "")

# the folders of this build are not compiled in
set(CMAKE_C_FLAGS "\"-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O2 -g \"-ffile-prefix-map=${CMAKE_SOURCE_DIR}=/llmdecl/src\" \"-ffile-prefix-map=${CMAKE_BINARY_DIR}=/llmdecl/build\"" CACHE STRING "")
