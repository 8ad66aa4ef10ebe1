#ifdef BROKEN
#error this is broken on purpose
#endif
const char * where(void) { return __FILE__; }
#ifdef CHANCE
const char * chance(void) { return "by chance: " CHANCE; }
#endif
#ifdef FOLDER
const char * folder(void) { return "built in " FOLDER; }
#endif
