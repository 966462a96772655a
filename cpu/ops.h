/* SPDX-License-Identifier: MIT */
/* Every mnemonic, as OP(NAME); included by insn.h and by tables. */
OP(ADD)
