#include <cstdio>

extern "C" const char * build_info();
extern "C" const char * where(void);

int main(int argc, char ** argv) {
    std::printf("%s: %s, %s\n", TOOL, build_info(), where());
    for (int i = 1; i < argc; i++) {
        std::printf("%s\n", argv[i]);
    }
}
