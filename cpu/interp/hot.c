#include "cpu/interp/hot.h"
bool hot_choose(struct uop *u, const struct insn *i, uint32_t key) { (void)u; (void)i; (void)key; return false; }
void hot_fuse(struct block *b) { (void)b; }
