/* SPDX-License-Identifier: MIT */
/* The files beneath one folder of the host, for reading, and nothing outside of it. */
#ifndef TFTP_ROOT_H
#define TFTP_ROOT_H

#include "base/err.h"
#include "tftp/tftp.h"

struct tftp_root;

/* NULL with err if path is not a folder that can be searched. */
struct tftp_root *tftp_root_open(const char *path, struct err *err);
void tftp_root_close(struct tftp_root *r);
extern const struct tftp_files tftp_root_files;         /* owner: struct tftp_root */
/* For tests: walk the path component by component, as on kernels without openat2. */
void tftp_root_walk(struct tftp_root *r, bool walk);

#endif
